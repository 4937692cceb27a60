"""Features of higher cells from those of their vertices."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.complexes.cells import Ragged, cell_vertices
from topodiff.kernels.checks import check_choice
from topodiff.liftings.base import Lifting, register

_REDUCTIONS = ("sum", "mean", "max", "concat")


@register("features")
class FeatureLifting(Lifting):
    """``x[r][c]`` = sum, mean, maximum or concatenation of ``x[0][v]`` over the vertices v of c.

    Ranks that have features already keep them. Differentiable in ``x[0]``.

    Args:
        reduce: ``"sum"``, ``"mean"``, ``"max"``, or ``"concat"``: features of the vertices one
            after another in the order of :meth:`CellComplex.cells`, for which all cells of a rank
            need the same number of vertices. It depends on the numbering of the vertices.

    Raises:
        ValueError: a complex without ``x[0]``, or ``"concat"`` on cells of different size.
    """

    lifts_unions = True

    def __init__(self, reduce: str = "sum") -> None:
        check_choice("reduce", reduce, _REDUCTIONS)
        self.reduce = reduce

    def lift(self, complex: CellComplex) -> CellComplex:
        if 0 not in complex.x:
            raise ValueError("FeatureLifting needs vertex features: complex.replace(x={0: ...})")
        missing = [r for r in range(1, complex.rank + 1) if r not in complex.x]
        lifted = {r: self._features(complex.x[0], cell_vertices(complex, r), r) for r in missing}
        return complex.replace(x={**complex.x, **lifted})

    def _features(self, x: Tensor, vertices: Ragged, rank: int) -> Tensor:
        if self.reduce == "concat":
            return _concatenate(x, vertices, rank)
        if not x.is_floating_point():
            raise TypeError(
                f"reduce={self.reduce!r} needs floating-point vertex features, got {x.dtype}: "
                "convert them with .float()"
            )
        return kernels.gather_reduce(x, vertices.index, vertices.ptr, reduce=self.reduce)


def _concatenate(x: Tensor, vertices: Ragged, rank: int) -> Tensor:
    sizes = torch.unique(vertices.ptr.diff())
    if sizes.numel() > 1:
        raise ValueError(
            f'reduce="concat" needs cells of one size, but those of rank {rank} have '
            f"{int(sizes[0])} to {int(sizes[-1])} vertices: use sum, mean or max"
        )
    size = int(sizes[0]) if sizes.numel() else rank + 1
    features = x if x.dim() > 1 else x[:, None]
    return features[vertices.index].reshape(-1, size * features.shape[1], *features.shape[2:])
