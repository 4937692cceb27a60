"""Neighbourhood complex: sets of vertices with a common neighbour."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.build import simplicial_boundaries
from topodiff.complexes.incidence import count_to_ptr, segment_positions
from topodiff.complexes.integers import LARGEST, whole_number
from topodiff.liftings.base import MAX_RANK, Lifting, attach, register


@register("neighborhood")
class NeighborhoodLifting(Lifting):
    """Sets of up to ``max_rank`` + 1 vertices that have a common neighbour (Lovasz 1978).

    It is the Dowker complex of the adjacency relation. Its edges join vertices two steps apart,
    so data on the edges of the graph does not carry over.

    Args:
        max_rank: largest rank of a simplex, from 1 to 1000.
        max_cells: a vertex of degree d gives (d choose r + 1) simplices of rank r; more than this
            many in all, counted with repetition, raise an error.
    """

    def __init__(self, max_rank: int = 2, max_cells: int = 50_000_000) -> None:
        self.max_rank = whole_number("max_rank", max_rank, 1, MAX_RANK)
        self.max_cells = whole_number("max_cells", max_cells, 0, LARGEST)

    def lift(self, complex: CellComplex) -> CellComplex:
        n = complex.shape[0]
        both = torch.cat([complex.edge_index, complex.edge_index.flip(0)], 1)
        order = torch.argsort(both[0] * n + both[1])
        ptr, neighbour = count_to_ptr(both[0], n), both[1][order]
        self._check_size(ptr.diff())
        rows = _subsets(ptr, neighbour, n, self.max_rank)
        return attach(complex.skeleton(0), simplicial_boundaries(rows, n))

    def _check_size(self, degree: Tensor) -> None:
        values, counts = torch.unique(degree, return_counts=True)
        total = sum(
            count * comb(d, r + 1)
            for d, count in zip(values.tolist(), counts.tolist(), strict=True)
            for r in range(1, self.max_rank + 1)
        )
        if total > self.max_cells:
            raise ValueError(
                f"the neighbourhoods have {total} subsets of up to {self.max_rank + 1} vertices, "
                f"more than max_cells={self.max_cells}: choose a smaller max_rank"
            )


def _subsets(ptr: Tensor, neighbour: Tensor, n: int, max_rank: int) -> Iterator[Tensor]:
    """All different subsets of 2, ..., ``max_rank`` + 1 vertices of the neighbourhoods, sorted.

    Every subset in every neighbourhood grows by each later neighbour at once. Those with the same
    vertices have the same number, so one sort of (number, next vertex) finds the different ones.
    """
    end = ptr[1:].repeat_interleave(ptr.diff())
    last, number = torch.arange(neighbour.numel()), neighbour  # place of the last vertex, number
    rows = torch.arange(n)[:, None]
    for _ in range(max_rank):
        count = end[last] - last - 1
        number = number.repeat_interleave(count)
        last = segment_positions(last + 1, count)
        key, number = torch.unique(number * n + neighbour[last], return_inverse=True)
        rows = torch.cat([rows[key // max(n, 1)], key[:, None] % max(n, 1)], 1)
        yield rows
