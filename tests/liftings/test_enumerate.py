"""The enumeration against networkx and gudhi, compiled and in Python."""

from __future__ import annotations

from itertools import pairwise
from time import process_time

import gudhi
import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifting_graphs import IMPLEMENTATIONS, canonical_cycle, edge_array, graphs

from topodiff import kernels
from topodiff.kernels import enumerate

MANY = 10**6
implementations = pytest.mark.parametrize("implementation", IMPLEMENTATIONS)


def cycles(graph: nx.Graph, max_length: int, limit: int = MANY) -> list[tuple[int, ...]]:
    edges = edge_array(graph)
    _, ptr, vertices = enumerate.induced_cycles(
        np.array([0, len(graph)]), np.array([0, len(edges)]), edges, max_length, limit
    )
    return [tuple(vertices[a:b].tolist()) for a, b in pairwise(ptr)]


@implementations
@given(graph=graphs(), max_length=st.integers(3, 12))
def test_induced_cycles_are_those_of_networkx(implementation, graph, max_length):
    expected = [canonical_cycle(c) for c in nx.chordless_cycles(graph, max_length)]
    with kernels.use(implementation):
        found = cycles(graph, max_length)
    assert found == sorted(expected, key=lambda c: (len(c), c))


@implementations
@given(graph=graphs(), max_rank=st.integers(1, 5))
def test_cliques_are_those_of_gudhi_with_their_faces(implementation, graph, max_rank):
    tree = gudhi.SimplexTree()
    for v in graph:
        tree.insert([v])
    for edge in graph.edges:
        tree.insert(edge)
    tree.expansion(max_rank)
    simplices: list[list[tuple[int, ...]]] = [[] for _ in range(max_rank + 1)]
    for simplex, _ in tree.get_skeleton(max_rank):
        simplices[len(simplex) - 1].append(tuple(simplex))
    with kernels.use(implementation):
        found = enumerate.clique_boundaries(len(graph), edge_array(graph), max_rank, MANY)
    for r, (index, sign) in zip(range(1, max_rank + 1), found, strict=True):
        number = dict(zip(sorted(simplices[r - 1]), range(MANY), strict=False))
        expected = [
            (number[simplex[:i] + simplex[i + 1 :]], cell, (-1) ** i)
            for cell, simplex in zip(range(MANY), sorted(simplices[r]), strict=False)
            for i in reversed(range(r + 1))
        ]
        assert list(zip(*index.tolist(), sign.tolist(), strict=True)) == expected
        assert index.dtype == sign.dtype == np.int64


@pytest.mark.skipif(len(IMPLEMENTATIONS) < 2, reason="the compiled module is missing")
@given(parts=st.lists(graphs(8), max_size=4), max_length=st.integers(3, 9))
def test_implementations_agree_bit_for_bit_on_unions(parts, max_length):
    union = nx.disjoint_union_all([nx.empty_graph(0), *parts])
    vertex_ptr = np.cumsum([0] + [len(g) for g in parts])
    edge_ptr = np.cumsum([0] + [g.number_of_edges() for g in parts])
    edges = edge_array(union)
    results = []
    for implementation in IMPLEMENTATIONS:
        with kernels.use(implementation):
            rings = enumerate.induced_cycles(vertex_ptr, edge_ptr, edges, max_length, MANY)
            boundary = enumerate.ring_boundary(len(union), edges, *rings[1:])
            cliques = enumerate.clique_boundaries(len(union), edges, 3, MANY)
            results.append([*rings, *boundary, *(a for pair in cliques for a in pair)])
    for compiled, reference in zip(*results, strict=True):
        assert compiled.dtype == reference.dtype == np.int64
        np.testing.assert_array_equal(compiled, reference)


@implementations
def test_ring_boundary_has_the_sign_of_the_step(implementation):
    edges = np.array([[0, 1], [0, 3], [1, 2], [2, 3]])
    with kernels.use(implementation):
        index, sign = enumerate.ring_boundary(4, edges, np.array([0, 4]), np.array([0, 1, 2, 3]))
    assert index.tolist() == [[0, 1, 2, 3], [0, 0, 0, 0]]
    assert sign.tolist() == [1, -1, 1, 1]


@implementations
def test_ring_on_a_missing_edge_is_named(implementation):
    edges = np.array([[0, 1], [1, 2], [0, 2]])[[0, 2, 1]]
    ptr, vertices = np.array([0, 3, 6]), np.array([0, 1, 2, 0, 1, 3])
    with kernels.use(implementation), pytest.raises(ValueError, match="from vertex 1 to 3"):
        enumerate.ring_boundary(4, edges, ptr, vertices)


@implementations
def test_limits_stop_the_enumeration_and_hold_exactly(implementation):
    graph = nx.complete_graph(8)  # 56 triangles, 28 edges
    with kernels.use(implementation):
        assert len(cycles(graph, 8, limit=56)) == 56
        with pytest.raises(ValueError, match="graph 0 has more than 55 induced cycles of up to 8"):
            cycles(graph, 8, limit=55)
        enumerate.clique_boundaries(8, edge_array(graph), 2, 84)
        with pytest.raises(ValueError, match="more than 83 cells of rank 1 and higher"):
            enumerate.clique_boundaries(8, edge_array(graph), 2, 83)


@pytest.mark.skipif("cpu" not in IMPLEMENTATIONS, reason="the compiled module is missing")
@pytest.mark.parametrize(
    "edges", [[[1, 0]], [[0, 1], [0, 1]], [[1, 2], [0, 1]], [[0, 3]], [[-1, 0]], [[1, 1]]]
)
def test_compiled_enumeration_refuses_edges_out_of_order_or_range(edges):
    edges = np.array(edges)
    with kernels.use("cpu"):
        with pytest.raises(ValueError, match="canonical order"):
            enumerate.clique_boundaries(3, edges, 2, MANY)
        with pytest.raises(ValueError, match="canonical order"):
            enumerate.induced_cycles(np.array([0, 3]), np.array([0, len(edges)]), edges, 5, MANY)


@pytest.mark.skipif("cpu" not in IMPLEMENTATIONS, reason="the compiled module is missing")
def test_dead_ends_do_not_grow_exponentially():
    # a triangle with the smallest vertices, and on it a chain of 60 diamonds: 2^60 paths lead from
    # the triangle into the chain, and none leads back
    graph = nx.Graph([(0, 1), (0, 2), (1, 2), (2, 3)])
    for a in range(3, 183, 3):
        graph.add_edges_from([(a, a + 1), (a, a + 2), (a + 1, a + 3), (a + 2, a + 3)])
    with kernels.use("cpu"):
        found = cycles(graph, 400)
    assert [len(c) for c in found] == [3] + 60 * [4]


@pytest.mark.skipif("cpu" not in IMPLEMENTATIONS, reason="the compiled module is missing")
@pytest.mark.parametrize("build", [nx.windmill_graph, nx.wheel_graph], ids=["windmill", "wheel"])
@pytest.mark.parametrize("hub", ["first", "last"])
def test_a_hub_costs_no_more_whatever_its_number(build, hub):
    # a search from each vertex through the hub took 9 s for these windmills, 3 s for the wheel
    graph = build(1500, 3) if build is nx.windmill_graph else build(1500)
    if hub == "last":
        graph = nx.relabel_nodes(graph, {v: len(graph) - 1 - v for v in graph})
    expected = sorted(canonical_cycle([*t]) for t in nx.enumerate_all_cliques(graph) if len(t) == 3)
    with kernels.use("cpu"):
        start = process_time()
        found = cycles(graph, 6)
        spent = process_time() - start
    assert found == expected
    assert spent < 1  # CPU seconds; it is milliseconds


@pytest.mark.skipif("cpu" not in IMPLEMENTATIONS, reason="the compiled module is missing")
@pytest.mark.parametrize("seed", range(5))
def test_induced_cycles_of_graphs_with_hubs_are_those_of_networkx(seed):
    graph = nx.barabasi_albert_graph(60, 3, seed=seed)
    order = np.random.default_rng(seed).permutation(60).tolist()
    graph = nx.relabel_nodes(graph, dict(zip(range(60), order, strict=True)))
    expected = [canonical_cycle(c) for c in nx.chordless_cycles(graph, 6)]
    with kernels.use("cpu"):
        assert cycles(graph, 6) == sorted(expected, key=lambda c: (len(c), c))
