"""Heat kernel signatures: closed forms, symmetries."""

from __future__ import annotations

import math

import pytest
import torch

from topodiff.complexes import CellComplex
from topodiff.diagnostics import heat_kernel_signature
from topodiff.operators import GraphLaplacian, SheafLaplacian
from topodiff.sheaves import CellularSheaf
from topodiff.solvers import diffuse

F64 = torch.float64
TIMES = [0.0, 0.3, 2.0]
# a path, the ends of which are alike, and a lone vertex
PATH = CellComplex.from_edges(6, torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]))


def laplacian(K):
    return GraphLaplacian(K, weights=torch.ones(K.num_cells(1), dtype=F64))


def test_a_circle_has_the_mean_of_its_exponentials_everywhere():
    n = 7
    around = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
    found = heat_kernel_signature(laplacian(CellComplex.from_edges(n, around)), TIMES)
    for column, t in zip(found.T, TIMES, strict=True):
        rates = [2 - 2 * math.cos(2 * math.pi * k / n) for k in range(n)]
        exact = sum(math.exp(-t * rate) for rate in rates) / n
        expected = torch.full((n,), exact, dtype=F64)
        torch.testing.assert_close(column, expected, rtol=1e-13, atol=0)


def test_it_is_the_diagonal_of_the_heat_kernel():
    found = heat_kernel_signature(laplacian(PATH), TIMES)
    for column, t in zip(found.T, TIMES, strict=True):
        kernel = diffuse(laplacian(PATH), torch.eye(6, dtype=F64), t, "chebyshev").x
        torch.testing.assert_close(column, kernel.diagonal())
    torch.testing.assert_close(found[[0, 1, 2, 5]], found[[4, 3, 2, 5]])  # the path turned round
    torch.testing.assert_close(found[5], torch.ones(3, dtype=F64))


def test_stalks_are_traced():
    maps = torch.randn(8, 2, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
    L = SheafLaplacian(CellularSheaf(PATH, 2, maps))
    exact = torch.linalg.matrix_exp(-0.5 * L.to_dense()).diagonal().reshape(6, 2).sum(1)
    torch.testing.assert_close(heat_kernel_signature(L, [0.5])[:, 0], exact)


def test_what_has_no_signature():
    with pytest.raises(ValueError, match="positive semidefinite"):
        heat_kernel_signature(GraphLaplacian(PATH, "random_walk"), [1.0])
    for times in ([-1.0], [math.inf], 1.0):
        with pytest.raises(ValueError, match="times must be"):
            heat_kernel_signature(laplacian(PATH), times)
    ends = torch.arange(10_000)
    with pytest.raises(ValueError, match="10001 rows are too many"):
        heat_kernel_signature(
            GraphLaplacian(CellComplex.from_edges(10_001, torch.stack([ends, ends + 1]))), [1.0]
        )


def test_nothing_has_no_signature():
    nothing = CellComplex.from_edges(0, torch.zeros(2, 0, dtype=torch.long))
    assert heat_kernel_signature(laplacian(nothing), TIMES).shape == (0, 3)
