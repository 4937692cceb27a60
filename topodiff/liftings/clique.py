"""Clique complex: every clique of r + 1 vertices becomes an r-simplex."""

from __future__ import annotations

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import LARGEST, whole_number
from topodiff.kernels import enumerate
from topodiff.liftings.base import (
    MAX_RANK,
    Lifting,
    attach,
    edge_rows,
    graph_of,
    register,
    to_tensors,
)


@register("clique")
class CliqueLifting(Lifting):
    """The clique (flag) complex of a graph up to ``max_rank``, simplices in lexicographic order.

    The result has rank ``max_rank`` also where the graph has no cliques of that size.

    Args:
        max_rank: largest rank of a simplex (2: triangles, 3: tetrahedra), at least 1.
        max_cells: more simplices of rank >= 1, over all graphs of a union, raise an error instead
            of filling the memory.

    Raises:
        ValueError: for a ``max_rank`` below 1 or above 1000, or more than ``max_cells`` simplices.
    """

    lifts_unions = True

    def __init__(self, max_rank: int = 2, max_cells: int = 50_000_000) -> None:
        self.max_rank = whole_number("max_rank", max_rank, 1, MAX_RANK)
        self.max_cells = whole_number("max_cells", max_cells, 0, LARGEST)

    def lift(self, complex: CellComplex) -> CellComplex:
        graph = graph_of(complex)
        boundaries = enumerate.clique_boundaries(
            graph.shape[0], edge_rows(graph), self.max_rank, self.max_cells
        )
        return attach(graph, map(to_tensors, boundaries[1:]))
