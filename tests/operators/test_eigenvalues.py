"""Eigenvalues at both ends of a spectrum."""

from __future__ import annotations

import math

import networkx as nx
import pytest
import torch

from topodiff.complexes import CellComplex
from topodiff.dynamics import Entries, EntryOperator, adjacency
from topodiff.operators import Coboundary, GraphLaplacian, eigenvalues, spectral_embedding
from topodiff.sheaves import near_zero


def path(n: int) -> GraphLaplacian:
    ends = torch.arange(n - 1)
    return GraphLaplacian(CellComplex.from_edges(n, torch.stack([ends, ends + 1])))


@pytest.mark.parametrize("n", [10, 700])  # dense, and by the sparse eigensolver
@pytest.mark.parametrize("end", ["smallest", "largest"])
@pytest.mark.parametrize("definite", [True, False])
def test_paths(n, end, definite):
    operator = path(n)
    operator.positive_semidefinite = definite
    k = 4
    exact = 2 - 2 * torch.cos(math.pi * torch.arange(n, dtype=torch.float64) / n)
    exact = exact[:k] if end == "smallest" else exact[-k:]
    found = eigenvalues(operator, k, end)
    assert found.dtype == torch.get_default_dtype()
    torch.testing.assert_close(found.double(), exact, rtol=1e-6, atol=1e-7)


def test_all_of_them():
    n = 320
    exact = 2 - 2 * torch.cos(math.pi * torch.arange(n, dtype=torch.float64) / n)
    torch.testing.assert_close(eigenvalues(path(n)).double(), exact, rtol=1e-6, atol=1e-6)
    assert len(eigenvalues(path(n), 200)) == 200
    # -1 has the multiplicity n - 1 in the adjacency of K_n
    every = CellComplex.from_edges(6, torch.triu_indices(6, 6, 1))
    found = eigenvalues(GraphLaplacian(every))
    torch.testing.assert_close(found, torch.tensor([0.0, 6, 6, 6, 6, 6]), atol=1e-5, rtol=1e-5)


def cycles(count: int) -> GraphLaplacian:
    """Of ``count`` separate pentagons."""
    place = torch.arange(5 * count).reshape(count, 5)
    edges = torch.stack([place.flatten(), place.roll(-1, 1).flatten()])
    return GraphLaplacian(CellComplex.from_edges(5 * count, edges))


def test_repeated_eigenvalues_are_found_as_often_as_they_occur():
    """200 pentagons have 0 two hundred times, then 2 - 2 cos(2 pi / 5) four hundred times."""
    laplacian, k = cycles(200), 30
    torch.testing.assert_close(eigenvalues(laplacian, k), torch.zeros(k), rtol=0, atol=1e-6)
    values, vectors = spectral_embedding(laplacian, k)
    torch.testing.assert_close(values, torch.zeros(k), rtol=0, atol=1e-6)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(k), rtol=0, atol=1e-5)
    found = eigenvalues(cycles(110), 125)
    expected = torch.tensor([0.0] * 110 + [2 - 2 * math.cos(2 * math.pi / 5)] * 15)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_the_lower_end_of_a_graph_without_gaps():
    """Of an expander: its eigenvalues crowd at the end."""
    g = nx.convert_node_labels_to_integers(nx.random_regular_graph(4, 1000, 0))
    laplacian = GraphLaplacian(CellComplex.from_edges(1000, torch.tensor(list(g.edges)).T))
    expected = torch.linalg.eigvalsh(laplacian.to_dense().double())[:12]
    found = eigenvalues(laplacian, 12)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)


def test_an_iteration_that_does_not_converge(monkeypatch):
    monkeypatch.setattr(near_zero, "_RESTARTS", 0)
    with pytest.raises(RuntimeError, match="3 smallest eigenvalues did not converge"):
        eigenvalues(path(400), 3)


@pytest.mark.parametrize("n", [12, 310])
def test_a_walk_around_a_directed_circle(n):
    """The shift by one vertex has the n-th roots of unity."""
    row = torch.arange(n)
    shift = Entries.from_pairs(row, (row + 1) % n, n)
    found = eigenvalues(EntryOperator(shift, torch.ones(n, dtype=torch.float64)), 5, "largest")
    assert found.dtype == torch.complex128
    angles = 2 * math.pi * torch.tensor([2, 2, 1, 1, 0], dtype=torch.float64) / n
    torch.testing.assert_close(found.real, angles.cos())
    torch.testing.assert_close(found.imag.abs(), angles.sin())


def test_the_spectrum_of_a_row_stochastic_matrix_is_that_of_its_symmetric_form():
    K = CellComplex.from_edges(5, torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 4, 2]]))
    walk = eigenvalues(adjacency(K, torch.float64, normalization="row"))
    torch.testing.assert_close(walk.imag, torch.zeros_like(walk.imag))
    torch.testing.assert_close(walk.real, eigenvalues(adjacency(K, torch.float64)))
    assert float(walk.real[-1]) == pytest.approx(1.0)


def test_bad_requests():
    with pytest.raises(ValueError, match="square"):
        eigenvalues(Coboundary(path(4).complex, 0))
    for k in (0, 11, 2.5):
        with pytest.raises(ValueError, match="k must be a whole number from 1 to 10"):
            eigenvalues(path(10), k)
    with pytest.raises(ValueError, match="end must be one of smallest, largest"):
        eigenvalues(path(10), 2, "middle")
    with pytest.raises(ValueError, match="all eigenvalues of 10001 rows"):
        eigenvalues(path(10_001))
    with pytest.raises(ValueError, match="3000 eigenvalues of 10001 rows are too many"):
        eigenvalues(path(10_001), 3000)
