"""Hodge decomposition, harmonic cochains, least squares, spectra."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.liftings import RingLifting
from topodiff.operators import (
    BlockDiagonal,
    Boundary,
    Coboundary,
    GraphLaplacian,
    HodgeLaplacian,
    SheafLaplacian,
    harmonic_basis,
    hodge_decomposition,
    lanczos,
    least_squares,
    spectral_embedding,
)
from topodiff.sheaves import CellularSheaf, SpecialOrthogonal

# an annulus of triangles (one hole), a hollow triangle (another), and an isolated vertex
ANNULUS = [(i, (i + 1) % 4, 4 + i) for i in range(4)]
ANNULUS += [((i + 1) % 4, 4 + i, 4 + (i + 1) % 4) for i in range(4)]
HOLES = CellComplex.from_simplices([*ANNULUS, (0, 8), (8, 9), (0, 9)], num_vertices=11)
SPHERE = CellComplex.from_simplices([(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)])


def grid(rows, columns):
    g = nx.convert_node_labels_to_integers(nx.grid_2d_graph(rows, columns))
    return CellComplex.from_edges(rows * columns, torch.tensor(list(g.edges)).T)


@pytest.mark.parametrize("complex", [HOLES, SPHERE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_decomposition(complex, dtype):
    for rank in range(complex.rank + 1):
        x = torch.randn(complex.shape[rank], 3, dtype=dtype)
        parts = hodge_decomposition(complex, rank, x)
        assert parts.status == "converged"
        tol = 1e-4 if dtype == torch.float32 else 1e-10
        close = {"rtol": 0, "atol": tol}
        torch.testing.assert_close(parts.gradient + parts.curl + parts.harmonic, x, **close)
        zero = torch.zeros_like(x)
        laplacian = HodgeLaplacian(complex, rank)
        torch.testing.assert_close(laplacian.up @ parts.gradient, zero, **close)
        torch.testing.assert_close(laplacian.down @ parts.curl, zero, **close)
        torch.testing.assert_close(laplacian @ parts.harmonic, zero, **close)
        basis = harmonic_basis(laplacian).to(dtype)
        assert basis.shape == (complex.shape[rank], complex.betti_numbers()[rank])
        torch.testing.assert_close(basis @ (basis.mT @ x), parts.harmonic, rtol=0, atol=1e-4)
        torch.testing.assert_close(Coboundary(complex, rank - 1) @ parts.potential, parts.gradient)
        torch.testing.assert_close(Boundary(complex, rank + 1) @ parts.copotential, parts.curl)


def test_decomposition_has_gradients():
    x = torch.randn(HOLES.shape[1], dtype=torch.float64, requires_grad=True)

    def harmonic(x):
        return hodge_decomposition(HOLES, 1, x).harmonic

    assert torch.autograd.gradcheck(harmonic, x, fast_mode=True)


def test_decomposition_on_a_flat_bundle_and_not_on_a_curved_one():
    frames = SpecialOrthogonal(2)(torch.randn(HOLES.shape[0], 1, dtype=torch.float64))
    sheaf = CellularSheaf.from_frames(HOLES, frames)
    x = torch.randn(HOLES.shape[1], 2, 3, dtype=torch.float64)
    harmonic = hodge_decomposition(sheaf, 1, x).harmonic
    basis = harmonic_basis(SheafLaplacian(sheaf, rank=1))
    assert basis.shape == (HOLES.shape[1], 2, 4)
    expected = torch.einsum("eik,fjk,fjc->eic", basis, basis, x)
    torch.testing.assert_close(harmonic, expected, rtol=0, atol=1e-9)
    maps = {r: torch.randn(HOLES.incidence(r).nnz, dtype=torch.float64) for r in (1, 2)}
    with pytest.raises(ValueError, match=r"do not commute at rank 2 \(curvature"):
        hodge_decomposition(CellularSheaf(HOLES, 2, maps), 1, x)


def test_running_out_of_iterations_is_a_status():
    result = least_squares(Coboundary(grid(8, 8), 0), torch.randn(112), max_iterations=3)
    assert result.status == "max_iterations"
    assert result.iterations == 3
    assert result.residual > 0
    assert result.x.shape == (64,)
    x = torch.randn(112)
    assert hodge_decomposition(grid(8, 8), 1, x, max_iterations=2).status == "max_iterations"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_least_squares_is_the_pseudo_inverse(seed):
    g = nx.gnp_random_graph(9, 0.4, seed=seed)
    index = torch.tensor(list(g.edges)).reshape(-1, 2).T
    delta = Coboundary(CellComplex.from_edges(9, index), 0)
    b = torch.randn(delta.shape[0], 2, dtype=torch.float64)
    b[:, 1] = 0  # a channel that is solved from the start
    result = least_squares(delta, b)
    assert result.status == "converged"
    expected = np.linalg.pinv(delta.to_scipy().toarray().astype(float)) @ b.numpy()
    np.testing.assert_allclose(result.x, expected, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_harmonic_flow_is_all_that_is_found_in_it(dtype):
    """What boundary and coboundary leave of it is rounding: nothing to iterate for."""
    g = nx.triangular_lattice_graph(8, 16)
    holed = RingLifting(3)(g.subgraph(set(g) - {(4, 4)}))
    weights = {r: torch.ones(n, dtype=dtype) for r, n in enumerate(holed.shape)}
    x = 1000 * harmonic_basis(HodgeLaplacian(holed, 1, weights=weights))
    assert (x.dtype, x.shape[1]) == (dtype, 1)
    found = hodge_decomposition(holed, 1, x, max_iterations=200)
    assert found.status == "converged"
    torch.testing.assert_close(found.harmonic, x, rtol=0, atol=3e4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_harmonic_basis_with_weights_in_any_precision(dtype):
    """A sheet of triangles without those around one vertex, which is left alone: one hole."""
    ring = RingLifting(3)(nx.triangular_lattice_graph(12, 24))
    holed = CellComplex.from_simplices([t for t in ring.cells(2) if 84 not in t])
    weights = {r: torch.rand(n, dtype=dtype) + 0.1 for r, n in enumerate(holed.shape)}
    for r, expected in enumerate(holed.betti_numbers()):
        basis = harmonic_basis(HodgeLaplacian(holed, r, weights=weights))
        assert basis.dtype == dtype
        assert basis.shape[1] == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_harmonic_basis_of_a_long_cycle_in_any_precision(dtype):
    """Its next eigenvalue, 2e-7 of the largest, is near the rounding of single precision."""
    n = 8000
    ring = torch.arange(n)
    cycle = CellComplex.from_edges(n, torch.stack([ring, ring.roll(-1)]))
    scalars = CellularSheaf(cycle, 1, torch.ones(2 * n, dtype=dtype))
    weights = {r: torch.rand(n, dtype=dtype) + 0.5 for r in (0, 1)}
    for laplacian in (
        SheafLaplacian(scalars),
        SheafLaplacian(scalars, "augmented", rank=1),
        HodgeLaplacian(cycle, 1, weights=weights),
        HodgeLaplacian(cycle, 1, weights=weights).down,
    ):
        assert harmonic_basis(laplacian).shape[-1] == 1


def test_harmonic_basis_of_rounded_entries():
    """Projections along one direction in each stalk, held as matrices in single precision."""
    v = torch.nn.functional.normalize(torch.randn(50, 3), dim=1)
    blocks = torch.eye(3) - v[:, :, None] * v[:, None, :]
    assert harmonic_basis(BlockDiagonal(blocks, (50, 3), blocks.dtype)).shape == (50, 3, 50)


def test_harmonic_basis_of_a_large_complex():
    """Sparse path: 12 separate squares of a large grid, so an eigenvalue repeated 12 times."""
    block, edges = grid(7, 7), []
    for k in range(12):
        edges.append(block.edge_index + 49 * k)
    complex = CellComplex.from_edges(49 * 12, torch.cat(edges, 1))
    basis = harmonic_basis(HodgeLaplacian(complex, 0))
    assert basis.shape == (49 * 12, 12)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(12), rtol=0, atol=1e-5)
    assert float((HodgeLaplacian(complex, 0) @ basis).abs().max()) < 1e-5
    # each square has a vector of its own
    assert int(basis.unflatten(0, (12, 49)).any(1).sum()) == 12
    cycles = complex.shape[1] - complex.shape[0] + 12
    assert harmonic_basis(HodgeLaplacian(complex, 1)).shape[1] == cycles


@pytest.mark.parametrize("size", [6, 24])
def test_spectral_embedding_of_a_grid(size):
    """Eigenvalues of a product of paths: 4 sin^2(pi i / 2 n) + 4 sin^2(pi j / 2 m)."""
    path = 4 * np.sin(np.pi * np.arange(size) / (2 * size)) ** 2
    other = 4 * np.sin(np.pi * np.arange(size - 2) / (2 * size - 4)) ** 2
    expected = np.sort((path[:, None] + other).ravel())[:5]
    laplacian = GraphLaplacian(grid(size, size - 2))
    values, vectors = spectral_embedding(laplacian, 5)
    np.testing.assert_allclose(values, expected, atol=1e-5)
    torch.testing.assert_close(laplacian @ vectors, vectors * values, rtol=0, atol=1e-5)
    # largest entries are positive; in the symmetry of the grid some tie with their opposites
    assert bool((vectors.amax(0) > -vectors.amin(0) - 1e-5).all())
    again = spectral_embedding(laplacian, 5)[1]
    assert torch.equal(again, vectors)


def test_lanczos_reaches_the_ends_of_the_spectrum():
    laplacian = GraphLaplacian(grid(20, 20))
    ritz = lanczos(laplacian, 60)
    assert float(ritz[-1]) == pytest.approx(8 * np.cos(np.pi / 40) ** 2, rel=1e-3)
    assert float(ritz[0]) >= -1e-5
    assert laplacian.spectral_norm(60) <= laplacian.spectral_bound() == 8.0
    assert GraphLaplacian(grid(2, 2)).spectral_norm() == pytest.approx(4.0)


def test_wrong_operators():
    walk = GraphLaplacian(grid(3, 3), "random_walk")
    with pytest.raises(ValueError, match="symmetric operator"):
        lanczos(walk)
    with pytest.raises(ValueError, match="positive semidefinite"):
        spectral_embedding(walk, 2)
    with pytest.raises(ValueError, match="positive semidefinite"):
        harmonic_basis(walk)
    with pytest.raises(ValueError, match="k must be a whole number from 1 to 9"):
        spectral_embedding(GraphLaplacian(grid(3, 3)), 10)
