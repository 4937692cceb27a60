"""CIN against its plain formulation, published sizes, gradients, degenerate batches."""

from __future__ import annotations

import itertools

import networkx as nx
import plain_layers
import pytest
import torch
from small_complexes import ring_complex, with_categories
from torch import nn

import topodiff as td
from topodiff.nn import CIN, SIN, CINLayer

ZINC = {0: (28,), 1: (4,)}
CATEGORIES = {0: (5, 3), 1: (4,), 2: (2,)}


def num_parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def gradients(layer: CINLayer, out: list, x: list) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    loss = sum((h * torch.randn(h.shape, generator=g, dtype=h.dtype)).sum() for h in out)
    return torch.autograd.grad(loss, [*x, *layer.parameters()])


@pytest.mark.parametrize(
    ("norm", "activation", "coface_features", "lower_messages"),
    [
        ("batch", "relu", True, False),
        ("batch", "silu", True, True),
        ("layer", "elu", True, False),
        ("none", "tanh", False, True),
        ("none", "elu", True, True),
        ("batch", "relu", False, False),
    ],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_layer_equals_plain_formulation(
    molecules, norm, activation, coface_features, lower_messages, dtype, tolerance
):
    torch.manual_seed(0)
    layer = CINLayer(
        7, 7, norm=norm, activation=activation,
        coface_features=coface_features, lower_messages=lower_messages,
    ).to(dtype)  # fmt: skip
    x = [torch.randn(n, 7, dtype=dtype, requires_grad=True) for n in molecules.shape]
    ours, plain = layer(molecules, x), plain_layers.cin_layer(layer, molecules, x)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
    ours, plain = gradients(layer, ours, x), gradients(layer, plain, x)
    scale = max(float(g.abs().max()) for g in plain)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a / scale, b / scale, rtol=tolerance, atol=tolerance)


def test_layer_equals_plain_formulation_in_evaluation(molecules):
    layer = CINLayer(5, 5).double()
    x = [torch.randn(n, 5, dtype=torch.float64) for n in molecules.shape]
    layer(molecules, x)  # moves the running statistics
    layer.eval()
    for a, b in zip(layer(molecules, x), plain_layers.cin_layer(layer, molecules, x), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("hidden", "layers", "options", "expected"),
    [
        (128, 4, {}, 1_569_281),  # published 1,700,865, of which 131,584 never see a gradient
        (48, 2, {}, 121_633),  # published 130,945
        # CIN++: published 2,694,657; 2,168,321 with gradients, which leave out the lower messages
        (128, 4, {"lower_messages": True}, 2_168_321 + 4 * 2 * (2 * 128 * 128 + 128)),
    ],
)
def test_published_number_of_parameters(hidden, layers, options, expected):
    assert num_parameters(CIN(ZINC, hidden, 1, layers, **options)) == expected


@pytest.mark.parametrize(
    "options",
    [{}, {"lower_messages": True, "norm": "layer"}, {"jump": "cat", "readout": "mean"},
     {"final_readout": "mean", "init_reduce": "mean", "norm": "none"}],
)  # fmt: skip
def test_gradients_reach_every_parameter(molecules, options):
    torch.manual_seed(0)
    model = CIN(CATEGORIES, 8, 2, 3, activation="tanh", **options).double()
    (model(molecules) ** 2).sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        before_batch_norm = model.layers[0].combine[0].norm.norm == "batch" and name.endswith(
            "bias"
        )
        assert before_batch_norm or bool((p.grad != 0).any()), name


def test_reset_parameters_draws_all_anew(molecules):
    torch.manual_seed(0)
    model = CIN(CATEGORIES, 8, 1, 2, lower_messages=True)
    model(molecules)
    torch.manual_seed(3)
    model.reset_parameters()
    torch.manual_seed(3)
    drawn = CIN(CATEGORIES, 8, 1, 2, lower_messages=True)
    drawn.load_state_dict({k: torch.full_like(v, 9) for k, v in drawn.state_dict().items()})
    torch.manual_seed(3)
    drawn.reset_parameters()
    for (name, a), b in zip(model.state_dict().items(), drawn.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_one_ring_in_the_whole_batch_trains():
    parts = [ring_complex(nx.path_graph(4)), ring_complex(nx.cycle_graph(5))]
    batch = td.batch([with_categories(K, i) for i, K in enumerate(parts)])
    assert batch.shape[2] == 1
    model = CIN(CATEGORIES, 8, 1, 2)
    before = {k: v.clone() for k, v in model.state_dict().items() if "2.norm.running" in k}
    out = model(batch)
    out.sum().backward()
    assert out.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert before
    for name, statistics in before.items():  # one cell has no variance to learn from
        assert torch.equal(model.state_dict()[name], statistics)


@pytest.mark.parametrize("training", [True, False])
def test_batch_without_rings_equals_complexes_of_rank_one(training):
    graphs = [nx.path_graph(4), nx.star_graph(3)]
    with_rank_2 = [with_categories(ring_complex(g), i) for i, g in enumerate(graphs)]
    rank_1 = [K.skeleton(1) for K in with_rank_2]
    model = CIN(CATEGORIES, 8, 1, 2).double().train(training)
    torch.testing.assert_close(model(td.batch(with_rank_2)), model(td.batch(rank_1)))


@pytest.mark.parametrize("options", [{}, {"jump": "cat"}, {"readout": "mean", "norm": "layer"}])
@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_complexes_of_any_rank_in_one_batch(options, order):
    graphs = [nx.empty_graph(2), nx.path_graph(4), nx.cycle_graph(5)]
    parts = [with_categories(ring_complex(g).skeleton(r), r) for r, g in enumerate(graphs)]
    parts = [parts[k] for k in order]
    model = CIN(CATEGORIES, 8, 2, 2, **options).double()
    assert td.batch(parts).ranks.tolist() == list(order)
    model(td.batch(parts))  # statistics other than the first ones
    model.eval()
    alone = torch.cat([model(K) for K in parts])
    torch.testing.assert_close(model(td.batch(parts)), alone, rtol=1e-10, atol=1e-10)


def test_a_lonely_vertex_and_no_edges_at_all():
    K = with_categories(ring_complex(nx.empty_graph(1)))
    assert CIN(CATEGORIES, 8, 3, 2)(td.batch([K, K])).shape == (2, 3)


def test_cells_above_the_rank_of_the_model_are_not_used(molecules):
    model = CIN(CATEGORIES, 8, 1, 2, max_rank=1).eval()
    torch.testing.assert_close(model(molecules), model(molecules.skeleton(1)))


def test_dropout_acts_in_training_only(molecules):
    model = CIN(CATEGORIES, 8, 1, 2, dropout=0.5, norm="none")
    assert not torch.equal(model(molecules), model(molecules))
    model.eval()
    assert torch.equal(model(molecules), model(molecules))


@pytest.mark.parametrize(
    ("name", "value"),
    [("norm", "instance"), ("activation", "gelu"), ("jump", "max"), ("readout", "max"),
     ("final_readout", "max"), ("init_reduce", "max")],
)  # fmt: skip
def test_options_are_checked(name, value):
    with pytest.raises(ValueError, match=f"{name} must be one of .* got '{value}'"):
        CIN(CATEGORIES, 8, 1, **{name: value})


def test_sin_on_tetrahedra_equals_plain_formulation():
    K = td.liftings.CliqueLifting(max_rank=3)(nx.complete_graph(5))
    torch.manual_seed(0)
    model = SIN({0: 3}, 6, 2, 2, max_rank=3).double()
    K = K.replace(x={0: torch.randn(5, 3, dtype=torch.float64)})
    h = plain = model.embedding(K)
    for layer in model.layers:
        h, plain = layer(K, h), plain_layers.cin_layer(layer, K, plain)
    assert len(h) == 4
    for a, b in itertools.zip_longest(h, plain):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_state_dict_round_trip(molecules):
    a, b = CIN(CATEGORIES, 8, 1, 2), CIN(CATEGORIES, 8, 1, 2)
    a(molecules)
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.eval()(molecules), b.eval()(molecules))


def test_repr_says_what_the_model_is():
    text = repr(CIN(ZINC, 8, 1, 2, jump="cat"))
    assert "num_layers=2" in text
    assert "jump='cat'" in text
    assert "max_rank=2" in text
