"""What the theory of sheaf diffusion promises on heterophilic graphs (examples/separation.py)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

import topodiff as td
from topodiff.nn import GCN, NeuralSheafDiffusion

PATH = Path(__file__).parents[2] / "examples" / "separation.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("separation", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bipartite() -> tuple[td.CellComplex, torch.Tensor]:
    """K_{4,4}, its sides the classes."""
    edges = torch.tensor([[u, v] for u in range(4) for v in range(4, 8)]).T
    return td.CellComplex.from_edges(8, edges), torch.arange(8) // 4


def test_limits_on_the_complete_bipartite_graph(example):
    K, labels = bipartite()
    x = torch.randn(8, 1, 1, generator=torch.Generator().manual_seed(0)).double()
    (trivial,) = example.diffuse(example.trivial_sheaf(K, 1), x, [100.0])
    torch.testing.assert_close(trivial, x.mean().expand(8, 1, 1))
    sign = (1.0 - 2.0 * labels).double()[:, None, None]
    (signed,) = example.diffuse(example.sheaf_of_classes(K, labels, 1), x, [100.0])
    torch.testing.assert_close(signed, sign * (sign * x).mean())
    assert not example.trivial_sheaf(K, 1).separates(labels)
    assert example.sheaf_of_classes(K, labels, 1).separates(labels)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("classes", "stalk_dim"), [(2, 1), (3, 2), (4, 2)])
def test_the_graph_collapses_and_the_sheaf_separates(example, classes, stalk_dim, seed):
    K, labels = example.heterophilic_graph(classes, 20, 6, seed)
    x = example.noisy_features(labels, 4 * stalk_dim, 0.5, seed).reshape(-1, stalk_dim, 4)
    trivial = example.trivial_sheaf(K, stalk_dim)
    sheaf = example.sheaf_of_classes(K, labels, stalk_dim)
    start, *_, end = example.diffuse(trivial, x, [0.0, 1000.0])
    assert example.graph_energy(K, end) < 1e-6 < 0.5 < example.graph_energy(K, start)
    assert example.probe(end, labels) < 1 / classes + 0.25
    limits = example.diffuse(sheaf, x, [16.0, 64.0, 1000.0])
    assert all(example.probe(y, labels) == 1.0 for y in limits)
    assert example.graph_energy(K, limits[-1]) > 0.5
    assert sheaf.separates(labels)
    assert not trivial.separates(labels)


def test_the_limit_is_the_projection_onto_global_sections(example):
    K, labels = example.heterophilic_graph(4, 6, 4)
    sheaf = example.sheaf_of_classes(K, labels, 2)
    x = torch.randn(24, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    (limit,) = example.diffuse(sheaf, x, [2000.0])
    degree = K.incidence(1).face_ptr.diff().double()
    # sections of the normalised sheaf are those of the sheaf times the root of the degree
    basis = (degree.sqrt()[:, None, None] * sheaf.global_sections()).reshape(48, -1)
    basis = torch.linalg.qr(basis)[0]
    expected = basis @ (basis.T @ x.reshape(48, 3))
    torch.testing.assert_close(limit.reshape(48, 3), expected, rtol=1e-6, atol=1e-6)
    assert basis.shape[1] == 2


def test_lines_do_not_separate_four_classes_and_planes_do(example):
    K, labels = example.heterophilic_graph(4, 15, 6)
    x = example.noisy_features(labels, 8, 0.5).reshape(-1, 2, 4)
    lines, planes = (example.sheaf_of_classes(K, labels, d) for d in (1, 2))
    (on_lines,) = example.diffuse(lines, x.reshape(-1, 1, 8), [500.0])
    (on_planes,) = example.diffuse(planes, x, [500.0])
    assert example.probe(on_lines, labels) <= 0.6
    assert example.probe(on_planes, labels) == 1.0
    assert not lines.separates(labels)
    assert planes.separates(labels)


def test_trained_accuracy_stays_flat_where_that_of_graph_convolutions_falls(example):
    K, labels = example.heterophilic_graph(2, 50, 6, seed=1)
    x = example.noisy_features(labels, 8, 0.5, seed=1)
    accuracy = {}
    for depth in (4, 32):
        torch.manual_seed(0)
        models = GCN(8, 16, 2, depth, dropout=0.0), NeuralSheafDiffusion(8, 8, 2, 2, depth)
        accuracy[depth] = [example.train(model, K, x, labels, epochs=60) for model in models]
    gcn, sheaf = zip(*accuracy.values(), strict=True)
    assert gcn[0] > 0.9
    assert gcn[1] < 0.65
    assert min(sheaf) > 0.85
