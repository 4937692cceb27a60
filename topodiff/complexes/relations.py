"""Upper and lower adjacency with the shared coface or face (Bodnar et al. 2021, CWN, section 3)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from topodiff.complexes.incidence import Incidence, segment_positions
from topodiff.complexes.outlasting import outlasting


class Adjacency(NamedTuple):
    """Ordered pairs of neighbouring cells: ``source[k] -> target[k]`` through the cell ``via[k]``.

    One entry for every ordered pair and every shared coface (upper) or face (lower), so two cells
    that share two cofaces appear twice. Sorted by (target, via, source).
    """

    source: Tensor
    target: Tensor
    via: Tensor


@outlasting
def upper_adjacency(incidence: Incidence) -> Adjacency:
    """Faces of a common cell: ``incidence`` is that of rank r + 1, the result relates r-cells.

    Linear in the output, which holds k (k - 1) entries for a cell with k faces.
    """
    cell = incidence.cell_by_face
    first = incidence.cell_ptr[cell]
    count = incidence.cell_ptr[cell + 1] - first
    other = segment_positions(first, count)
    own = incidence.by_face.repeat_interleave(count)
    keep = other != own
    other, own = other[keep], own[keep]
    return Adjacency(incidence.face[other], incidence.face[own], incidence.cell[own])


@outlasting
def lower_adjacency(incidence: Incidence) -> Adjacency:
    """Cells with a common face: ``incidence`` is that of rank r, the result relates r-cells."""
    face = incidence.face
    first = incidence.face_ptr[face]
    count = incidence.face_ptr[face + 1] - first
    source = incidence.cell_by_face[segment_positions(first, count)]
    target = incidence.cell.repeat_interleave(count)
    via = face.repeat_interleave(count)
    keep = source != target
    return Adjacency(source[keep], target[keep], via[keep])
