"""A sheaf Laplacian on the vertices of a graph as blocks: one per vertex, one per edge.

Where every cell has two faces, ``delta^T W delta`` has the blocks

    D_v = sum over edges e of v of w_e F_{v<e}^T F_{v<e},      B_e = -w_e F_{head<e}^T F_{tail<e}.

Putting them together costs d^3 per edge, once; a product then takes d^2 channels per edge and
direction, a third of what ``delta`` and ``delta^T`` take. For orthogonal maps ``D_v`` is the
degree.
"""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import Incidence
from topodiff.operators.base import LinearOperator
from topodiff.operators.coboundary import Coboundary, Gram
from topodiff.operators.live import Live
from topodiff.operators.roots import inverse_sqrt
from topodiff.sheaves.maps import Maps, multiply

Blocks = tuple[Tensor, Tensor]


def sheaf_blocks(
    maps: Maps,
    incidence: Incidence,
    *,
    like: Tensor | None = None,
    weights: Tensor | None = None,
    normalized: bool | str = False,
    orthogonal: bool = False,
) -> Blocks:
    """Blocks of the sheaf Laplacian on vertices, for :func:`topodiff.kernels.block_matmul`.

    Args:
        maps: of the incidences of vertices and edges, (2 n_1, d, d), (2 n_1, d), (2 n_1,) or None
            for identities, without signs.
        incidence: of vertices and edges.
        like: gives dtype and device where there are neither maps nor weights.
        weights: (n_1,) of the edges.
        normalized: False, True or ``"augmented"``; see :class:`~topodiff.operators.SheafLaplacian`.
        orthogonal: whether the maps are.

    Returns:
        Diagonal (n_0, d, d), (n_0, d) or (n_0,), and blocks (n_1, d, d), (n_1, d) or (n_1,).
    """
    if normalized and maps is not None and maps.dim() < 3 and weights is None:
        return _fused(maps, incidence, normalized == "augmented")
    number = next(t for t in (maps, weights, like) if t is not None)
    diagonal = _diagonal(maps, incidence, number, weights, orthogonal)
    if not normalized:
        return diagonal, _between(maps, incidence, number, weights)
    if normalized == "augmented":
        total = _plus_identity(diagonal)
        # D + I is regular
        scale = total.rsqrt() if total.dim() < 3 else inverse_sqrt(total)
    else:
        scale = inverse_sqrt(diagonal, check=False)
    if scale.dim() == 3:
        at_face = kernels.gather(scale, incidence.face)
        maps = kernels.small_matmul(maps, at_face)  # type: ignore[arg-type]
        inner = kernels.small_matmul(scale, diagonal)
        return kernels.small_matmul(inner, scale), _between(maps, incidence, number, weights)
    tail, head = _ends(kernels.gather(scale, incidence.face))
    factor = tail * head
    if weights is not None:
        factor = multiply(weights, factor)
    return diagonal * scale.square(), _between(maps, incidence, number, factor)


class VertexGram(Gram):
    """``delta_0^T W delta_0``, applied by its blocks.

    They are kept as long as no gradient to maps or weights is recorded; otherwise each product puts
    them together anew, so that it can be differentiated on its own. Neither are they kept for maps
    or weights made in inference mode: nobody counts what is written to these.
    """

    def __init__(
        self, coboundary: Coboundary, weight: Tensor | None, dtype: torch.dtype | None
    ) -> None:
        super().__init__(coboundary, weight, False, dtype)
        self._kept: Live[Blocks] = Live()

    def _apply(self, x: Tensor) -> Tensor:
        i = self.coboundary.incidence
        state = x if x.dim() == 3 else x.unsqueeze(1)
        diagonal, blocks = self._assemble(x)
        out = kernels.block_matmul(state, diagonal, blocks, i.face, i.face_ptr, i.by_face)
        return out.reshape(x.shape)

    def _absolute(self) -> LinearOperator:
        return Gram(self.coboundary._absolute(), self.weight, False, self.dtype)

    def _assemble(self, x: Tensor) -> Blocks:
        numbers = [t for t in (self.coboundary.maps, self.weight) if t is not None]
        return self._kept(numbers, lambda: self._blocks_like(x), x.dtype)

    def _blocks_like(self, x: Tensor) -> Blocks:
        weight, delta = self.weight, self.coboundary
        return sheaf_blocks(
            delta.maps, delta.incidence, like=x, orthogonal=delta.orthogonal,
            weights=None if weight is None else weight.to(x.dtype),
        )  # fmt: skip


def _fused(maps: Tensor, i: Incidence, augmented: bool) -> Blocks:
    """The normalised blocks of diagonal or scalar maps, in one pass over the edges."""
    columns = maps if maps.dim() == 2 else maps.unsqueeze(1)
    diagonal, blocks = kernels.edge_blocks(columns, i.face, i.face_ptr, i.by_face, augmented)
    return (diagonal, blocks) if maps.dim() == 2 else (diagonal.squeeze(1), blocks.squeeze(1))


def _ends(of_incidences: Tensor) -> tuple[Tensor, Tensor]:
    """What belongs to tails, what to heads."""
    tail, head = of_incidences.unflatten(0, (-1, 2)).unbind(1)
    return tail, head


def _plus_identity(diagonal: Tensor) -> Tensor:
    if diagonal.dim() == 3:
        return diagonal + torch.eye(diagonal.shape[-1]).to(diagonal)
    return diagonal + 1


def _diagonal(
    maps: Maps, i: Incidence, number: Tensor, weights: Tensor | None, orthogonal: bool
) -> Tensor:
    if orthogonal or maps is None:
        if weights is None:
            return i.face_ptr.diff().to(number.dtype)
        return kernels.gather_reduce(weights, i.cell_by_face, i.face_ptr)
    if maps.dim() == 3:
        square = kernels.small_matmul(maps, maps, transpose_a=True)
    else:
        square = maps.square()
    if weights is not None:
        square = multiply(weights.unsqueeze(1).expand(-1, 2).flatten(), square)
    return kernels.gather_reduce(square, i.by_face, i.face_ptr)


def _between(maps: Maps, i: Incidence, number: Tensor, factor: Tensor | None) -> Tensor:
    """``-factor F_head^T F_tail``."""
    if maps is None:
        return number.new_full((i.num_cells,), -1.0) if factor is None else -factor
    tail, head = _ends(maps)
    matrices = maps.dim() == 3
    between = kernels.small_matmul(head, tail, transpose_a=True) if matrices else head * tail
    return -between if factor is None else multiply(-factor, between)
