"""Random walks and the positions they make."""

from __future__ import annotations

import networkx as nx
import pytest
import torch

import topodiff as td
from topodiff.geometry import deepwalk, random_walks


def test_walks_go_along_edges():
    graph = nx.karate_club_graph()
    graph.add_node(34)
    K = td.from_networkx(graph)
    walks = random_walks(K, torch.arange(35), 12, torch.Generator().manual_seed(0))
    assert walks.shape == (35, 12)
    assert walks[:, 0].tolist() == list(range(35))
    assert walks[34].tolist() == [34] * 12
    pairs = walks[:34].unfold(1, 2, 1).flatten(0, 1).tolist()
    assert all(graph.has_edge(a, b) for a, b in pairs)


def test_all_neighbors_are_alike():
    K = td.from_networkx(nx.star_graph(4))
    after = random_walks(K, torch.zeros(4000).long(), 2, torch.Generator().manual_seed(1))[:, 1]
    # 1000 of each, give or take 5 standard deviations
    assert after.bincount(minlength=5)[1:].sub(1000).abs().max() < 140


def test_communities_are_apart():
    K = td.from_networkx(nx.connected_caveman_graph(4, 8))
    state = torch.random.get_rng_state()
    z = deepwalk(K, 8, steps=150, learning_rate=0.05)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert z.shape == (32, 8)
    assert not z.requires_grad
    likeness = z @ z.T
    club = torch.arange(32) // 8
    same = club == club[:, None]
    # the vertices most alike to each are those of its clique
    best = likeness.fill_diagonal_(-torch.inf).topk(6).indices
    assert float(same.gather(1, best).double().mean()) > 0.95
    assert torch.equal(z, deepwalk(K, 8, steps=150, learning_rate=0.05))
    assert not torch.equal(z, deepwalk(K, 8, steps=150, learning_rate=0.05, seed=1))


def test_isolated_vertices():
    K = td.from_networkx(nx.empty_graph(3))
    assert bool(deepwalk(K, 2, steps=3).isfinite().all())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"dim": 0}, "dim must be a whole number >= 1, got 0"),
        ({"dim": 2.5}, "dim must be a whole number >= 1, got 2.5"),
        ({"dim": 2, "window": 20}, "length must be a whole number >= 21, got 20"),
        ({"dim": 2, "steps": 0}, "steps must be a whole number >= 1"),
    ],
)
def test_sizes_are_checked(options, problem):
    path = td.from_networkx(nx.path_graph(3))
    with pytest.raises(ValueError, match=problem):
        deepwalk(path, **options)
    with pytest.raises(ValueError, match="length must be a whole number >= 1, got 0"):
        random_walks(path, torch.arange(3), 0)


def test_in_any_mode_and_on_no_vertices():
    K = td.from_networkx(nx.path_graph(4))
    wanted = deepwalk(K, 2, steps=3)
    with torch.inference_mode():
        found = deepwalk(td.from_networkx(nx.path_graph(4)), 2, steps=3)
    assert torch.equal(found, wanted)
    assert not found.is_inference()
    assert deepwalk(td.CellComplex.from_edges(0, torch.empty(2, 0).long()), 2).shape == (0, 2)


def test_complexes_of_a_batch_have_their_own_positions():
    graphs = [nx.path_graph(4), nx.empty_graph(1), nx.star_graph(3)]
    parts = [td.from_networkx(g) for g in graphs]
    found = deepwalk(td.batch(parts), 3, steps=5)
    assert torch.equal(found, torch.cat([deepwalk(K, 3, steps=5) for K in parts]))
