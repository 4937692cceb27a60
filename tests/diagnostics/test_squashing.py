"""Jacobians between vertices and effective resistances."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.diagnostics import effective_resistance, sensitivity
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


def test_parts_that_are_not_connected():
    apart = CellComplex.from_edges(5, torch.tensor([[0, 2], [1, 3]]))  # 4 is isolated
    found = effective_resistance(apart, torch.tensor([[0, 0, 4], [1, 2, 0]]))
    torch.testing.assert_close(found, torch.tensor([1.0, torch.inf, torch.inf], dtype=F64))
    with pytest.raises(ValueError, match="vertices 0 to 4"):
        effective_resistance(apart, torch.tensor([[0], [5]]))
    with pytest.raises(ValueError, match=r"pairs must be \(2, k\) long"):
        effective_resistance(apart, torch.tensor([0.0, 1.0]))


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
