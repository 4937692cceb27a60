"""What holds for every lifting of graphs: input, data, order, unions, names."""

from __future__ import annotations

from itertools import combinations
from math import comb
from time import process_time

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lifting_graphs import canonical_cycle, graphs

import topodiff as td
from topodiff.liftings import base

CLIQUES = td.liftings.CliqueLifting(max_rank=3)
RINGS = td.liftings.RingLifting(max_ring_size=7)
NEIGHBORS = td.liftings.NeighborhoodLifting(max_rank=2)
both = pytest.mark.parametrize("lifting", [CLIQUES, RINGS], ids=["clique", "ring"])
every = pytest.mark.parametrize(
    "lifting", [CLIQUES, RINGS, NEIGHBORS], ids=["clique", "ring", "neighborhood"]
)


@every
@given(graph=graphs(9))
def test_result_is_a_valid_complex(lifting, graph):
    complex = lifting(graph).validate()
    assert complex.rank == getattr(lifting, "max_rank", 2)
    betti = complex.betti_numbers()
    assert sum(betti[::2]) - sum(betti[1::2]) == complex.euler_characteristic


@every
@given(graph=graphs(9), random=st.randoms(use_true_random=False))
def test_renumbering_the_vertices_renumbers_the_cells(lifting, graph, random):
    new = list(range(len(graph)))
    random.shuffle(new)
    renumbered = nx.empty_graph(len(graph))
    renumbered.add_edges_from((new[u], new[v]) for u, v in graph.edges)
    before, after = lifting(graph), lifting(renumbered)
    assert after.betti_numbers() == before.betti_numbers()
    for r in range(1, before.rank + 1):
        canonical = canonical_cycle if (lifting is RINGS and r == 2) else lambda c: tuple(sorted(c))
        moved = [canonical([new[v] for v in cell]) for cell in before.cells(r)]
        assert after.cells(r) == sorted(moved, key=lambda c: (len(c), c))


@every
@given(parts=st.lists(graphs(6), min_size=2, max_size=4))
def test_a_union_is_lifted_complex_by_complex(lifting, parts):
    complexes = [td.from_networkx(graph) for graph in parts]
    lifted = lifting(td.batch(complexes)).validate()
    assert lifted.equals(td.batch([lifting(k) for k in complexes]))


@both
@pytest.mark.parametrize("n", [0, 1, 4])
def test_graphs_without_edges_keep_every_rank(lifting, n):
    no_edges = td.CellComplex((n,), [], x={0: torch.ones(n, 2)})
    top = getattr(lifting, "max_rank", 2)
    for graph in (nx.empty_graph(n), no_edges):
        assert lifting(graph).validate().shape == (n, *[0] * top)
    assert torch.equal(lifting(no_edges).x[0], torch.ones(n, 2))


@both
def test_kinds_of_input_agree(lifting):
    graph = nx.karate_club_graph()
    expected = lifting(td.from_networkx(graph))
    edges = torch.tensor(list(graph.edges)).T
    for given_edges in (edges, edges.flip(0, 1), torch.cat([edges, edges.flip(0)], 1)):
        assert lifting(given_edges).equals(expected)
    assert lifting(edges.numpy().astype(np.int32)).equals(expected)
    assert lifting(edges.numpy().astype(np.uint32)).equals(expected)
    assert lifting(graph).equals(expected)


def test_networkx_nodes_are_numbered_in_the_order_given():
    graph = nx.Graph()
    graph.add_nodes_from("dacb")
    graph.add_edges_from(["ac", "cb", "ba"])
    assert td.liftings.CliqueLifting()(graph).cells(2) == [(1, 2, 3)]


@both
def test_data_of_the_graph_stays(lifting):
    data = {
        "x": {0: torch.rand(4, 2), 1: torch.rand(5, 3)},
        "weights": {1: torch.rand(5)},
        "labels": {0: torch.arange(4)},
        "positions": torch.rand(4, 3),
        "y": torch.rand(1, 2),
    }
    edges = torch.tensor([[0, 0, 1, 1, 2], [1, 2, 2, 3, 3]])
    lifted = lifting(td.CellComplex.from_edges(4, edges, **data))
    assert lifted.num_cells(2) == 2
    for name, value in data.items():
        assert getattr(lifted, name) is value or getattr(lifted, name) == value


def test_cells_of_higher_rank_are_replaced():
    square = td.liftings.RingLifting(max_ring_size=4)(nx.cycle_graph(4))
    square = square.replace(x={0: torch.rand(4, 1), 2: torch.rand(1, 1)})
    lifted = CLIQUES(square)
    assert lifted.shape == (4, 4, 0, 0)
    assert set(lifted.x) == {0}


@both
@pytest.mark.parametrize(
    ("graph", "error", "message"),
    [
        (nx.DiGraph([(0, 1)]), ValueError, "directed"),
        (nx.MultiGraph([(0, 1), (0, 1)]), ValueError, "multigraph"),
        (nx.Graph([(0, 0)]), ValueError, "self-loop"),
        (torch.tensor([[0, 1], [0, 2]]), ValueError, "self-loop"),
        (torch.tensor([[0, -1], [1, 2]]), ValueError, "vertices go from 0"),
        (torch.zeros(3, 2), ValueError, r"edge_index of shape \(2, m\), got \(3, 2\)"),
        (torch.zeros(2, 3), TypeError, "integers"),
        (torch.full((2, 3), torch.nan), TypeError, "integers"),
        (torch.ones(2, 3).bool(), TypeError, "integers"),
        ([(0, 1)], TypeError, "got list"),
    ],
)
def test_what_is_not_a_graph_is_refused(lifting, graph, error, message):
    with pytest.raises(error, match=message):
        lifting(graph)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: td.liftings.RingLifting(max_ring_size=2), "max_ring_size .* >= 3, got 2"),
        (lambda: td.liftings.RingLifting(max_ring_size=4.5), "max_ring_size .* got 4.5"),
        (lambda: td.liftings.CliqueLifting(max_rank=0), "max_rank .* from 1 to 1000, got 0"),
        (lambda: td.liftings.CliqueLifting(max_rank=True), "max_rank .* got True"),
        (lambda: td.liftings.NeighborhoodLifting(max_rank=0), "max_rank"),
        (lambda: td.liftings.SkeletonLifting(-1), "rank .* >= 0, got -1"),
        (lambda: td.liftings.RingLifting(2**63), "max_ring_size .* from 3 to 92.*, got 92"),
        (lambda: td.liftings.RingLifting(6, max_rings=2**70), "max_rings .* from 0 to 92"),
        (lambda: td.liftings.CliqueLifting(2, max_cells=2**70), "max_cells .* from 0 to 92"),
        (lambda: td.liftings.CliqueLifting(2**40), "max_rank .* from 1 to 1000"),
        (lambda: td.liftings.NeighborhoodLifting(1001), "max_rank .* from 1 to 1000"),
        (lambda: td.liftings.VietorisRipsLifting(1.0, 1001), "max_rank .* from 1 to 1000"),
        (lambda: td.liftings.AlphaLifting(max_rank=1001), "max_rank .* from 1 to 1000"),
    ],
)
def test_impossible_options_are_refused_at_once(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_too_many_cells_raise_instead_of_filling_the_memory():
    dense = nx.complete_graph(20)
    with pytest.raises(ValueError, match="more than 1000 induced cycles of up to 3 vertices"):
        td.liftings.RingLifting(max_ring_size=3, max_rings=1000)(dense)
    with pytest.raises(ValueError, match="more than 1000 cells of rank 1"):
        td.liftings.CliqueLifting(max_rank=10, max_cells=1000)(dense)
    with pytest.raises(ValueError, match="max_cells=1000"):
        td.liftings.NeighborhoodLifting(max_rank=10, max_cells=1000)(dense)


@given(graph=graphs(8), max_rank=st.integers(1, 4))
def test_neighborhood_complex_by_definition(graph, max_rank):
    sizes = range(2, max_rank + 2)
    expected = {
        cell for v in graph for size in sizes for cell in combinations(sorted(graph[v]), size)
    }
    complex = td.liftings.NeighborhoodLifting(max_rank)(graph)
    found = [cell for r in range(1, max_rank + 1) for cell in complex.cells(r)]
    assert found == sorted(expected, key=lambda c: (len(c), c))


def test_neighborhoods_of_a_hub_take_no_time_each():
    start = process_time()
    complex = NEIGHBORS(nx.star_graph(200))
    assert complex.shape == (201, comb(200, 2), comb(200, 3))
    assert process_time() - start < 6  # 1 s, and 12 s where all combinations are written out


def test_composition_runs_left_to_right():
    lifting = td.liftings.Compose(
        td.liftings.VietorisRipsLifting(max_distance=1.0),
        td.liftings.RingLifting(max_ring_size=4),
        td.liftings.SkeletonLifting(rank=1),
    )
    square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert lifting(square).shape == (4, 4)
    assert "SkeletonLifting(rank=1)" in repr(lifting)
    with pytest.raises(ValueError, match="at least one"):
        td.liftings.Compose()
    with pytest.raises(TypeError, match="got str"):
        td.liftings.Compose("clique")


def test_liftings_by_name():
    assert td.liftings.get("clique", max_rank=3).max_rank == 3
    assert isinstance(td.liftings.get("ring", max_ring_size=5), td.liftings.RingLifting)
    assert {"clique", "ring", "rips", "alpha", "features", "skeleton"} <= set(td.liftings.names())
    with pytest.raises(ValueError, match="unknown lifting 'clqiue': expected one of alpha, clique"):
        td.liftings.get("clqiue")


def test_a_lifting_of_ones_own(monkeypatch):
    monkeypatch.setattr(base, "_registry", dict(base._registry))

    @td.liftings.register("forget edges")
    class ForgetEdges(td.liftings.Lifting):
        def lift(self, complex):
            return complex.skeleton(0)

    assert td.liftings.get("forget edges")(nx.path_graph(3)).shape == (3,)
    union = td.batch([td.from_networkx(nx.path_graph(n)) for n in (2, 3)])
    assert td.liftings.get("forget edges")(union).num_complexes == 2
    with pytest.raises(ValueError, match="exists already: ForgetEdges"):
        td.liftings.register("forget edges")(ForgetEdges)
