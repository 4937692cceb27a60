"""Models of vertices: against dense formulas and PyTorch Geometric; what they may not notice."""

from __future__ import annotations

import math
from functools import partial

import networkx as nx
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import topodiff as td
from topodiff.nn import GAT, GCN, GCNII, H2GCN, GraphSAGE, NodeMLP
from topodiff.nn.h2gcn import two_hop

MODELS = {
    "MLP": NodeMLP,
    "GCN": GCN,
    "GAT": partial(GAT, heads=2),
    "SAGE": GraphSAGE,
    "H2GCN": H2GCN,
    "GCNII": partial(GCNII, num_layers=4),
}
every_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def graph(n=9, edges=14, seed=0, channels=5) -> td.CellComplex:
    """A random graph with an isolated vertex at the end."""
    g = nx.gnm_random_graph(n - 1, edges, seed=seed)
    g.add_node(n - 1)
    x = torch.randn(n, channels, generator=torch.Generator().manual_seed(seed))
    return td.from_networkx(g).replace(x={0: x.to(torch.get_default_dtype())})


def dense(K: td.CellComplex) -> torch.Tensor:
    A = torch.zeros(K.num_cells(0), K.num_cells(0))
    tail, head = K.edge_index
    A[tail, head] = A[head, tail] = 1
    return A


def symmetric(A: torch.Tensor) -> torch.Tensor:
    scale = A.sum(1).clamp(min=1).rsqrt()
    return scale[:, None] * A * scale


# -- the same as formulas on dense matrices --------------------------------------------------------


def dense_mlp(model, K):
    x = K.x[0]
    for k, layer in enumerate(model.layers):
        x = (x.relu() if k else x) @ layer.weight + layer.bias
    return x


def dense_gcn(model, K):
    A, x = symmetric(dense(K) + torch.eye(K.num_cells(0))), K.x[0]
    for k, layer in enumerate(model.layers):
        x = A @ (x.relu() if k else x) @ layer.weight + layer.bias
    return x


def dense_sage(model, K):
    A, x = dense(K), K.x[0]
    A = A / A.sum(1, keepdim=True).clamp(min=1)
    for k, layer in enumerate(model.layers):
        x = x.relu() if k else x
        x = layer.own(x) + A @ x @ layer.others.weight
    return x


def dense_gat(model, K):
    mask, x = dense(K) + torch.eye(K.num_cells(0)) > 0, K.x[0]
    for k, layer in enumerate(model.layers):
        h = ((F.elu(x) if k else x) @ layer.weight).unflatten(1, (layer.heads, -1))
        own, others = (torch.einsum("nhc,hc->hn", h, a) for a in (layer.own, layer.others))
        scores = F.leaky_relu(own[:, :, None] + others[:, None, :], 0.2)
        alpha = scores.masked_fill(~mask, -torch.inf).softmax(2)
        heads = torch.einsum("hij,jhc->ihc", alpha, h)
        x = (heads.mean(1) if layer.average else heads.flatten(1)) + layer.bias
    return x


def dense_h2gcn(model, K):
    A, one = dense(K), torch.eye(K.num_cells(0))
    far = ((A @ A > 0) & (A + one == 0)).to(A.dtype)
    rounds = [(K.x[0] @ model.embed.weight).relu()]
    for _ in range(model.num_layers):
        rounds += [torch.cat([symmetric(A) @ rounds[-1], symmetric(far) @ rounds[-1]], 1)]
    return torch.cat(rounds, 1) @ model.classify.weight.T


def dense_gcnii(model, K):
    A = symmetric(dense(K) + torch.eye(K.num_cells(0)))
    x = x_0 = model.embed(K.x[0]).relu()
    for k, layer in enumerate(model.layers, 1):
        beta = math.log(0.5 / k + 1)
        mixed = 0.9 * A @ x + 0.1 * x_0
        x = ((1 - beta) * mixed + beta * mixed @ layer.weight).relu()
    return model.classify(x)


DENSE = [dense_mlp, dense_gcn, dense_gat, dense_sage, dense_h2gcn, dense_gcnii]


@pytest.mark.parametrize(("make", "formula"), zip(MODELS.values(), DENSE, strict=True), ids=MODELS)
@pytest.mark.parametrize("hidden", [4, 8])  # narrower and wider than the features
@pytest.mark.parametrize("zeros", [0, 0.9], ids=["dense", "sparse"])
def test_equals_its_formula(dtype, make, formula, hidden, zeros):
    for seed in range(3):
        torch.manual_seed(seed)
        K = graph(seed=seed)
        K = K.replace(x={0: K.x[0] * (torch.rand(9, 5) >= zeros)})
        model = make(5, hidden, 3)
        for p in model.parameters():  # biases start at 0
            torch.nn.init.normal_(p, std=0.5)
        model.eval()
        assert model(K).dtype == dtype
        torch.testing.assert_close(model(K), formula(model, K), rtol=1e-4, atol=1e-5)
        found = torch.autograd.grad(model(K).square().sum(), list(model.parameters()))
        wanted = torch.autograd.grad(formula(model, K).square().sum(), list(model.parameters()))
        torch.testing.assert_close(found, wanted, rtol=2e-3, atol=2e-4)


def test_layers_equal_those_of_pytorch_geometric():
    geometric = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(0)
    K = graph()
    x, arcs = K.x[0], torch.cat([K.edge_index, K.edge_index.flip(0)], 1)

    mine, theirs = td.nn.GCNLayer(5, 4), geometric.GCNConv(5, 4)
    theirs.lin.weight.data = mine.weight.data.T
    torch.testing.assert_close(mine(K, x), theirs(x, arcs))

    mine, theirs = td.nn.SAGELayer(5, 4), geometric.SAGEConv(5, 4)
    theirs.lin_l.weight.data, theirs.lin_r.weight.data = mine.others.weight.T, mine.own.weight.T
    theirs.lin_l.bias.data = mine.own.bias
    torch.testing.assert_close(mine(K, x), theirs(x, arcs))

    for average in (False, True):
        mine = td.nn.GATLayer(5, 4, heads=2, average=average)
        theirs = geometric.GATConv(5, 4 if average else 2, heads=2, concat=not average)
        theirs.lin.weight.data = mine.weight.data.T
        theirs.att_dst.data, theirs.att_src.data = mine.own.data[None], mine.others.data[None]
        torch.testing.assert_close(mine(K, x), theirs(x, arcs))

    mine = td.nn.GCNIILayer(5, 0.1, math.log(0.5 / 3 + 1))
    theirs = geometric.GCN2Conv(5, alpha=0.1, theta=0.5, layer=3)
    theirs.weight1.data = mine.weight.data
    torch.testing.assert_close(mine(K, x, x.sin()), theirs(x, x.sin(), arcs))


@given(st.integers(2, 12), st.integers(0, 20), st.integers(0, 1000))
def test_vertices_at_distance_two(n, edges, seed):
    g = nx.gnm_random_graph(n, edges, seed=seed)
    matrix = two_hop(td.from_networkx(g), torch.float64)
    found = set(zip(matrix.entries.row.tolist(), matrix.entries.index.tolist(), strict=True))
    lengths = dict(nx.all_pairs_shortest_path_length(g))
    assert found == {(u, v) for u in g for v, length in lengths[u].items() if length == 2}


# -- what no model may notice ----------------------------------------------------------------------


@every_model
@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), edges=st.integers(0, 16))
def test_numbering_of_vertices_is_carried_through(make, seed, edges):
    torch.manual_seed(seed)
    K = graph(edges=edges, seed=seed).to(dtype=torch.float64)
    order = torch.randperm(9)
    moved = torch.empty_like(K.x[0])
    moved[order] = K.x[0]
    L = td.CellComplex.from_edges(9, order[K.edge_index], x={0: moved})
    model = make(5, 4, 3).double().eval()
    torch.testing.assert_close(model(L)[order], model(K), rtol=1e-10, atol=1e-10)


@every_model
def test_batch_equals_its_parts(make):
    parts = [graph(n, n, seed) for seed, n in enumerate((9, 6, 8))]
    parts.append(td.CellComplex.from_edges(1, torch.zeros(2, 0).long(), x={0: torch.ones(1, 5)}))
    model = make(5, 4, 3).eval()
    together = model(td.batch(parts))
    torch.testing.assert_close(together, torch.cat([model(K) for K in parts]))


@every_model
def test_without_edges_every_vertex_is_alone(make):
    x = torch.randn(4, 5)
    model = make(5, 4, 3).eval()
    no_edges = td.CellComplex.from_edges(4, torch.zeros(2, 0).long(), x={0: x})
    points = td.CellComplex((4,), [], x={0: x})
    singles = [td.CellComplex((1,), [], x={0: row[None]}) for row in x]
    wanted = torch.cat([model(K) for K in singles])
    torch.testing.assert_close(model(no_edges), wanted)
    torch.testing.assert_close(model(points), wanted)
    assert model(td.CellComplex((0,), [], x={0: x[:0]})).shape == (0, 3)


@every_model
def test_cells_of_higher_rank_do_not_matter(make):
    K = td.liftings.CliqueLifting(max_rank=2)(nx.complete_graph(5))
    K = K.replace(x={0: torch.randn(5, 5)})
    model = make(5, 4, 3).eval()
    assert torch.equal(model(K), model(K.skeleton(1)))


@every_model
def test_interface(make):
    K = graph()
    model = make(5, hidden_channels=4, out_channels=3, num_layers=3, dropout=0.9)
    assert "p=0.9" in repr(model)
    assert not torch.equal(model(K), model(K))
    model.eval()
    before = model(K)
    torch.testing.assert_close(model(K.replace(x={}), K.x[0]), before)
    model.reset_parameters()
    assert not torch.equal(model(K), before)
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    (model(K) ** 2).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@every_model
def test_mistakes(make):
    K = graph()
    with pytest.raises(ValueError, match=r"\(9, 4\), got \(9, 5\)"):
        make(4, 4, 3)(K)
    with pytest.raises(ValueError, match=r"x\[0\] is missing"):
        make(5, 4, 3)(K.replace(x={}))
    with pytest.raises(ValueError, match=r"\(9, 5\), got \(8, 5\)"):
        make(5, 4, 3)(K, K.x[0][:8])
    with pytest.raises(ValueError, match="num_layers must be a whole number >= 1, got 0"):
        make(5, 4, 3, num_layers=0)
    with pytest.raises(ValueError, match="hidden_channels must be a whole number >= 1, got 0"):
        make(5, 0, 3)
    with pytest.raises(ValueError, match=r"dropout is in \[0, 1\), got 1"):
        make(5, 4, 3, dropout=1)


def test_mistakes_of_single_models():
    with pytest.raises(ValueError, match="3 heads side by side cannot make 4"):
        GAT(5, 4, 3, heads=3)
    with pytest.raises(ValueError, match="alpha"):
        GCNII(5, 4, 3, alpha=2)


def test_dropout_of_attention():
    K, torch_state = graph(), torch.get_rng_state()
    model = GAT(5, 8, 3, dropout=0.0, heads=2, attention_dropout=0.5)
    assert not torch.equal(model(K), model(K))
    torch.testing.assert_close(model.eval()(K), model(K))
    torch.set_rng_state(torch_state)


def test_vertices_at_distance_two_are_found_once_per_graph():
    K = graph()
    first = two_hop(K, torch.float32)
    assert two_hop(K.replace(x={}), torch.float32) is first
    assert two_hop(K, torch.float64) is not first
    assert two_hop(graph(seed=1), torch.float32) is not first
