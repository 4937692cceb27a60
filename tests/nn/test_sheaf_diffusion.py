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
