"""Pairs of graphs that published models tell apart, and pairs that they do not.

Untrained networks in float64, 3 layers, 16 wide, elu, no norm (Bodnar et al. 2021, section 5). The
paper counts two graphs as the same below a distance of 0.01, for embeddings of another scale. Here
graphs that no such network can tell apart agree to rounding; all others are 1e-4 apart or more.
"""

from __future__ import annotations

import json

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

import topodiff as td
from topodiff.complexes import CellComplex
from topodiff.nn import CIN, GIN, SIN

SAME = 1e-6


def ring_complexes(graphs: list[nx.Graph], max_ring_size: int) -> CellComplex:
    lifting = td.liftings.RingLifting(max_ring_size)
    return constant(td.batch([lifting(nx.convert_node_labels_to_integers(g)) for g in graphs]))


def constant(K: CellComplex) -> CellComplex:
    return K.replace(x={0: torch.ones(K.num_cells(0), 1, dtype=torch.float64)})


def embed(K: CellComplex, model: type[nn.Module] = CIN, seed: int = 0, **options) -> torch.Tensor:
    torch.manual_seed(seed)
    options = {"num_layers": 3, "norm": "none", "activation": "elu", **options}
    with torch.no_grad():
        return model({0: 1}, 16, 16, **options).double().eval()(K)


def failures(h: torch.Tensor) -> int:
    """Pairs of rows that count as the same."""
    return int((torch.pdist(h) < SAME).sum())


def told_apart(a: nx.Graph, b: nx.Graph, max_ring_size: int) -> bool:
    h = embed(ring_complexes([a, b], max_ring_size))
    return failures(h) == 0


def fused() -> nx.Graph:
    """Decalin: two rings of ten carbon atoms that share a bond."""
    graph = nx.cycle_graph(10)
    graph.add_edge(0, 5)
    return graph


def joined() -> nx.Graph:
    """Bicyclopentyl: two rings of five joined by a bond."""
    graph = nx.disjoint_union(nx.cycle_graph(5), nx.cycle_graph(5))
    graph.add_edge(0, 5)
    return graph


def rook() -> nx.Graph:
    return nx.convert_node_labels_to_integers(
        nx.cartesian_product(nx.complete_graph(4), nx.complete_graph(4))
    )


def shrikhande() -> nx.Graph:
    steps = [(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)]
    graph = nx.Graph()
    for i in range(4):
        for j in range(4):
            graph.add_edges_from((4 * i + j, 4 * ((i + a) % 4) + (j + b) % 4) for a, b in steps)
    return graph


def skip_circle(skip: int, n: int = 41) -> nx.Graph:
    return nx.circulant_graph(n, [1, skip])


@pytest.mark.parametrize(("max_ring_size", "apart"), [(3, False), (4, False), (5, True), (6, True)])
def test_decalin_and_bicyclopentyl(max_ring_size, apart):
    assert told_apart(fused(), joined(), max_ring_size) is apart


def test_hexagon_and_two_triangles():
    a, b = nx.cycle_graph(6), nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3))
    assert told_apart(a, b, 3)
    assert failures(embed(ring_complexes([a, b], 3), GIN)) == 1


def test_octagon_and_two_squares():
    a, b = nx.cycle_graph(8), nx.disjoint_union(nx.cycle_graph(4), nx.cycle_graph(4))
    assert told_apart(a, b, 4)
    assert not told_apart(a, b, 3)


def test_rook_and_shrikhande_by_squares():
    assert told_apart(rook(), shrikhande(), 4)
    K = ring_complexes([rook(), shrikhande()], 4)
    sizes = K.incidence(2).cell_ptr.diff()
    assert [int((sizes[K.membership(2) == b] == 4).sum()) for b in (0, 1)] == [36, 12]


@pytest.mark.parametrize(("max_rank", "failed"), [(2, 1), (3, 0)])
def test_rook_and_shrikhande_by_cliques(max_rank, failed):
    lifting = td.liftings.CliqueLifting(max_rank=max_rank)
    K = constant(td.batch([lifting(rook()), lifting(shrikhande())]))
    assert failures(embed(K, SIN, num_layers=5, max_rank=max_rank)) == failed


@pytest.mark.parametrize(
    ("max_ring_size", "classes"), [(3, 2), (4, 3), (5, 5), (6, 6), (7, 9), (8, 10)]
)
def test_circular_skip_links(max_ring_size, classes):
    graphs = [skip_circle(s) for s in (2, 3, 4, 5, 6, 9, 11, 12, 13, 16)]
    h = embed(ring_complexes(graphs, max_ring_size))
    same = torch.cdist(h, h, compute_mode="donot_use_mm_for_euclid_dist") < SAME
    assert len(torch.unique(same.long(), dim=0)) == classes


def test_circular_skip_links_without_rings():
    graphs = [skip_circle(s) for s in (2, 3, 4, 5, 6, 9, 11, 12, 13, 16)]
    assert failures(embed(ring_complexes(graphs, 3), GIN)) == 45


@pytest.mark.parametrize(
    ("family", "max_ring_size", "failed"),
    [
        ("sr16622", 4, 0),
        ("sr251256", 4, 0),
        ("sr261034", 4, 1),
        ("sr261034", 5, 0),
        ("sr261034", 6, 0),
        ("sr281264", 4, 0),
    ],
)
def test_strongly_regular_graphs(mirror, family, max_ring_size, failed):
    graphs = nx.read_graph6(mirror / "sr" / f"{family}.g6")
    assert failures(embed(ring_complexes(graphs, max_ring_size))) == failed


@pytest.mark.parametrize("family", ["sr16622", "sr251256", "sr261034", "sr281264"])
def test_strongly_regular_graphs_defeat_gin(mirror, family):
    graphs = nx.read_graph6(mirror / "sr" / f"{family}.g6")
    pairs = len(graphs) * (len(graphs) - 1) // 2
    assert failures(embed(ring_complexes(graphs, 3), GIN)) == pairs


def test_named_pairs(mirror):
    pairs = json.loads((mirror / "sr" / "pairs.json").read_text())
    assert pairs
    for name, pair in pairs.items():
        a, b = (nx.from_graph6_bytes(pair[k].encode()) for k in "ab")
        assert told_apart(a, b, 6), name


def test_embedding_of_a_renumbered_strongly_regular_graph(mirror):
    graph = nx.read_graph6(mirror / "sr" / "sr251256.g6")[3]
    order = np.random.default_rng(0).permutation(graph.number_of_nodes()).tolist()
    renumbered = nx.empty_graph(len(order))
    renumbered.add_edges_from((order[u], order[v]) for u, v in graph.edges)
    h = embed(ring_complexes([graph, renumbered], 5))
    torch.testing.assert_close(h[0], h[1], rtol=1e-8, atol=1e-8)
