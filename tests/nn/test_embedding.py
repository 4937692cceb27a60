"""Embeddings of features and of cells that have none; refusals that say what was wrong."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from small_complexes import ring_complex, with_categories

import topodiff as td
from topodiff.nn import CIN, CategoricalEmbedding, CellEmbedding, CochainSheafDiffusion


def test_columns_are_embedded_and_added():
    embedding = CategoricalEmbedding((5, 3), 4)
    x = torch.tensor([[4, 0], [0, 2], [4, 2]])
    first, second = embedding.weight[:5], embedding.weight[5:]
    torch.testing.assert_close(embedding(x), first[x[:, 0]] + second[x[:, 1]])


def test_a_vector_is_one_column():
    embedding = CategoricalEmbedding((5,), 4)
    x = torch.tensor([4, 0, 4])
    torch.testing.assert_close(embedding(x), embedding.weight[x])
    assert embedding(x[:0]).shape == (0, 4)


def test_real_features_go_through_a_linear_map():
    embedding = CategoricalEmbedding(3, 4)
    x = torch.randn(6, 3)
    expected = x @ embedding.linear.weight.T + embedding.linear.bias
    torch.testing.assert_close(embedding(x), expected)


@pytest.mark.parametrize(
    ("in_channels", "x", "error", "message"),
    [
        ((5, 3), torch.tensor([[1, 1], [2, 3]]), ValueError, "row 1, column 1 holds category 3"),
        ((5, 3), torch.tensor([[1, -1]]), ValueError, "row 0, column 1 holds category -1"),
        ((5, 3), torch.tensor([[1, 1, 1]]), ValueError, "expected 2 features per cell, got 3"),
        ((5, 3), torch.zeros(2, 2), TypeError, "expected integer"),
        (2, torch.zeros(2, 2).long(), TypeError, "expected real"),
        (2, torch.zeros(2, 3), ValueError, "expected 2 features per cell, got 3"),
    ],
)
def test_wrong_features_are_refused(in_channels, x, error, message):
    with pytest.raises(error, match=message):
        CategoricalEmbedding(in_channels, 4)(x)


def test_in_channels_are_by_rank():
    for build in (lambda c: CIN(c, 12, 1), lambda c: CochainSheafDiffusion(c, 12, 1, 2)):
        for given in (9, (28,), torch.tensor([9])):
            with pytest.raises(TypeError, match=r"is a mapping from ranks .*\{0: 4\}.*got"):
                build(given)


def test_columns_need_categories():
    with pytest.raises(ValueError, match="at least one category"):
        CategoricalEmbedding((3, 0), 4)


def vertices_of(K: td.CellComplex, rank: int) -> list[list[int]]:
    return [list(cell) for cell in K.cells(rank)]


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_cells_without_features_get_their_vertices(reduce):
    graph = nx.cycle_graph(6)
    graph.add_edges_from([(5, 6), (6, 0)])  # a hexagon and a triangle
    K = with_categories(ring_complex(graph))
    embedding = CellEmbedding({0: (5, 3)}, 4, 2, reduce).double()
    h = embedding(K)
    vertices = embedding.features["0"](K.x[0])
    for r in (1, 2):
        expected = torch.stack([getattr(vertices[c], reduce)(0) for c in vertices_of(K, r)])
        torch.testing.assert_close(h[r], expected)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_simplices_of_rank_three_get_their_vertices(reduce):
    K = td.liftings.CliqueLifting(max_rank=3)(nx.complete_graph(6))
    K = K.replace(x={0: torch.randn(6, 2, dtype=torch.float64)})
    embedding = CellEmbedding({0: 2}, 4, 3, reduce).double()
    h, vertices = embedding(K), embedding.features["0"](K.x[0])
    expected = torch.stack([getattr(vertices[c], reduce)(0) for c in vertices_of(K, 3)])
    torch.testing.assert_close(h[3], expected)


def test_edges_with_features_forget_their_vertices_and_rings_keep_them():
    K = with_categories(ring_complex(nx.cycle_graph(5)))
    embedding = CellEmbedding({0: (5, 3), 1: (4,), 2: (2,)}, 4, 2)
    h, own = embedding(K), embedding.features
    torch.testing.assert_close(h[1], own["1"](K.x[1]))
    atoms = own["0"](K.x[0]).sum(0, keepdim=True)
    torch.testing.assert_close(h[2], atoms + own["2"](K.x[2]))


def test_features_that_are_missing_are_reported():
    K = with_categories(ring_complex(nx.cycle_graph(5)))
    with pytest.raises(ValueError, match=r"give x\[1\] or leave rank 1 out"):
        CellEmbedding({0: (5, 3), 1: (4,)}, 4, 2)(K.replace(x={0: K.x[0]}))
    with pytest.raises(ValueError, match="must describe rank 0"):
        CellEmbedding({1: (4,)}, 4, 2)


def test_ranks_without_cells_need_no_features():
    K = with_categories(ring_complex(nx.path_graph(3)))
    del K.x[2]
    h = CellEmbedding({0: (5, 3), 1: (4,), 2: (2,)}, 4, 2).double()(K)
    assert [t.shape for t in h] == [(3, 4), (2, 4), (0, 4)]
    assert all(t.dtype == torch.float64 for t in h)
