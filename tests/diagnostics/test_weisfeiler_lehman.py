"""Exact refinement against what is known of the tests on graphs, cliques and rings (Bodnar et al.
2021, both papers, and their data)."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hard_graphs import (
    bicyclopentyl,
    circular_skip_links,
    decalin,
    rook,
    shrikhande,
    skip_circles,
    strongly_regular,
    union_of_cliques,
    union_of_rings,
)

import topodiff as td
from topodiff.diagnostics import colour_refinement, weisfeiler_lehman
from topodiff.testing import renumber

FAMILIES = ["sr16622", "sr251256", "sr261034", "sr281264", "sr291467"]


def failures(classes: torch.Tensor) -> int:
    """Pairs of complexes that the test does not tell apart."""
    count = torch.bincount(classes)
    return int((count * (count - 1) // 2).sum())


def two(graph: nx.Graph) -> nx.Graph:
    return nx.disjoint_union(graph, graph)


@pytest.mark.parametrize(
    ("a", "b", "max_ring_size", "failed"),
    [
        (decalin(), bicyclopentyl(), 4, 1),
        (decalin(), bicyclopentyl(), 5, 0),
        (decalin(), bicyclopentyl(), 6, 0),
        (nx.cycle_graph(6), two(nx.cycle_graph(3)), 3, 0),
        (nx.cycle_graph(8), two(nx.cycle_graph(4)), 3, 1),
        (nx.cycle_graph(8), two(nx.cycle_graph(4)), 4, 0),
        (rook(), shrikhande(), 3, 1),
        (rook(), shrikhande(), 4, 0),
    ],
)
def test_pairs_with_rings(a, b, max_ring_size, failed):
    K = union_of_rings([a, b], max_ring_size)
    assert failures(weisfeiler_lehman(K)) == failed
    assert failures(weisfeiler_lehman(K.skeleton(1))) == 1


@pytest.mark.parametrize(
    ("a", "b", "max_rank", "failed"),
    [
        (decalin(), bicyclopentyl(), 2, 1),
        (nx.cycle_graph(8), two(nx.cycle_graph(4)), 2, 1),
        (nx.cycle_graph(6), two(nx.cycle_graph(3)), 2, 0),
        (rook(), shrikhande(), 2, 1),
        (rook(), shrikhande(), 3, 0),
    ],
)
def test_pairs_with_cliques(a, b, max_rank, failed):
    assert failures(weisfeiler_lehman(union_of_cliques([a, b], max_rank))) == failed


def test_strongly_regular_graphs_defeat_the_test_of_graphs(mirror):
    for family in FAMILIES:
        K = union_of_rings(strongly_regular(mirror, family), 3).skeleton(1)
        assert failures(weisfeiler_lehman(K)) == len(K) * (len(K) - 1) // 2


@pytest.mark.parametrize(
    ("family", "max_ring_size", "counted", "refined"),
    [
        ("sr16622", 4, 0, 0),
        ("sr251256", 4, 11, 0),
        ("sr261034", 4, 3, 1),
        ("sr261034", 5, None, 0),
        ("sr281264", 4, 1, 0),
        ("sr291467", 4, 636, 0),
    ],
)
def test_strongly_regular_graphs_with_rings(mirror, family, max_ring_size, counted, refined):
    K = union_of_rings(strongly_regular(mirror, family), max_ring_size)
    assert counted in (None, failures(weisfeiler_lehman(K, rounds=0)))
    assert failures(weisfeiler_lehman(K)) == refined


@pytest.mark.parametrize(
    ("family", "failed"), [("sr16622", 0), ("sr251256", 0), ("sr261034", 1), ("sr281264", 0)]
)
def test_strongly_regular_graphs_with_all_cliques(mirror, family, failed):
    K = union_of_cliques(strongly_regular(mirror, family), 8)
    assert K.num_cells(K.rank) == 0  # none is left out
    assert failures(weisfeiler_lehman(K)) == failed


CLASSES = {3: 2, 4: 3, 5: 5, 6: 6, 7: 9, 8: 10}


@pytest.mark.parametrize("max_ring_size", CLASSES)
def test_classes_of_circular_skip_links(max_ring_size):
    K = union_of_rings(skip_circles(), max_ring_size)
    assert int(weisfeiler_lehman(K).max()) + 1 == CLASSES[max_ring_size]
    assert int(weisfeiler_lehman(K.skeleton(1)).max()) == 0


def test_every_graph_of_csl_is_in_its_class(mirror):
    graphs, y = circular_skip_links(mirror)
    classes = weisfeiler_lehman(union_of_rings(graphs, 8))
    assert len({(int(c), int(label)) for c, label in zip(classes, y, strict=True)}) == 10
    assert int(classes.max()) == 9


@pytest.mark.parametrize("seed", range(5))
def test_isomorphic_complexes_are_in_one_class(seed):
    graphs = [nx.gnm_random_graph(9, 13, seed=s) for s in range(6)]
    K = union_of_rings(graphs, 6)
    K = K.replace(x={0: torch.arange(K.num_cells(0)) % 3, 1: torch.rand(K.num_cells(1), 2).round()})
    both = td.batch([K, renumber(K, seed).complex])
    first, second = weisfeiler_lehman(both).chunk(2)
    assert torch.equal(first, second)


def test_features_tell_apart_what_shape_does_not():
    K = union_of_rings([nx.path_graph(3)] * 3, 3).replace(
        x={0: torch.tensor([[0.5], [0.0], [0.0], [0.0], [0.5], [0.0], [0.0], [0.0], [0.5]])}
    )
    assert weisfeiler_lehman(K).tolist() == [0, 1, 0]
    assert weisfeiler_lehman(K, rounds=0).tolist() == [0, 0, 0]
    assert weisfeiler_lehman(K.replace(x={})).tolist() == [0, 0, 0]


def test_rounds_are_steps_along_a_path():
    K = td.liftings.RingLifting(3)(nx.path_graph(7))
    vertices = [len(colour_refinement(K, rounds)[0].unique()) for rounds in (0, 1, 2, 3, 4, None)]
    assert vertices == [1, 2, 3, 4, 4, 4]


def test_complexes_without_cells_of_a_rank():
    K = td.batch([td.liftings.RingLifting(3)(nx.empty_graph(n)) for n in (2, 1, 2)])
    assert weisfeiler_lehman(K).tolist() == [0, 1, 0]


def test_bad_rounds_and_features_are_named():
    K = td.liftings.RingLifting(3)(nx.path_graph(2))
    with pytest.raises(ValueError, match="rounds must be a whole number >= 0, got -1"):
        weisfeiler_lehman(K, rounds=-1)
    with pytest.raises(ValueError, match="features of cell 1 are not finite"):
        weisfeiler_lehman(K.replace(x={0: torch.tensor([0.0, float("nan")])}))
