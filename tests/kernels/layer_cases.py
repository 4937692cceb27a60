"""What a layer of sheaf diffusion does beside products with stalks, on random cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sheaf_cases import SheafCase
from torch import Tensor

from topodiff import kernels
from topodiff.kernels.activations import ACTIVATIONS

Tensors = Sequence[Tensor]


@dataclass
class LayerCase:
    """Weights and options of a layer, maps of the ends of edges, for the state of a SheafCase."""

    left: Tensor | None  # (d, d)
    right: Tensor | None  # (channels, channels)
    weight: Tensor  # (2, outputs, d channels) or (2, outputs, channels)
    factor: Tensor  # (d,)
    ends: Tensor  # (2 num_edges, d, d)
    of_edges: Tensor  # (num_edges,)
    activation: str
    p: float
    transpose: tuple[bool, bool]
    augmented: bool
    part: str  # of PARTS


def make_layer_case(rng: np.random.Generator, case: SheafCase) -> LayerCase:
    """Small integers; dropout of one half, which doubles the others."""
    _, d, channels = case.faces.shape
    num_ends = case.graph[0].shape[0]

    def values(*shape: int) -> Tensor:
        return torch.from_numpy(rng.integers(-2, 3, shape)).to(case.faces.dtype)

    def flip() -> bool:
        return bool(rng.random() < 0.5)

    return LayerCase(
        left=values(d, d) if flip() else None,
        right=values(channels, channels) if flip() else None,
        weight=values(2, int(rng.integers(1, 5)), channels * (d if flip() else 1)),
        factor=values(d),
        ends=values(num_ends, d, d),
        of_edges=values(num_ends // 2),
        activation=str(rng.choice(ACTIVATIONS)),
        p=0.5 if flip() else 0.0,
        transpose=(flip(), flip()),
        augmented=flip(),
        part=str(rng.choice(list(PARTS))),
    )


def _step(c: SheafCase, of: LayerCase, x: Tensor, blocks: Tensor, *rest: Tensor) -> Tensors:
    left, right, diagonal, factor = rest
    of_laplacian = (diagonal, blocks, *c.graph)
    return [kernels.diffusion_step(x, left, right, *of_laplacian, factor, of.activation, of.p, 7)]


# run(case, layer, *inputs), and the inputs
PARTS: dict[str, tuple[Callable[..., Tensors], Callable[[SheafCase, LayerCase], list]]] = {
    "step": (_step, lambda c, of: [c.faces, c.blocks, of.left, of.right, c.diagonal, of.factor]),
    "stalk linear": (
        lambda c, of, *inputs: [kernels.stalk_linear(*inputs, of.p, 7)],
        lambda c, of: [c.faces, of.left, of.right],
    ),
    "pair linear": (
        lambda c, of, *inputs: [kernels.pair_linear(*inputs, *c.graph, of.activation, of.p, 7)],
        lambda c, of: [c.faces, of.weight],
    ),
    "transports": (
        lambda c, of, *inputs: [kernels.transports(*inputs)],
        lambda c, of: [of.ends, of.of_edges],
    ),
    "small products": (
        lambda c, of, *inputs: [kernels.small_matmul(*inputs, *of.transpose)],
        lambda c, of: [of.ends, of.ends.mT.flip(0)],
    ),
    "blocks of edges": (
        lambda c, of, maps: kernels.edge_blocks(maps, *c.graph, of.augmented),
        lambda c, of: [of.ends[:, 0]],
    ),
}
# parts that give integers for integers, so that every order of summation gives the same bits
ALWAYS_EXACT = {"stalk linear", "transports", "small products"}
EXACT_WITHOUT_CURVES = {"step", "pair linear"}
# of the largest entry, for the others: gradients of activations are differences of near numbers
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-12}


def values_and_gradients(case: SheafCase, layer: LayerCase) -> list[Tensor]:
    run, inputs_of = PARTS[layer.part]
    inputs = [t if t is None else t.detach().requires_grad_() for t in inputs_of(case, layer)]
    out = run(case, layer, *inputs)
    seeds = [torch.arange(t.numel(), dtype=t.dtype).reshape(t.shape).remainder(5) - 2 for t in out]
    gradients = torch.autograd.grad(out, [t for t in inputs if t is not None], seeds)
    return [t.detach() for t in (*out, *gradients)]


def agree(layer: LayerCase, found: Tensor, right: Tensor) -> bool:
    """Bit for bit where the part is exact, to rounding elsewhere."""
    straight = layer.activation in ("identity", "relu")
    if layer.part in ALWAYS_EXACT or (straight and layer.part in EXACT_WITHOUT_CURVES):
        return torch.equal(found, right)
    size = float(right.abs().max()) if right.numel() else 0.0
    atol = TOLERANCE[right.dtype] * max(size, 1.0)
    return found.shape == right.shape and torch.allclose(found, right, rtol=0, atol=atol)
