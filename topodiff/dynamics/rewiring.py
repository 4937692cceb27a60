"""Neighbours from positions: nearest, or within a radius."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from topodiff.dynamics.entries import Entries, EntryOperator

_CHUNK = 1 << 22


@torch.no_grad()
def nearest_neighbors(
    positions: Tensor | EntryOperator,
    k: int,
    *,
    loops: bool = False,
    symmetric: bool = False,
    ptr: Tensor | None = None,
) -> Entries:
    """For every point the k nearest others, nearest first. Which of several as far come first
    is open.

    Time n^2, memory a few megabytes.

    Args:
        positions: (n, dim), or a sparse matrix whose rows they are.
        k: 1 <= k < n.
        loops: whether the point itself is one of the k; otherwise it is never among them.
        symmetric: add the entry (j, i) for each (i, j), once.
        ptr: (graphs + 1,) points of the graphs of a batch, each with neighbours among its own
            alone; all of them in a graph with fewer than k.
    """
    n = positions.shape[0]
    if ptr is None and not 1 <= k <= n - (not loops):
        raise ValueError(f"k must be 1 to {n - (not loops)} for {n} points, got {k}")
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    rows, columns = [], []
    for start, first, distance in _distances(positions, ptr):
        count, size = distance.shape
        own = torch.arange(count, device=distance.device)
        # the point itself comes first, also among points at the same place, or not at all
        distance[own, start - first + own] = -1 if loops else torch.inf
        most = min(k, size - (not loops))
        found = distance.topk(most, dim=1, largest=False, sorted=True).indices
        rows.append((start + own).repeat_interleave(most))
        columns.append(first + found.flatten())
    row, column = _joined(rows, positions.device), _joined(columns, positions.device)
    if not symmetric:
        return Entries.from_pairs(row, column, n)
    return _unique(torch.cat([row, column]), torch.cat([column, row]), n)


@torch.no_grad()
def within_radius(
    positions: Tensor | EntryOperator,
    radius: float,
    *,
    loops: bool = False,
    ptr: Tensor | None = None,
) -> Entries:
    """All pairs of points at most ``radius`` apart; time n^2.

    Args:
        positions: (n, dim), or a sparse matrix whose rows they are.
        radius: not negative.
        loops: whether each point is its own neighbour.
        ptr: (graphs + 1,) points of the graphs of a batch, between which there are no pairs.
    """
    if not radius >= 0:
        raise ValueError(f"radius must not be negative, got {radius}")
    rows, columns = [], []
    for start, first, distance in _distances(positions, ptr):
        row, column = (distance <= radius).nonzero().unbind(1)
        rows.append(row + start)
        columns.append(column + first)
    row, column = _joined(rows, positions.device), _joined(columns, positions.device)
    if not loops:
        row, column = row[row != column], column[row != column]
    return Entries.from_pairs(row, column, positions.shape[0])


def keep_heaviest(entries: Entries, weight: Tensor, fraction: float) -> Entries:
    """The entries with the largest weights, a ``fraction`` of them; loops always stay.

    GRAND-nl-rw keeps the edges of a densified graph with attention above a threshold (eq. 12).

    Args:
        entries: of the graph.
        weight: (nnz,) one for each entry; for several heads their mean, say.
        fraction: in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], got {fraction}")
    if weight.shape != (entries.nnz,):
        raise ValueError(
            f"weight must have shape ({entries.nnz},), one for each of {entries}; got "
            f"{tuple(weight.shape)}"
        )
    count = round(fraction * entries.nnz)
    chosen = entries.index == entries.row
    chosen[weight.detach().topk(count).indices] = True
    return Entries.from_pairs(entries.row[chosen], entries.index[chosen], entries.num_rows)


@torch.no_grad()
def pagerank_rows(
    matrix: Tensor, entries: Entries, k: int, *, teleport: float = 0.05, steps: int = 64
) -> tuple[Entries, Tensor]:
    """For every vertex itself and the k others of largest ``teleport sum_s (1 - teleport)^s P^s``,
    P with the given entries (Klicpera et al., Diffusion improves graph learning, 2019), and these
    values (nnz,); fewer where fewer can be reached. Which of several alike are taken is open.

    Memory grows with n k; time with n times the entries.

    Args:
        matrix: (nnz,) values of P, rows that sum to 1.
        steps: terms of the series; what is left out has the mass (1 - teleport)^steps.
    """
    n = entries.num_rows
    if not 0 <= k < max(n, 1):
        raise ValueError(f"k must be 0 to {max(n - 1, 0)} for {n} vertices, got {k}")
    if not 0 < teleport < 1:
        raise ValueError(f"teleport must be in (0, 1), got {teleport}")
    step = EntryOperator(entries, matrix).T
    width = max(_CHUNK // max(n, 1), 1)
    rows, columns, values = [], [], [matrix[:0]]
    for start in range(0, n, width):
        count = min(width, n - start)
        mass = torch.zeros(n, count, dtype=matrix.dtype, device=matrix.device)
        own = torch.arange(count, device=matrix.device)
        mass[start + own, own] = 1
        total = torch.zeros_like(mass)
        for s in range(steps):
            total += teleport * (1 - teleport) ** s * mass
            mass = step @ mass
        value = total.T.contiguous()
        # the vertex itself is always among them
        ranked = value.clone()
        ranked[own, start + own] = torch.inf
        column = ranked.topk(k + 1, dim=1).indices
        value = value.gather(1, column)
        row, place = (value > 0).nonzero().unbind(1)
        rows.append(start + row)
        columns.append(column[row, place])
        values.append(value[row, place])
    entries = Entries.from_pairs(_joined(rows, matrix.device), _joined(columns, matrix.device), n)
    return entries, torch.cat(values)


def _distances(
    positions: Tensor | EntryOperator, ptr: Tensor | None
) -> Iterator[tuple[int, int, Tensor]]:
    """A few rows of a graph at a time: the first of them, the first point of the graph, and
    distances (rows, points of the graph)."""
    n = positions.shape[0]
    distances = (
        _between_points(positions) if isinstance(positions, Tensor) else _between_rows(positions)
    )
    ends = [0, n] if ptr is None else ptr.tolist()
    if ends[0] != 0 or ends[-1] != n:
        raise ValueError(
            f"ptr must go from 0 to {n}, the number of points; got {ends[0]} to {ends[-1]}"
        )
    for first, last in pairwise(ends):
        width = max(_CHUNK // max(last - first, 1), 1)
        for start in range(first, last, width):
            yield (
                start,
                first,
                distances(slice(start, min(start + width, last)), slice(first, last)),
            )


def _between_points(points: Tensor) -> Callable[[slice, slice], Tensor]:
    if points.dim() != 2 or not points.is_floating_point():
        raise ValueError(
            f"positions must be (n, dim) and floating point, got {tuple(points.shape)} of "
            f"{points.dtype}"
        )
    if not bool(points.isfinite().all()):
        raise ValueError("positions are not finite")
    # not through |p|^2 + |q|^2 - 2 p.q, in which near points lose their distance
    exact = "donot_use_mm_for_euclid_dist"
    return lambda some, others: torch.cdist(points[some], points[others], compute_mode=exact)


def _between_rows(matrix: EntryOperator) -> Callable[[slice, slice], Tensor]:
    """Through products, as rows have few entries; in double precision, for near ones."""
    if not bool(matrix.weight.isfinite().all()):
        raise ValueError("positions are not finite")
    matrix = EntryOperator(matrix.entries, matrix.weight.double())
    squares = matrix.entries.row_sums(matrix.weight.square())

    def distances(some: slice, others: slice) -> Tensor:
        count = some.stop - some.start
        chosen = squares.new_zeros(len(squares), count)
        chosen[some] = torch.eye(count, dtype=chosen.dtype, device=chosen.device)
        product = (matrix @ (matrix.T @ chosen))[others].T
        return (squares[some, None] + squares[others] - 2 * product).clamp(min=0).sqrt()

    return distances


def _joined(parts: list[Tensor], device: torch.device) -> Tensor:
    return torch.cat([torch.zeros(0, dtype=torch.long, device=device), *parts])


def _unique(row: Tensor, column: Tensor, n: int) -> Entries:
    pairs = torch.unique(row * n + column)
    return Entries.from_pairs(pairs // n, pairs % n, n)
