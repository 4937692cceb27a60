"""The sheaves that a model learns, taken out of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.nn.sheaf import FrameLearner, SheafCochainLayer, SheafLearner
from topodiff.sheaves import CellularSheaf
from topodiff.sheaves.maps import multiply

LEARNERS = (SheafLearner, FrameLearner, SheafCochainLayer)


@torch.no_grad()
def learned_sheaves(
    model: nn.Module, complex: CellComplex, x: Tensor | None = None
) -> list[CellularSheaf]:
    """The sheaves that a model diffuses along in one evaluation, in the order in which it learns
    them: one for each layer, or a single one that layers share; one for each evaluation of the law
    of :class:`topodiff.nn.ContinuousSheafDiffusion`, the first at time 0, unless it is frozen.

    Edge weights multiply the maps. ``topodiff.operators.SheafLaplacian(sheaf,
    normalized="augmented")`` is the operator of a model on vertices on the learnt part of the
    stalks (without fixed filters); its eigenvalues before and after training are what
    ``topodiff.plotting.draw_spectrum`` overlays. Those of models on cells of all ranks are
    :meth:`topodiff.nn.SheafCochainLayer.sheaf`, whose ``curvature(2)`` is how far the maps that
    were learnt are from commuting.

    Args:
        model: with :class:`topodiff.nn.sheaf.SheafLearner`, ``FrameLearner`` or
            ``SheafCochainLayer`` inside, such as :class:`topodiff.nn.NeuralSheafDiffusion` or
            :class:`topodiff.nn.CochainSheafDiffusion`. Its mode is left as it was, and those of its
            modules.
        complex, x: what the model is called with; a model that takes a complex alone gets no x.

    Raises:
        ValueError: for a model that learns no sheaf.
    """
    learners = [m for m in model.modules() if isinstance(m, LEARNERS)]
    if not learners:
        raise ValueError(
            f"{type(model).__name__} learns no sheaf: it holds none of "
            f"{', '.join(kind.__name__ for kind in LEARNERS)}"
        )
    found: list[CellularSheaf] = []

    def keep_sheaf(learner: nn.Module, given: tuple, result: Any) -> None:
        found.append(_sheaf(learner, given, result))

    hooks = [learner.register_forward_hook(keep_sheaf) for learner in learners]
    training = {module for module in model.modules() if module.training}
    try:
        model.eval()(complex) if x is None else model.eval()(complex, x)
    finally:
        for module in model.modules():
            module.training = module in training
        for hook in hooks:
            hook.remove()
    return found


def _sheaf(learner: Any, given: tuple, result: Any) -> CellularSheaf:
    if isinstance(learner, SheafCochainLayer):
        return learner.sheaf(*given)
    complex = given[0]
    if isinstance(learner, FrameLearner):
        return CellularSheaf.from_frames(complex, result, orthogonal=True)
    maps, weights = result
    family = learner.family
    maps = multiply(weights, maps)
    orthogonal = family.orthogonal and weights is None
    if complex.rank == 0:
        return CellularSheaf(complex, family.stalk_dim)
    return CellularSheaf(complex, family.stalk_dim, maps, orthogonal=orthogonal)
