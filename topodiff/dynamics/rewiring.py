"""Neighbours from positions: nearest, or within a radius."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.dynamics.entries import Entries, EntryOperator

_CHUNK = 1 << 22


@torch.no_grad()
def nearest_neighbors(
    positions: Tensor, k: int, *, loops: bool = False, symmetric: bool = False
) -> Entries:
    """For every point the k nearest others, nearest first. Which of several as far come first
    is open.

    Time n^2, memory a few megabytes.

    Args:
        positions: (n, dim).
        k: 1 <= k < n.
        loops: whether the point itself is one of the k; otherwise it is never among them.
        symmetric: add the entry (j, i) for each (i, j), once.
    """
    n = positions.shape[0]
    most = n if loops else n - 1
    if not 1 <= k <= most:
        raise ValueError(f"k must be 1 to {most} for {n} points, got {k}")
    found = []
    for start, distance in _distances(positions):
        if not loops:
            own = torch.arange(distance.shape[0], device=positions.device)
            distance[own, start + own] = torch.inf
        found.append(distance.topk(k, dim=1, largest=False, sorted=True).indices)
    column = torch.cat(found).flatten()
    row = torch.arange(n, device=positions.device).repeat_interleave(k)
    if not symmetric:
        return Entries.from_pairs(row, column, n)
    return _unique(torch.cat([row, column]), torch.cat([column, row]), n)


@torch.no_grad()
def within_radius(positions: Tensor, radius: float, *, loops: bool = False) -> Entries:
    """All pairs of points at most ``radius`` apart; time n^2.

    Args:
        positions: (n, dim).
        radius: not negative.
        loops: whether each point is its own neighbour.
    """
    if not radius >= 0:
        raise ValueError(f"radius must not be negative, got {radius}")
    rows, columns = [], []
    for start, distance in _distances(positions):
        row, column = (distance <= radius).nonzero().unbind(1)
        rows.append(row + start)
        columns.append(column)
    row, column = torch.cat(rows), torch.cat(columns)
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


def personalized_pagerank(
    matrix: Tensor, entries: Entries, k: int, *, teleport: float = 0.05, steps: int = 64
) -> Entries:
    """The entries of :func:`pagerank_rows`, without their values."""
    return pagerank_rows(matrix, entries, k, teleport=teleport, steps=steps)[0]


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
    if not 1 <= k < n:
        raise ValueError(f"k must be 1 to {n - 1} for {n} vertices, got {k}")
    if not 0 < teleport < 1:
        raise ValueError(f"teleport must be in (0, 1), got {teleport}")
    step = EntryOperator(entries, matrix).T
    width = max(_CHUNK // max(n, 1), 1)
    rows, columns, values = [], [], []
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
    row, column, value = (torch.cat(parts) for parts in (rows, columns, values))
    return Entries.from_pairs(row, column, n), value


def _distances(positions: Tensor):  # type: ignore[no-untyped-def]
    """(first row, distances (rows, n)) for a few rows at a time."""
    if positions.dim() != 2 or not positions.is_floating_point():
        raise ValueError(
            f"positions must be (n, dim) and floating point, got {tuple(positions.shape)} of "
            f"{positions.dtype}"
        )
    if not bool(positions.isfinite().all()):
        raise ValueError("positions are not finite")
    n = positions.shape[0]
    width = max(_CHUNK // max(n, 1), 1)
    for start in range(0, n, width):
        # not through |p|^2 + |q|^2 - 2 p.q, in which near points lose their distance
        yield (
            start,
            torch.cdist(
                positions[start : start + width], positions,
                compute_mode="donot_use_mm_for_euclid_dist",
            ),
        )  # fmt: skip


def _unique(row: Tensor, column: Tensor, n: int) -> Entries:
    pairs = torch.unique(row * n + column)
    return Entries.from_pairs(pairs // n, pairs % n, n)
