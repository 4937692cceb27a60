"""Curvature of a sheaf: the blocks of ``delta delta``.

A face f of rank r - 2 lies in a cell c of rank r through two cells e between them, and
``sum over e of sign(f, e) sign(e, c) F_{e<c} F_{f<e}`` is the difference of the two ways from f to
c. The sheaf has a cochain complex at rank r if all of them vanish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes.incidence import count_to_ptr, segment_positions
from topodiff.complexes.integers import whole_number
from topodiff.sheaves.maps import multiply, take, to_matrices

if TYPE_CHECKING:
    from topodiff.sheaves.sheaf import CellularSheaf


class Curvature(NamedTuple):
    """``value`` (m, d, d) for each pair of ``face`` (m,) of rank r - 2 in ``cell`` (m,) of rank r,
    sorted by cell, then face."""

    face: Tensor
    cell: Tensor
    value: Tensor


def curvature(sheaf: CellularSheaf, rank: int) -> Curvature:
    """The curvature of the maps of rank - 2 -> rank, with gradients.

    Raises:
        ValueError: unless 2 <= rank <= rank of the complex, or where maps are missing.
    """
    complex = sheaf.complex
    whole_number("the rank of a curvature", rank, 2, complex.rank)
    upper, lower = complex.incidence(rank), complex.incidence(rank - 1)
    first = lower.cell_ptr[upper.face]
    count = lower.cell_ptr[upper.face + 1] - first
    below = segment_positions(first, count)
    above = torch.arange(upper.nnz, device=count.device).repeat_interleave(count)
    key = upper.cell[above] * lower.num_faces + lower.face[below]
    order = torch.argsort(key, stable=True)
    below, above = below[order], above[order]
    ways = multiply(
        take(sheaf.restriction_maps(rank), above), take(sheaf.restriction_maps(rank - 1), below)
    )
    like = torch.zeros(0, dtype=sheaf.dtype, device=sheaf.device)
    matrices = to_matrices(ways, below.numel(), sheaf.stalk_dim, like)
    signed = matrices * (upper.sign[above] * lower.sign[below]).to(matrices.dtype)[:, None, None]
    pair, place = torch.unique_consecutive(key[order], return_inverse=True)
    value = kernels.segment_reduce(signed.contiguous(), count_to_ptr(place, pair.numel()))
    n = max(lower.num_faces, 1)
    return Curvature(pair % n, pair // n, value)
