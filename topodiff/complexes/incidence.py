"""Signed incidences between the cells of two neighbouring ranks, indexed from both sides."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes.outlasting import outlasting


class Incidence:
    """Nonzero entries of the boundary matrix ``B_r`` (faces x cells), sorted by cell, then face.

    The two sorted orders are what every kernel works from: entries ``cell_ptr[c]:cell_ptr[c+1]``
    belong to cell ``c``; entries ``by_face[face_ptr[f]:face_ptr[f+1]]`` belong to face ``f``.
    Both are computed once, on first use, in linear time.

    Args:
        index: (2, nnz) long, rows (face, cell).
        sign: (nnz,) long, +1 or -1.
        num_faces: number of (r-1)-cells.
        num_cells: number of r-cells.
    """

    def __init__(self, index: Tensor, sign: Tensor, num_faces: int, num_cells: int) -> None:
        self.index = index
        self.sign = sign
        self.num_faces = num_faces
        self.num_cells = num_cells

    # one tensor each, not a new view at every call: kernels keep what they find out about them
    @cached_property
    @outlasting
    def face(self) -> Tensor:
        """(nnz,) the (r-1)-cell of each entry."""
        return self.index[0]

    @cached_property
    @outlasting
    def cell(self) -> Tensor:
        """(nnz,) the r-cell of each entry, nondecreasing."""
        return self.index[1]

    @property
    def nnz(self) -> int:
        """Number of incidences."""
        return self.index.shape[1]

    @cached_property
    @outlasting
    def cell_ptr(self) -> Tensor:
        """(num_cells + 1,) first entry of each cell."""
        return count_to_ptr(self.cell, self.num_cells)

    @cached_property
    @outlasting
    def _face_order(self) -> tuple[Tensor, Tensor]:
        ptr, order = kernels.sort_by_key(self.face, self.num_faces)
        return ptr, order

    @property
    def face_ptr(self) -> Tensor:
        """(num_faces + 1,) first position of each face in ``by_face``."""
        return self._face_order[0]

    @property
    def by_face(self) -> Tensor:
        """(nnz,) entries in stable order of their face."""
        return self._face_order[1]

    @cached_property
    @outlasting
    def cell_by_face(self) -> Tensor:
        """(nnz,) the cell of each entry, entries in order of their face."""
        return self.cell[self.by_face]

    def __repr__(self) -> str:
        return f"Incidence({self.num_faces} faces, {self.num_cells} cells, {self.nnz} entries)"


def count_to_ptr(key: Tensor, num_keys: int) -> Tensor:
    """(num_keys + 1,) running count of how often each key 0..num_keys-1 occurs in ``key``."""
    ptr = key.new_zeros(num_keys + 1)
    torch.cumsum(torch.bincount(key, minlength=num_keys), 0, out=ptr[1:])
    return ptr


def segment_positions(start: Tensor, length: Tensor) -> Tensor:
    """Positions ``start[s], ..., start[s] + length[s] - 1`` of all segments s, concatenated."""
    ends = torch.cumsum(length, 0)
    shift = torch.repeat_interleave(start - ends + length, length)
    return shift + torch.arange(shift.numel(), device=shift.device)
