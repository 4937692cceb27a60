"""Untrained models tell apart what the Weisfeiler-Lehman tests tell apart, and nothing more.

In float64, 3 layers, 16 wide, elu, no norm (Bodnar et al. 2021, section 5). The paper counts two
graphs as the same below a distance of 0.01, for embeddings of another scale. Here graphs that the
exact test does not tell apart agree to rounding; all others differ by more.
"""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pytest
import torch
from hard_graphs import (
    bicyclopentyl,
    decalin,
    rook,
    shrikhande,
    skip_circles,
    strongly_regular,
    union_of_cliques,
    union_of_rings,
)
from torch import nn

from topodiff.complexes import CellComplex
from topodiff.diagnostics import weisfeiler_lehman
from topodiff.nn import CIN, GIN, SIN

SAME = 1e-10


def embed(K: CellComplex, model: type[nn.Module] = CIN, seed: int = 0, **options) -> torch.Tensor:
    torch.manual_seed(seed)
    options = {"num_layers": 3, "norm": "none", "activation": "elu", **options}
    ones = K.replace(x={0: torch.ones(K.num_cells(0), 1, dtype=torch.float64)})
    with torch.no_grad():
        return model({0: 1}, 16, 16, **options).double().eval()(ones)


def alike(h: torch.Tensor) -> torch.Tensor:
    """(B, B) which rows count as the same."""
    return torch.cdist(h, h, compute_mode="donot_use_mm_for_euclid_dist") < SAME


def failures(h: torch.Tensor) -> int:
    """Pairs of rows that count as the same."""
    return int((torch.pdist(h) < SAME).sum())


def same_as_test(K: CellComplex, h: torch.Tensor, rounds: int) -> bool:
    """Whether the rows differ exactly where the test tells the complexes apart."""
    classes = weisfeiler_lehman(K, rounds)
    return torch.equal(alike(h), classes[:, None] == classes)


def told_apart(a: nx.Graph, b: nx.Graph, max_ring_size: int) -> bool:
    return failures(embed(union_of_rings([a, b], max_ring_size))) == 0


@pytest.mark.parametrize(("max_ring_size", "apart"), [(3, False), (4, False), (5, True), (6, True)])
def test_decalin_and_bicyclopentyl(max_ring_size, apart):
    assert told_apart(decalin(), bicyclopentyl(), max_ring_size) is apart


def test_hexagon_and_two_triangles():
    a, b = nx.cycle_graph(6), nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    assert told_apart(a, b, 3)
    assert failures(embed(union_of_rings([a, b], 3), GIN)) == 1


def test_octagon_and_two_squares():
    a, b = nx.cycle_graph(8), nx.disjoint_union(nx.cycle_graph(4), nx.cycle_graph(4))
    assert told_apart(a, b, 4)
    assert not told_apart(a, b, 3)


def test_rook_and_shrikhande_by_squares():
    assert told_apart(rook(), shrikhande(), 4)
    K = union_of_rings([rook(), shrikhande()], 4)
    sizes = K.incidence(2).cell_ptr.diff()
    assert [int((sizes[K.membership(2) == b] == 4).sum()) for b in (0, 1)] == [36, 12]


@pytest.mark.parametrize("coface_features", [False, True])
@pytest.mark.parametrize(("max_rank", "failed"), [(2, 1), (3, 0)])
def test_rook_and_shrikhande_by_cliques(max_rank, failed, coface_features):
    K = union_of_cliques([rook(), shrikhande()], max_rank)
    options = {"num_layers": 5, "max_rank": max_rank, "coface_features": coface_features}
    assert failures(embed(K, SIN, **options)) == failed


@pytest.mark.parametrize(
    ("max_ring_size", "classes"), [(3, 2), (4, 3), (5, 5), (6, 6), (7, 9), (8, 10)]
)
def test_circular_skip_links(max_ring_size, classes):
    K = union_of_rings(skip_circles(), max_ring_size)
    h = embed(K)
    assert len(torch.unique(alike(h).long(), dim=0)) == classes
    assert same_as_test(K, h, rounds=3)


def test_circular_skip_links_without_rings():
    assert failures(embed(union_of_rings(skip_circles(), 3), GIN)) == 45


@pytest.mark.parametrize(
    ("family", "max_ring_size", "failed"),
    [
        ("sr16622", 4, 0),
        ("sr251256", 4, 0),
        ("sr261034", 4, 1),
        ("sr261034", 5, 0),
        ("sr261034", 6, 0),
        ("sr281264", 4, 0),
        ("sr291467", 4, 0),
    ],
)
def test_strongly_regular_graphs_with_rings(mirror, family, max_ring_size, failed):
    K = union_of_rings(strongly_regular(mirror, family), max_ring_size)
    h = embed(K)
    assert failures(h) == failed
    assert same_as_test(K, h, rounds=3)


@pytest.mark.parametrize("seed", range(3))
def test_strongly_regular_graphs_with_all_cliques(mirror, seed):
    """Messages with the coface are as strong as the simplicial test, those without are weaker."""
    K = union_of_cliques(strongly_regular(mirror, "sr261034"), 3)
    options = {"seed": seed, "num_layers": 5, "max_rank": 3}
    h = embed(K, SIN, coface_features=True, **options)
    assert failures(h) == 1
    assert same_as_test(K, h, rounds=5)
    assert failures(embed(K, SIN, **options)) == 3


@pytest.mark.parametrize("family", ["sr16622", "sr251256", "sr261034", "sr281264"])
def test_strongly_regular_graphs_defeat_gin(mirror, family):
    K = union_of_rings(strongly_regular(mirror, family), 3)
    assert failures(embed(K, GIN)) == len(K) * (len(K) - 1) // 2


def test_named_pairs(mirror):
    pairs = json.loads((mirror / "sr" / "pairs.json").read_text())
    assert pairs
    for name, pair in pairs.items():
        a, b = (nx.from_graph6_bytes(pair[k].encode()) for k in "ab")
        assert told_apart(a, b, 6), name


def test_embedding_of_a_renumbered_strongly_regular_graph(mirror):
    graph = strongly_regular(mirror, "sr251256")[3]
    order = np.random.default_rng(0).permutation(graph.number_of_nodes()).tolist()
    renumbered = nx.empty_graph(len(order))
    renumbered.add_edges_from((order[u], order[v]) for u, v in graph.edges)
    h = embed(union_of_rings([graph, renumbered], 5))
    torch.testing.assert_close(h[0], h[1], rtol=1e-8, atol=1e-8)
