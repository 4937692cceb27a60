"""Vertex tuples of cells, and their lexicographic order."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from topodiff.complexes.incidence import Incidence, count_to_ptr, segment_positions
from topodiff.complexes.integers import whole_numbers

if TYPE_CHECKING:
    from topodiff.complexes.complex import CellComplex


class Ragged(NamedTuple):
    """Rows of different lengths: row i is ``index[ptr[i]:ptr[i + 1]]``."""

    ptr: Tensor
    index: Tensor  # type: ignore[assignment]  # shadows tuple.index


def cell_vertices(complex: CellComplex, rank: int) -> Ragged:
    """The vertex tuples of all cells of ``rank``; see :meth:`CellComplex.cells`."""
    if not 0 <= rank <= complex.rank:
        raise ValueError(f"the complex has ranks 0 to {complex.rank}, asked for {rank}")
    if rank == 0:
        count = torch.arange(complex.shape[0] + 1, device=complex.device)
        return Ragged(count, count[:-1])
    if rank == 1:
        tail_and_head = complex.boundary_index(1)[0]
        ptr = 2 * torch.arange(complex.shape[1] + 1, device=tail_and_head.device)
        return Ragged(ptr, tail_and_head)
    if rank == 2:
        # the sign of an edge from its smaller to its larger vertex; 1 unless reoriented
        upward = complex.boundary_sign(1)[1::2]
        return boundary_walk(complex.edge_index, upward, complex.incidence(2))
    return vertex_sets(cell_vertices(complex, rank - 1), complex.incidence(rank), complex.shape[0])


def boundary_walk(edges: Tensor, upward: Tensor, incidence: Incidence) -> Ragged:
    """Vertices of 2-cells in the order in which their signed boundary runs through them, or
    against it, so that the first edge of the cell leads up.

    The walk starts on the first edge of the cell. Every step is taken for all cells at once.

    Args:
        edges: (2, m) smaller and larger vertex of every edge.
        upward: (m,) 1 for an edge oriented from its smaller to its larger vertex, or -1.
        incidence: between edges and 2-cells.

    Raises:
        ValueError: where the boundary of a 2-cell is not one simple closed cycle.
    """
    ptr = incidence.cell_ptr
    _name_cells("has no edges", (ptr.diff() == 0).nonzero())
    direction = incidence.sign * upward[incidence.face]
    forward = direction == direction[ptr[:-1]][incidence.cell]
    tail, head = edges[:, incidence.face]
    source, target = torch.where(forward, tail, head), torch.where(forward, head, tail)
    num_vertices = int(edges.max()) + 1 if edges.numel() else 0
    leaving, order = torch.sort(incidence.cell * num_vertices + source)
    arriving = incidence.cell * num_vertices + target
    place = torch.searchsorted(leaving, arriving).clamp(max=max(leaving.numel() - 1, 0))
    _name_cells("has a boundary that is not closed", incidence.cell[leaving[place] != arriving])
    _name_cells("visits a vertex twice", incidence.cell[order[1:]][leaving.diff() == 0])
    following = order[place]
    out = torch.empty_like(source)
    current, at, end = ptr[:-1], ptr[:-1], ptr[1:]
    step = 0
    while current.numel():
        out[at + step] = source[current]
        step += 1
        current = following[current]
        more = at + step < end
        closed = current == at
        _name_cells("has a boundary of several cycles", incidence.cell[at[closed != ~more]])
        current, at, end = current[more], at[more], end[more]
    return Ragged(ptr, out)


def _name_cells(fault: str, cells: Tensor) -> None:
    if cells.numel():
        raise ValueError(f"2-cell {int(cells.flatten()[0])} {fault}")


def vertex_sets(faces: Ragged, incidence: Incidence, num_vertices: int) -> Ragged:
    """Sorted vertices of every cell, from those of its faces."""
    first = faces.ptr[incidence.face]
    count = faces.ptr[incidence.face + 1] - first
    vertex = faces.index[segment_positions(first, count)]
    key = torch.unique(incidence.cell.repeat_interleave(count) * num_vertices + vertex)
    cell = key // max(num_vertices, 1)
    return Ragged(count_to_ptr(cell, incidence.num_cells), key - cell * num_vertices)


def canonical_order(complex: CellComplex, rank: int) -> Tensor:
    """Cells of ``rank`` by number of vertices, vertex tuple, and then faces; stable."""
    rows = cell_vertices(complex, rank)
    if rank < 3:
        return lexicographic_order(rows)
    # two cells of rank 3 may have the same vertices; their faces tell them apart
    incidence = complex.incidence(rank)
    by_faces = lexicographic_order(Ragged(incidence.cell_ptr, incidence.face))
    return by_faces[lexicographic_order(select_rows(rows, by_faces))]


def select_rows(rows: Ragged, which: Tensor) -> Ragged:
    """The given rows, in the given order."""
    length = rows.ptr.diff()[which]
    ptr = torch.cat([length.new_zeros(1), length.cumsum(0)])
    return Ragged(ptr, rows.index[segment_positions(rows.ptr[:-1][which], length)])


def lexicographic_order(rows: Ragged) -> Tensor:
    """Stable order of rows by length and then entry by entry."""
    length = rows.ptr.diff()
    by_length = torch.argsort(length, stable=True)
    width = int(length.max()) if length.numel() else 0
    lengths = torch.arange(width + 2, device=length.device)
    first = torch.searchsorted(length[by_length], lengths).tolist()  # row of each length
    order = by_length[:0]
    for column in reversed(range(width)):
        # least significant column first, of the rows that have it
        order = torch.cat([order, by_length[first[column + 1] : first[column + 2]]])
        order = order[torch.argsort(rows.index[rows.ptr[order] + column], stable=True)]
    order = torch.cat([by_length[: first[1]], order])
    return order[torch.argsort(length[order], stable=True)]


def as_tuples(rows: Ragged) -> list[tuple[int, ...]]:
    """Rows as a list of tuples of Python integers."""
    flat, ptr = rows.index.tolist(), rows.ptr.tolist()
    return [tuple(flat[a:b]) for a, b in pairwise(ptr)]


def as_ragged(rows: object) -> Ragged:
    """A list of vertex sequences, or a pair (ptr, index), as :class:`Ragged`."""
    if isinstance(rows, tuple) and len(rows) == 2 and all(hasattr(t, "dtype") for t in rows):
        ptr, index = (whole_numbers("ragged rows", t) for t in rows)
        if ptr.dim() != 1 or index.dim() != 1 or not ptr.numel() or bool((ptr.diff() < 0).any()):
            raise ValueError("ragged rows are (ptr, index), both 1-D, ptr rising from 0")
        if int(ptr[0]) != 0 or int(ptr[-1]) != index.numel():
            raise ValueError(
                f"ptr of ragged rows must go from 0 to the {index.numel()} entries of index, "
                f"got {int(ptr[0])} to {int(ptr[-1])}"
            )
        return Ragged(ptr, index)
    listed = [list(row) for row in rows]  # type: ignore[attr-defined]
    length = torch.tensor([len(row) for row in listed], dtype=torch.long)
    ptr = torch.cat([length.new_zeros(1), length.cumsum(0)])
    return Ragged(ptr, whole_numbers("vertices", [v for row in listed for v in row]))
