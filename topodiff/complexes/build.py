"""Complexes from edges, rings and simplices, in canonical order whatever the input's."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topodiff.complexes.cells import (
    Ragged,
    as_ragged,
    lexicographic_order,
    select_rows,
)
from topodiff.complexes.complex import CellComplex
from topodiff.complexes.incidence import segment_positions
from topodiff.complexes.integers import whole_number, whole_numbers
from topodiff.kernels import enumerate as enumeration
from topodiff.kernels.checks import check_choice


def canonical_edges(
    num_vertices: int, edge_index: Tensor, self_loops: str = "error"
) -> tuple[Tensor, Tensor]:
    """Undirected edges of a list of pairs in any order, in one or both directions, repeated or not.

    Args:
        num_vertices: vertices are 0..num_vertices - 1.
        edge_index: (2, E) integers.
        self_loops: ``"error"`` or ``"drop"``.

    Returns:
        edges (2, m) with tail < head in lexicographic order, and for every given pair the number
        of its edge, (E,), -1 for a dropped loop.

    Raises:
        ValueError: for a wrong shape, a vertex out of range, a self-loop (unless dropped).
    """
    check_choice("self_loops", self_loops, ("error", "drop"))
    edge_index = torch.as_tensor(edge_index)
    if edge_index.numel() == 0:
        empty = torch.zeros(2, 0, dtype=torch.long, device=edge_index.device)
        return empty, empty[0]
    if edge_index.dim() != 2 or edge_index.shape[0] != 2:
        raise ValueError(f"edge_index must have shape (2, E), got {tuple(edge_index.shape)}")
    if edge_index.is_floating_point() or edge_index.dtype == torch.bool:
        raise TypeError(f"edge_index must hold integers, got {edge_index.dtype}")
    edge_index = edge_index.long()
    bad = ((edge_index < 0) | (edge_index >= num_vertices)).any(0).nonzero()
    if bad.numel():
        k = int(bad[0])
        raise ValueError(
            f"edge {k} is {tuple(edge_index[:, k].tolist())}, but vertices go from 0 to "
            f"{num_vertices - 1}"
        )
    low, high = edge_index.min(0).values, edge_index.max(0).values
    proper = low != high
    if self_loops == "error" and not bool(proper.all()):
        k = int((~proper).nonzero()[0])
        raise ValueError(
            f"edge {k} is a self-loop at vertex {int(low[k])}; a regular complex has none "
            '(CellComplex.from_edges(..., self_loops="drop") leaves them out)'
        )
    key, inverse = torch.unique(low[proper] * num_vertices + high[proper], return_inverse=True)
    place = torch.full_like(low, -1)
    place[proper] = inverse
    return torch.stack([key // num_vertices, key % num_vertices]), place


def edge_boundary(edges: Tensor) -> tuple[Tensor, Tensor]:
    """Boundary (index, sign) of canonical edges (2, m): -1 at the tail, +1 at the head."""
    m = edges.shape[1]
    cell = torch.arange(m, device=edges.device).repeat_interleave(2)
    sign = torch.tensor([-1, 1], device=edges.device).repeat(m)
    return torch.stack([edges.T.reshape(-1), cell]), sign


def from_edges(
    num_vertices: int, edge_index: Tensor, *, self_loops: str = "error", **data: Any
) -> CellComplex:
    """A graph as a complex of rank 1; arguments as for :func:`canonical_edges`.

    Further keyword arguments (x, positions, y, ...) are passed to :class:`CellComplex`.
    """
    num_vertices = whole_number("num_vertices", num_vertices, 0)
    edges, _ = canonical_edges(num_vertices, edge_index, self_loops)
    return CellComplex((num_vertices, edges.shape[1]), [edge_boundary(edges)], **data)


def from_rings(
    num_vertices: int,
    edge_index: Tensor,
    rings: Iterable[Sequence[int]] | tuple[Tensor, Tensor],
    *,
    self_loops: str = "error",
    **data: Any,
) -> CellComplex:
    """A graph with some of its cycles as 2-cells.

    Args:
        num_vertices: vertices are 0..num_vertices - 1.
        edge_index: (2, E), as for :func:`canonical_edges`.
        rings: vertex cycles, as lists or as ragged arrays (ptr, index), in any order, starting
            anywhere, in either direction; repeated rings count once.
        data: x, positions, y, ... as for :class:`CellComplex`; rows of x[2] in canonical order.

    Raises:
        ValueError: for a ring of fewer than three vertices, with a repeated vertex, or that steps
            between vertices not joined by an edge.
    """
    num_vertices = whole_number("num_vertices", num_vertices, 0)
    edges, _ = canonical_edges(num_vertices, edge_index, self_loops)
    cycles = canonical_rings(as_ragged(rings))
    boundary = ring_boundary(num_vertices, edges, cycles)
    shape = (num_vertices, edges.shape[1], cycles.ptr.numel() - 1)
    return CellComplex(shape, [edge_boundary(edges), boundary], **data)


def canonical_rings(rings: Ragged) -> Ragged:
    """Each cycle from its smallest vertex towards the smaller neighbour; sorted, no repeats."""
    ptr, index = rings
    length = ptr.diff()
    if length.numel() and int(length.min()) < 3:
        k = int(length.argmin())
        raise ValueError(f"ring {k} has {int(length[k])} vertices; a ring has at least 3")
    ring = torch.arange(length.numel()).repeat_interleave(length)
    by = torch.argsort(index, stable=True)
    by = by[torch.argsort(ring[by], stable=True)]
    repeated = ((index[by].diff() == 0) & (ring.diff() == 0)).nonzero()
    if repeated.numel():
        entry = by[repeated[0]]
        raise ValueError(f"ring {int(ring[entry])} visits vertex {int(index[entry])} twice")
    place = by[ptr[:-1]] - ptr[:-1]
    after = index[ptr[:-1] + (place + 1) % length]
    before = index[ptr[:-1] + (place - 1) % length]
    step = torch.where(after < before, 1, -1)
    steps = segment_positions(torch.zeros_like(length), length)
    turned = index[ptr[:-1][ring] + (place[ring] + step[ring] * steps) % length[ring]]
    return _sorted_unique(Ragged(ptr, turned))


def _sorted_unique(rows: Ragged) -> Ragged:
    rows = select_rows(rows, lexicographic_order(rows))
    length = rows.ptr.diff()
    ring = torch.arange(length.numel()).repeat_interleave(length)
    start = segment_positions(torch.zeros_like(length), length)
    same = torch.zeros_like(length, dtype=torch.bool)
    same[1:] = length.diff() == 0
    back = torch.where(same, length, 0)[ring]
    differs = rows.index != rows.index[rows.ptr[:-1][ring] + start - back]
    changed = torch.zeros_like(length).index_add_(0, ring, differs.long()) > 0
    return select_rows(rows, (changed | ~same).nonzero().flatten())


def ring_boundary(num_vertices: int, edges: Tensor, rings: Ragged) -> tuple[Tensor, Tensor]:
    """Boundary (index, sign) of canonical rings over canonical edges (2, m)."""
    rows = np.ascontiguousarray(edges.T.numpy())
    index, sign = enumeration.ring_boundary(
        num_vertices, rows, rings.ptr.numpy(), rings.index.numpy()
    )
    return torch.from_numpy(index), torch.from_numpy(sign)


def from_simplices(
    simplices: Iterable[Sequence[int]] | Mapping[int, Tensor],
    *,
    num_vertices: int | None = None,
    **data: Any,
) -> CellComplex:
    """A simplicial complex.

    Args:
        simplices: vertex tuples (their faces are added), or a dict rank -> (n_r, r + 1) integers
            that already holds all faces (rank 0 may be left out).
        num_vertices: vertices are 0..num_vertices - 1; by default up to the largest one used.
        data: x, positions, y, ... as for :class:`CellComplex`, rows in canonical order.

    Raises:
        TypeError: for vertices that are no integers.
        ValueError: for a repeated vertex in a simplex, a vertex out of range, or a missing face.
    """
    if isinstance(simplices, Mapping):
        rows = {
            whole_number("rank of simplices", r, 0): whole_numbers("vertices", t)
            for r, t in simplices.items()
        }
    else:
        rows = _close_downwards(tuple(map(operator.index, s)) for s in simplices)
    if num_vertices is None:
        num_vertices = 1 + max((int(t.max()) for t in rows.values() if t.numel()), default=-1)
    num_vertices = whole_number("num_vertices", num_vertices, 0)
    _check_simplices(rows.pop(0, torch.zeros(0, 1).long()), 0, num_vertices)
    checked = [
        _check_simplices(rows.get(r, torch.zeros(0, r + 1).long()), r, num_vertices)
        for r in range(1, max(rows, default=0) + 1)
    ]
    shape = [num_vertices, *map(len, checked)]
    return CellComplex(shape, simplicial_boundaries(checked, num_vertices), **data)


def simplicial_boundaries(rows: Iterable[Tensor], num_vertices: int) -> list[tuple[Tensor, Tensor]]:
    """Boundaries (index, sign) of the simplices of ranks 1, 2, ...: rising rows (n_r, r + 1), in
    lexicographic order, each once.

    Raises:
        ValueError: for a missing face.
    """
    boundaries: list[tuple[Tensor, Tensor]] = []
    keys: list[Tensor] = []
    for simplices in rows:
        boundaries.append(_simplex_boundary(simplices, num_vertices, keys))
        keys.append(_simplex_keys(simplices, num_vertices, keys))
    return boundaries


def _close_downwards(simplices: Iterable[tuple[int, ...]]) -> dict[int, Tensor]:
    faces: dict[int, set[tuple[int, ...]]] = {}
    for simplex in simplices:
        if len(set(simplex)) < len(simplex):
            raise ValueError(f"simplex {simplex} repeats a vertex")
        for size in range(1, len(simplex) + 1):
            faces.setdefault(size - 1, set()).update(combinations(sorted(simplex), size))
    return {r: torch.tensor(sorted(f), dtype=torch.long) for r, f in faces.items()}


def _check_simplices(rows: Tensor, rank: int, num_vertices: int) -> Tensor:
    if rows.dim() != 2 or rows.shape[1] != rank + 1:
        raise ValueError(
            f"simplices of rank {rank} must have shape (n, {rank + 1}), got {tuple(rows.shape)}"
        )
    rows = rows.sort(1).values
    bad = ((rows < 0) | (rows >= num_vertices)).any(1) | (rows.diff(dim=1) == 0).any(1)
    if bool(bad.any()):
        simplex = tuple(rows[bad][0].tolist())
        raise ValueError(
            f"simplex {simplex} repeats a vertex or leaves the range 0 to {num_vertices - 1}"
        )
    ptr = (rank + 1) * torch.arange(len(rows) + 1)
    rows = rows[lexicographic_order(Ragged(ptr, rows.flatten()))]
    new = torch.ones(len(rows), dtype=torch.bool)
    new[1:] = (rows.diff(dim=0) != 0).any(1)
    return rows[new]


def _simplex_keys(rows: Tensor, num_vertices: int, keys: list[Tensor]) -> Tensor:
    """Sorted keys: number of the simplex without its last vertex, times n, plus that vertex."""
    return _simplex_number(rows[:, :-1], num_vertices, keys) * num_vertices + rows[:, -1]


def _simplex_number(rows: Tensor, num_vertices: int, keys: list[Tensor]) -> Tensor:
    """Numbers of simplices among those of their rank, -1 where a simplex is missing."""
    number = rows[:, 0]
    for column, key in zip(rows.T[1:], keys, strict=False):
        wanted = number * num_vertices + column
        place = torch.searchsorted(key, wanted).clamp(max=max(key.numel() - 1, 0))
        found = key[place] == wanted if key.numel() else torch.zeros_like(wanted, dtype=torch.bool)
        number = torch.where(found & (number >= 0), place, -1)
    return number


def _simplex_boundary(rows: Tensor, num_vertices: int, keys: list[Tensor]) -> tuple[Tensor, Tensor]:
    count, width = rows.shape
    face, sign = [], []
    for omitted in reversed(range(width)):
        # omitting the last vertex gives the lexicographically first face, and so on
        rest = torch.cat([rows[:, :omitted], rows[:, omitted + 1 :]], 1)
        number = _simplex_number(rest, num_vertices, keys)
        if bool((number < 0).any()):
            k = int((number < 0).nonzero()[0])
            raise ValueError(
                f"simplex {tuple(rows[k].tolist())} is given, but not its face "
                f"{tuple(rest[k].tolist())}"
            )
        face.append(number)
        sign.append((-1) ** omitted)
    index = torch.stack(
        [torch.stack(face, 1).reshape(-1), torch.arange(count).repeat_interleave(width)]
    )
    return index, torch.tensor(sign).repeat(count)
