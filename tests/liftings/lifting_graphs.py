"""Graphs and oracles that the tests of the liftings share."""

from __future__ import annotations

from itertools import combinations

import networkx as nx
import numpy as np
from hypothesis import strategies as st

from topodiff import kernels

IMPLEMENTATIONS = [name for name in ("cpu", "reference") if name in kernels.available()]


@st.composite
def graphs(draw: st.DrawFn, max_vertices: int = 11) -> nx.Graph:
    """Any graph on 0..n-1, sparse ones and dense ones."""
    n = draw(st.integers(0, max_vertices))
    pairs = list(combinations(range(n), 2))
    if pairs and draw(st.booleans()):
        edges = set(pairs) - draw(st.sets(st.sampled_from(pairs), max_size=n))
    else:
        edges = draw(st.sets(st.sampled_from(pairs), max_size=2 * n)) if pairs else set()
    graph = nx.empty_graph(n)
    graph.add_edges_from(edges)
    return graph


def edge_array(graph: nx.Graph) -> np.ndarray:
    """Canonical edges of a graph on 0..n-1."""
    return np.array(sorted(tuple(sorted(e)) for e in graph.edges), dtype=np.int64).reshape(-1, 2)


def canonical_cycle(cycle: list[int]) -> tuple[int, ...]:
    """From the smallest vertex towards its smaller neighbour."""
    start = cycle.index(min(cycle))
    forward = [*cycle[start:], *cycle[:start]]
    return min(tuple(forward), (forward[0], *reversed(forward[1:])))


def rook() -> nx.Graph:
    """The 4 x 4 rook's graph."""
    return nx.convert_node_labels_to_integers(nx.line_graph(nx.complete_bipartite_graph(4, 4)))


def shrikhande() -> nx.Graph:
    """Cayley graph of Z4 x Z4: strongly regular with the parameters of the rook's graph."""
    steps = [(0, 1), (1, 0), (1, 1)]
    return nx.Graph(
        (4 * i + j, 4 * ((i + a) % 4) + (j + b) % 4)
        for i in range(4)
        for j in range(4)
        for a, b in steps
    )


def torus(n: int) -> nx.Graph:
    """The n x n grid with both ends joined."""
    return nx.convert_node_labels_to_integers(nx.grid_2d_graph(n, n, periodic=True))


def decalin() -> nx.Graph:
    """Two hexagons that share an edge."""
    return nx.Graph([*nx.cycle_graph(10).edges, (0, 5)])


def bicyclopentyl() -> nx.Graph:
    """Two pentagons joined by an edge."""
    return nx.Graph([*nx.disjoint_union(nx.cycle_graph(5), nx.cycle_graph(5)).edges, (0, 5)])
