"""Ring complex: 2-cells glued along the induced cycles of a graph."""

from __future__ import annotations

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import LARGEST, whole_number
from topodiff.kernels import enumerate
from topodiff.liftings.base import (
    Lifting,
    attach,
    edge_rows,
    graph_of,
    register,
    to_tensors,
)


@register("ring")
class RingLifting(Lifting):
    """2-cells on all induced (chordless) cycles of up to ``max_ring_size`` vertices.

    This is the k-IC lifting of Bodnar et al., Weisfeiler and Lehman Go Cellular (2021). Unlike a
    basis of the cycle space it depends on nothing but the graph: renumbering the vertices renumbers
    the cells. There may be more 2-cells than independent cycles (cubane has 10 induced cycles of up
    to 6 atoms, 5 of them independent), and none on a ring that is longer or has a chord. The result
    has rank 2 also where there are no rings. For given rings see :meth:`CellComplex.from_rings`.

    Args:
        max_ring_size: largest number of vertices of a ring, at least 3.
        max_rings: a graph with more of them raises an error; on dense graphs their number grows
            exponentially with ``max_ring_size``. The time is polynomial per ring.

    Raises:
        ValueError: for a ``max_ring_size`` below 3, or a graph with more than ``max_rings``.
    """

    lifts_unions = True

    def __init__(self, max_ring_size: int = 6, max_rings: int = 10_000_000) -> None:
        self.max_ring_size = whole_number("max_ring_size", max_ring_size, 3, LARGEST)
        self.max_rings = whole_number("max_rings", max_rings, 0, LARGEST)

    def lift(self, complex: CellComplex) -> CellComplex:
        graph = graph_of(complex)
        edges = edge_rows(graph)
        vertex_ptr, edge_ptr = (p.numpy() for p in graph.ptr)
        _, ptr, vertices = enumerate.induced_cycles(
            vertex_ptr, edge_ptr, edges, self.max_ring_size, self.max_rings
        )
        boundary = enumerate.ring_boundary(graph.shape[0], edges, ptr, vertices)
        return attach(graph, [to_tensors(boundary)])
