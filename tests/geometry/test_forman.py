"""Balanced Forman curvature: against its definition, and on graphs whose curvature is known."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import topodiff as td
from topodiff.geometry import balanced_forman, edge_neighborhoods, forman


def by_definition(graph: nx.Graph, i: int, j: int) -> float:
    """Definition 1 with sets."""
    near = {v: set(graph[v]) for v in graph}
    low, high = sorted((len(near[i]), len(near[j])))
    if low == 1:
        return 0.0
    triangles = near[i] & near[j]

    def squares(a: int, b: int) -> dict[int, int]:
        """k next to a -> number of squares a - k - w - b without diagonals."""
        found = {k: len((near[k] & near[b]) - near[a] - {a}) for k in near[a] - near[b] - {b}}
        return {k: count for k, count in found.items() if count}

    at_i, at_j = squares(i, j), squares(j, i)
    value = 2 / low + 2 / high - 2 + 2 * len(triangles) / high + len(triangles) / low
    if at_i:
        gamma = max(*at_i.values(), *at_j.values())
        value += (len(at_i) + len(at_j)) / (gamma * high)
    return value


@pytest.mark.parametrize(
    ("graph", "value"),
    [
        (nx.cycle_graph(3), 1.5),
        (nx.cycle_graph(4), 1.0),
        (nx.cycle_graph(5), 0.0),
        (nx.cycle_graph(9), 0.0),
        (nx.complete_graph(5), 5 / 4),
        (nx.complete_graph(12), 12 / 11),
        (nx.grid_2d_graph(5, 5, periodic=True), 0.0),
        (nx.hypercube_graph(4), 2 / 4),
        (nx.petersen_graph(), 4 / 3 - 2),  # cubic without cycles of three or four edges
        (nx.complete_bipartite_graph(4, 4), 2 * 2 / 4 - 2 + 6 / (3 * 4)),
    ],
    ids=str,
)
def test_known_values(graph, value):
    graph = nx.convert_node_labels_to_integers(graph)
    assert by_definition(graph, *next(iter(graph.edges))) == pytest.approx(value)
    found = balanced_forman(td.from_networkx(graph))
    torch.testing.assert_close(found, torch.full((graph.number_of_edges(),), value).double())


def test_trees_and_ends():
    """4 / (r + 1) - 2 inside of an r-ary tree, 0 at its leaves."""
    graph = nx.balanced_tree(3, 4)
    complex = td.from_networkx(graph)
    found = balanced_forman(complex)
    degree = torch.tensor([graph.degree[v] for v in sorted(graph)])[complex.edge_index]
    inside = (degree == 4).all(0)
    assert int(inside.sum()) == 36
    torch.testing.assert_close(found[inside], torch.full((36,), 4 / 4 - 2.0).double())
    assert bool((found[(degree == 1).any(0)] == 0).all())


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 14), p=st.floats(0.1, 0.9), seed=st.integers(0, 10_000),
    piece=st.sampled_from([1, 7, 10**6]),
)  # fmt: skip
def test_against_the_definition(n, p, seed, piece):
    graph = nx.gnp_random_graph(n, p, seed=seed)
    complex = td.from_networkx(graph)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forman, "_WEDGES", piece)
        found = balanced_forman(complex)
    expected = [by_definition(graph, *edge) for edge in complex.edge_index.T.tolist()]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    assert bool((found > -2).all())


def test_counts():
    """A square u, k, w, v with one more k on the side of u."""
    graph = nx.Graph([(0, 1), (0, 2), (2, 3), (3, 1), (0, 4), (4, 3), (0, 5), (5, 1)])
    complex = td.from_networkx(graph)
    at = {edge: k for k, edge in enumerate(map(tuple, complex.edge_index.T.tolist()))}
    found = edge_neighborhoods(complex)
    assert [int(t[at[0, 1]]) for t in found] == [4, 3, 1, 2, 1, 2]


def test_many_vertices_at_once():
    """A barbell: its bridge is the most negative edge; large sizes stay cheap."""
    graph = nx.barbell_graph(30, 0)
    complex = td.from_networkx(graph)
    found = balanced_forman(complex)
    bridge = complex.edge_index[:, found.argmin()]
    assert set(bridge.tolist()) == {29, 30}
    torch.testing.assert_close(found.min(), torch.tensor(4 / 30 - 2).double())
    edges = torch.from_numpy(np.random.default_rng(0).integers(0, 20_000, (2, 60_000)))
    large = td.CellComplex.from_edges(20_000, edges, self_loops="drop")
    assert balanced_forman(large).shape == (large.num_cells(1),)


def test_graphs_in_all_forms():
    graph = nx.karate_club_graph()
    complex = td.from_networkx(graph)
    found = balanced_forman(complex)
    assert torch.equal(balanced_forman(graph), found)
    assert torch.equal(balanced_forman(complex.edge_index.flip(1)), found)


def test_bad_input():
    with pytest.raises(TypeError, match="networkx graph"):
        balanced_forman([(0, 1)])
