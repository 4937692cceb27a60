"""Messages between the cells of a complex, as kernels see them."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.nn.sharing import SharedCells


def upper_messages(
    K: CellComplex | SharedCells, rank: int, p: Tensor, q: Tensor | None, activation: str
) -> Tensor:
    """``out_i = sum over cofaces c of i, faces j != i of c:  act(p_j + q_c)`` for r-cells i.

    Args:
        p: (n_rank, channels).
        q: (n_{rank+1}, channels) or None for zero.
    """
    if isinstance(K, SharedCells):
        return K.upper_messages(rank, p, q, activation)
    inc = K.incidence(rank + 1)
    return kernels.coface_message(
        p, q, inc.face, inc.cell_ptr, inc.face_ptr, inc.by_face, activation
    )


def lower_messages(
    K: CellComplex | SharedCells, rank: int, p: Tensor | None, q: Tensor | None, activation: str
) -> Tensor:
    """``out_i = sum over faces f of i, other cofaces j of f:  act(p_j + q_f)`` for r-cells i.

    The upper messages of the dual complex, in which faces and cofaces change places.

    Args:
        p: (n_rank, channels) or None for zero.
        q: (n_{rank-1}, channels) or None for zero.

    Raises:
        TypeError: shared cells, whose colours leave out lower neighbours.
    """
    if isinstance(K, SharedCells):
        raise TypeError("colours leave out lower neighbours: their messages need the whole complex")
    inc = K.incidence(rank)
    by_cell = torch.empty_like(inc.by_face)
    by_cell[inc.by_face] = torch.arange(inc.nnz, device=by_cell.device)
    return kernels.coface_message(
        p, q, inc.cell_by_face, inc.face_ptr, inc.cell_ptr, by_cell, activation
    )


def boundary_sum(K: CellComplex | SharedCells, rank: int, x: Tensor) -> Tensor:
    """``out_c = sum over faces j of c:  x_j`` for r-cells c; x (n_{rank-1}, channels)."""
    if isinstance(K, SharedCells):
        return K.boundary_sum(rank, x)
    inc = K.incidence(rank)
    return kernels.incidence_matmul(
        x, inc.face, inc.cell, None, inc.cell_ptr, inc.face_ptr, inc.by_face, transpose=True
    )
