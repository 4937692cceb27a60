"""Neural sheaf diffusion against the dense equations, and what it may not notice."""

from __future__ import annotations

import dense_sheaf
import networkx as nx
import pytest
import torch

import topodiff as td
from topodiff.nn import NeuralSheafDiffusion
from topodiff.nn.sheaf import MAP_FAMILIES
from topodiff.testing import assert_orientation_equivariant, assert_permutation_equivariant


def graph(n: int = 9, edges: int = 14, seed: int = 0, channels: int = 5) -> td.CellComplex:
    """A random graph with an isolated vertex."""
    found = nx.gnm_random_graph(n, edges, seed=seed)
    index = torch.tensor(list(found.edges), dtype=torch.long).reshape(-1, 2).T
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n + 1, channels, generator=g, dtype=torch.float64)
    return td.CellComplex.from_edges(n + 1, index).replace(x={0: x})


def model(seed: int = 0, **options) -> NeuralSheafDiffusion:
    torch.manual_seed(seed)
    options = {"stalk_dim": 3, "num_layers": 2, **options}
    made = NeuralSheafDiffusion(5, 4, 3, **options).double()
    with torch.no_grad():
        for p in made.parameters():  # away from the special values they start with
            p.add_(0.3 * torch.randn_like(p))
    return made


OPTIONS = {
    **{name: {"maps": name} for name in MAP_FAMILIES},
    "orthogonal, weights": {"maps": "orthogonal", "edge_weights": True},
    "identity, weights": {"maps": "identity", "edge_weights": True},
    "diagonal, weights": {"maps": "diagonal", "edge_weights": True, "stalk_dim": 2},
    "general, weights": {"maps": "general", "edge_weights": True, "stalk_dim": 2},
    "orthogonal 2": {"maps": "orthogonal", "stalk_dim": 2},
    "orthogonal 5": {"maps": "orthogonal", "stalk_dim": 5},
    "rotations 2": {"maps": "special_orthogonal", "stalk_dim": 2},
    "diagonal 1": {"maps": "diagonal", "stalk_dim": 1},
    "low pass": {"maps": "orthogonal", "low_pass": True, "edge_weights": True},
    "high pass": {"maps": "diagonal", "high_pass": True},
    "both filters": {"maps": "general", "low_pass": True, "high_pass": True},
    "second linear": {"second_linear": True},
    "no weights": {"left_weights": False, "right_weights": False},
    "left only": {"right_weights": False},
    "sum": {"learner": "sum", "edge_weights": True, "low_pass": True},
    "attention": {"maps": "general", "learner": "attention"},
    "shared": {"shared_sheaf": True, "num_layers": 3},
    "raw": {"maps": "diagonal", "normalized": False, "low_pass": True},
    "raw rotations": {"normalized": False, "edge_weights": True},
    "not augmented": {"maps": "diagonal", "normalized": True, "high_pass": True},
    "not augmented rotations": {"normalized": True},
    "bundle": {"maps": "bundle", "low_pass": True},
    "bundle of givens": {"maps": "bundle", "stalk_dim": 4, "parametrization": "givens"},
    "no layers": {"num_layers": 0},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_equals_the_dense_equations(name):
    K, made = graph(), model(**OPTIONS[name])
    x = K.x[0].clone().requires_grad_()
    ours, theirs = made(K, x), dense_sheaf.forward(made, K, x)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    seed = torch.randn_like(ours)
    wanted = [x, *made.parameters()]
    for a, b, p in zip(
        torch.autograd.grad(ours, wanted, seed, allow_unused=True),
        torch.autograd.grad(theirs, wanted, seed, allow_unused=True),
        wanted,
        strict=True,
    ):
        zero = torch.zeros_like(p)
        a, b = (zero if g is None else g for g in (a, b))
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", OPTIONS)
def test_knows_neither_numbering_nor_orientation(name):
    made = model(**OPTIONS[name]).eval()
    K = graph(seed=1)

    def vertices(complex: td.CellComplex) -> dict[int, torch.Tensor]:
        return {0: made(complex)}

    assert_permutation_equivariant(vertices, K)
    assert_orientation_equivariant(vertices, K)


@pytest.mark.parametrize("name", ["orthogonal, weights", "general", "both filters", "bundle"])
def test_gradients_are_those_of_finite_differences(name):
    made = model(**{**OPTIONS[name], "num_layers": 1, "stalk_dim": 2})
    K = graph(4, 4)
    wanted = [p for p in made.parameters() if p.numel() < 50]
    assert torch.autograd.gradcheck(lambda *_: made(K), wanted, atol=1e-6)
    x = K.x[0].requires_grad_()
    assert torch.autograd.gradcheck(lambda x: made(K, x), x, atol=1e-6)


@pytest.mark.parametrize("name", ["orthogonal, weights", "general", "diagonal", "bundle", "sum"])
def test_a_batch_is_its_parts(name):
    made = model(**OPTIONS[name])
    parts = [graph(5, 6), graph(3, 0), graph(0, 0), graph(7, 12)]
    torch.testing.assert_close(made(td.batch(parts)), torch.cat([made(K) for K in parts]))


@pytest.mark.parametrize("maps", [*MAP_FAMILIES, "bundle"])
def test_is_single_precision_close_and_trains(maps):
    K = graph()
    made = model(maps=maps, dropout=0.5, input_dropout=0.5)
    expected = made.eval()(K)
    single = K.to(dtype=torch.float32)
    torch.testing.assert_close(made.float()(single).double(), expected, rtol=1e-3, atol=1e-3)
    made.train()
    made(single).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.parameters())


def test_dropout_is_absent_in_evaluation_and_present_in_training():
    K, made = graph(), model(dropout=0.5)
    assert torch.equal(made.eval()(K), made(K))
    made.train()
    assert not torch.equal(made(K), made(K))


def test_parameter_groups_part_learners_from_the_rest():
    made = model(edge_weights=True)
    others, maps = made.parameter_groups(1e-3, 1e-2)
    assert (others["weight_decay"], maps["weight_decay"]) == (1e-3, 1e-2)
    assert {id(p) for p in maps["params"]} == {id(t.learner.weight) for t in made.layers}
    assert len(others["params"]) + len(maps["params"]) == len(list(made.parameters()))
    assert len(model(maps="identity").parameter_groups(1e-3, 1e-2)) == 1


def test_parameters_start_as_published_and_are_drawn_anew():
    torch.manual_seed(0)
    made = NeuralSheafDiffusion(5, 4, 3, edge_weights=True)
    for _ in range(2):
        for layer in made.layers:
            torch.testing.assert_close(layer.left, torch.eye(3))
            torch.testing.assert_close(layer.right @ layer.right.T, torch.eye(4))
            assert layer.learner.weight.abs().max() <= 24**-0.5
        assert not made.epsilon.any()
        before = [p.clone() for p in made.parameters()]
        with torch.no_grad():
            made.epsilon.fill_(1.0)
        made.reset_parameters()
    drawn = ("weight", "right", "bias")
    for (name, new), old in zip(made.named_parameters(), before, strict=True):
        assert not name.endswith(drawn) or not torch.equal(new, old), name


def test_holds_nothing_of_a_graph():
    made = model()
    state = {k: v.clone() for k, v in made.state_dict().items()}
    for n in (3, 6):
        assert made(graph(n, 3)).shape == (n + 1, 3)
    assert state.keys() == made.state_dict().keys()
    assert list(made.buffers()) == []


def test_sparse_features_give_what_dense_ones_give():
    K, made = graph(channels=5), model(input_dropout=0.5).eval()
    x = torch.zeros_like(K.x[0])
    x[::3, 1] = 1.5
    dense = x.clone().requires_grad_()
    torch.testing.assert_close(made(K, x), made(K, dense))
    made.train()
    assert not torch.equal(made(K, x), made(K, x))
