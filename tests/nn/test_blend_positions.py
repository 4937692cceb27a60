"""Positions by personalised pagerank: rows of the exact matrix, sparse, kept for each graph."""

import networkx as nx
import pytest
import torch

import topodiff as td
from topodiff.dynamics import Entries, normalize, pagerank_rows
from topodiff.nn import BLEND

K = td.from_networkx(nx.karate_club_graph())
N = 34
X = torch.randn(N, 5, generator=torch.Generator().manual_seed(0))


def dense_rows(teleport):
    A = torch.eye(N, dtype=torch.float64)
    tail, head = K.edge_index
    A[tail, head] = A[head, tail] = 1
    P = A / A.sum(1, keepdim=True)
    return teleport * torch.linalg.inv(torch.eye(N, dtype=torch.float64) - (1 - teleport) * P)


@pytest.mark.parametrize("teleport", [0.15, 0.5])
def test_rows_of_pagerank(teleport):
    graph = Entries.from_complex(K, True)
    walk = normalize(graph, torch.ones(graph.nnz, dtype=torch.float64), "row")
    wanted = dense_rows(teleport)
    entries, values = pagerank_rows(walk, graph, N - 1, teleport=teleport, steps=300)
    whole = torch.zeros(N, N, dtype=torch.float64).index_put((entries.row, entries.index), values)
    torch.testing.assert_close(whole, wanted)
    entries, values = pagerank_rows(walk, graph, 4, teleport=teleport, steps=300)
    assert entries.ptr.diff().tolist() == [5] * N
    for i in range(N):
        mine = slice(entries.ptr[i], entries.ptr[i + 1])
        assert i in entries.index[mine]
        others = wanted[i].clone()
        others[i] = 0
        largest = others.topk(4).values
        found = values[mine][entries.index[mine] != i]
        torch.testing.assert_close(found.sort(descending=True).values, largest)
        torch.testing.assert_close(values[mine], wanted[i][entries.index[mine]])


def test_positions_in_the_model():
    options = {"position_channels": N, "position_neighbors": 6, "position_hidden": 3}
    model = BLEND(5, 8, 2, **options, decode_positions=True).double()
    x = X.double()
    rows = model.positions(K, torch.float64)
    assert rows.ptr.diff().tolist() == [7] * N
    assert model.positions(K, torch.float64).weight is rows.weight
    as_given = BLEND(5, 8, 2, position_channels=N, position_hidden=3, decode_positions=True)
    as_given.double().load_state_dict(model.state_dict())
    dense = torch.eye(N, dtype=torch.float64)
    dense = torch.stack([rows @ column for column in dense.T], 1)
    torch.testing.assert_close(model(K, x), as_given(K.replace(positions=dense), x))
    model(K, x).sum().backward()
    # the decoder sees positions, so they get gradients by it as well as by attention
    assert float(model.position_encoder.weight.grad.norm()) > 0


@pytest.mark.parametrize(
    "options",
    [
        {"position_channels": N, "position_neighbors": 6},
        {"position_channels": 4, "position_walks": True},
    ],
)
def test_neighbours_by_the_positions_that_come_in(options):
    model = BLEND(5, 8, 2, **options, neighbors=4, input_dropout=0.5, loops=0.0)
    rows = model.positions(K, torch.float32)
    points = rows if isinstance(rows, torch.Tensor) else rows @ torch.eye(N)
    found = model.entries(K, torch.zeros(N, model.state_channels))
    far = torch.cdist(points, points).fill_diagonal_(torch.inf)
    nearest = far[found.row, found.index].reshape(N, 4)
    torch.testing.assert_close(nearest, far.sort(1).values[:, :4], atol=1e-6, rtol=1e-4)
    # neither what is learnt nor dropout in training moves them
    model.reset_parameters()
    assert model.train().entries(K, torch.ones(N, model.state_channels)) is found


def test_positions_of_another_graph():
    model = BLEND(5, 8, 2, position_channels=9, position_neighbors=6)
    with pytest.raises(ValueError, match="one channel for each of 34 vertices"):
        model(K, X)
    with pytest.raises(ValueError, match="one of decode_positions and second_linear"):
        BLEND(5, 8, 2, position_channels=9, decode_positions=True, second_linear=True)


def test_positions_by_walks():
    model = BLEND(5, 8, 2, position_channels=4, position_walks=True)
    found = model.positions(K, torch.float32)
    assert torch.equal(found, td.geometry.deepwalk(K, 4))
    assert model.positions(K, torch.float32) is found
    given = BLEND(5, 8, 2, position_channels=4)
    given.load_state_dict(model.state_dict())
    assert torch.equal(model(K, X), given(K.replace(positions=found), X))
    with pytest.raises(ValueError, match="give one of position_walks"):
        BLEND(5, 8, 2, position_channels=4, position_walks=True, position_neighbors=3)
