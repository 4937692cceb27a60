"""Jacobians between vertices and effective resistances."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.diagnostics import curvature_bound, effective_resistance, sensitivity
from topodiff.dynamics import adjacency
from topodiff.geometry import balanced_forman
from topodiff.nn import GCN
from topodiff.operators import GraphLaplacian

F64 = torch.float64
PATH = CellComplex.from_edges(5, torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]))


def test_sensitivity_is_the_norm_of_the_jacobian():
    torch.manual_seed(0)
    model = GCN(3, 4, 2, num_layers=2, dropout=0.0).double()
    x = torch.randn(5, 3, dtype=F64)
    run = lambda x: model(PATH, x)  # noqa: E731
    jacobian = torch.autograd.functional.jacobian(run, x)
    found = sensitivity(run, x, 1)
    torch.testing.assert_close(found, jacobian[1].square().sum((0, 2)).sqrt())
    assert float(found[4]) == 0.0  # three edges away, two layers
    assert float(found[3]) > 0
    assert torch.equal(sensitivity(lambda x: torch.ones_like(x), x, 0), torch.zeros(5, dtype=F64))
    with pytest.raises(ValueError, match="target must be a vertex 0 to 4, got 7"):
        sensitivity(run, x, 7)


def test_resistances_of_series_and_parallel():
    pairs = torch.tensor([[0, 0, 2], [1, 4, 2]])
    weights = torch.tensor([1.0, 2.0, 4.0, 1.0])
    found = effective_resistance(PATH, pairs, weights)
    torch.testing.assert_close(found, torch.tensor([1.0, 2.75, 0.0], dtype=F64))
    ring = CellComplex.from_edges(4, torch.tensor([[0, 1, 2, 0], [1, 2, 3, 3]]))
    found = effective_resistance(ring, torch.tensor([[0, 0], [1, 2]]))
    torch.testing.assert_close(found, torch.tensor([0.75, 1.0], dtype=F64))


def test_resistance_of_a_long_path():
    n = 1500
    long = CellComplex.from_edges(n, torch.stack([torch.arange(n - 1), torch.arange(1, n)]))
    found = effective_resistance(long, torch.tensor([[0, 5], [n - 1, 7]]))
    torch.testing.assert_close(found, torch.tensor([n - 1.0, 2.0], dtype=F64), rtol=1e-6, atol=0)


def test_parts_that_are_not_connected():
    apart = CellComplex.from_edges(5, torch.tensor([[0, 2], [1, 3]]))  # 4 is isolated
    found = effective_resistance(apart, torch.tensor([[0, 0, 4], [1, 2, 0]]))
    torch.testing.assert_close(found, torch.tensor([1.0, torch.inf, torch.inf], dtype=F64))
    with pytest.raises(ValueError, match="vertices 0 to 4"):
        effective_resistance(apart, torch.tensor([[0], [5]]))
    with pytest.raises(ValueError, match=r"pairs must be \(2, k\) long"):
        effective_resistance(apart, torch.tensor([0.0, 1.0]))
    with pytest.raises(TypeError, match="pairs are a tensor"):
        effective_resistance(apart, [[0], [1]])


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10_000))
def test_resistances_are_those_of_the_pseudoinverse_and_sum_to_foster(n, seed):
    g = torch.Generator().manual_seed(seed)
    every = torch.triu_indices(n, n, 1)
    kept = torch.rand(every.shape[1], generator=g) < 0.5
    kept |= every[1] == every[0] + 1  # a path, so that it is connected
    complex = CellComplex.from_edges(n, every[:, kept])
    w = 0.2 + torch.rand(complex.num_cells(1), dtype=F64, generator=g)
    inverse = torch.linalg.pinv(GraphLaplacian(complex, weights=w).to_dense())
    u, v = complex.edge_index
    exact = inverse[u, u] + inverse[v, v] - 2 * inverse[u, v]
    found = effective_resistance(complex, complex.edge_index, w)
    torch.testing.assert_close(found, exact, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close((w * found).sum(), w.new_tensor(n - 1.0), rtol=1e-6, atol=1e-8)


def barbell(size: int) -> CellComplex:
    """Two complete graphs and a bridge between their vertices 0 and ``size``."""
    pairs = torch.triu_indices(size, size, 1)
    bridge = torch.tensor([[0], [size]])
    return CellComplex.from_edges(2 * size, torch.cat([pairs, pairs + size, bridge], 1))


def test_the_bound_from_curvature_holds_where_it_is_one():
    complex = barbell(30)
    bound = curvature_bound(complex)
    (edge,) = bound.isfinite().nonzero().flatten()  # the bridge alone
    assert complex.edge_index[:, edge].tolist() == [0, 30]
    delta = 4 / 30  # both ends have degree 30, no triangles, no squares
    torch.testing.assert_close(bound[edge], torch.tensor(delta**0.25, dtype=F64))
    torch.testing.assert_close(curvature_bound(complex, 2.0, 0.5)[edge], bound[edge])
    torch.testing.assert_close(curvature_bound(complex, 2.0)[edge], 4 * bound[edge])
    # two layers h' = a h: alpha = beta = 1
    matrix = adjacency(complex, F64, normalization="sym", loops=1.0)
    passed = sensitivity(lambda x: (matrix @ (matrix @ x)).T, torch.zeros(60, 1, dtype=F64), 0)
    two_steps = matrix @ (matrix @ torch.eye(60, dtype=F64))
    torch.testing.assert_close(passed, two_steps.square().sum(0).sqrt())
    beyond = two_steps[31:, 0]  # at distance two from vertex 0
    assert len(beyond) > 1 / delta
    assert 0 < float(beyond.mean()) < float(bound[edge])


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 16), st.integers(0, 10_000))
def test_bounds_are_given_on_the_terms_of_the_theorem_alone(n, seed):
    """A tree of stars: every vertex of a path holds n leaves."""
    g = torch.Generator().manual_seed(seed)
    hubs = int(torch.randint(2, 5, (), generator=g))
    leaves = torch.arange(hubs, hubs * (n + 1))
    path = torch.stack([torch.arange(hubs - 1), torch.arange(1, hubs)])
    edges = torch.cat([path, torch.stack([(leaves - hubs) % hubs, leaves])], 1)
    complex = CellComplex.from_edges(hubs * (n + 1), edges)
    delta, bound = balanced_forman(complex) + 2, curvature_bound(complex)
    high = torch.bincount(complex.edge_index.flatten())[complex.edge_index].amax(0)
    holds = delta < high.double() ** -0.5  # no squares in a tree
    assert torch.equal(bound.isfinite(), holds)
    torch.testing.assert_close(bound[holds], delta[holds] ** 0.25)


def test_bounds_need_positive_constants():
    with pytest.raises(ValueError, match="alpha and beta must be positive"):
        curvature_bound(PATH, beta=0)
