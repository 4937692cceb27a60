"""Least squares and what rests on it: gradients, weights, the flat form, input that is refused."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor

import topodiff as td
from topodiff.operators import (
    BlockDiagonal,
    Coboundary,
    Dirac,
    LinearOperator,
    SheafLaplacian,
    harmonic_basis,
    hodge_decomposition,
    least_squares,
)

GRID = td.from_networkx(nx.grid_2d_graph(3, 3))
# an annulus of triangles: cochains of rank 1 have all three parts
ANNULUS = [(i, (i + 1) % 4, 4 + i) for i in range(4)]
ANNULUS += [((i + 1) % 4, 4 + i, 4 + (i + 1) % 4) for i in range(4)]
HOLE = td.CellComplex.from_simplices([*ANNULUS, (0, 8)], num_vertices=10)
FRAMES = torch.eye(2).double() + 0.3 * torch.randn(10, 2, 2, dtype=torch.double)


class Matrix(LinearOperator):
    """A dense matrix."""

    def __init__(self, matrix: Tensor) -> None:
        rows, columns = matrix.shape
        super().__init__((rows,), (columns,), matrix.dtype, matrix.device)
        self.matrix = matrix

    def _apply(self, x: Tensor) -> Tensor:
        return self.matrix @ x

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return self.matrix.T @ y


def singular(rows: int, columns: int, values: list[float]) -> tuple[Tensor, Tensor]:
    """Orthonormal U and V diag(values)."""
    u, v = (torch.linalg.qr(torch.randn(n, len(values)).double())[0] for n in (rows, columns))
    return u, v * torch.tensor(values, dtype=torch.double)


@pytest.mark.parametrize("channels", [(), (3,), (2, 2)])
def test_gradients_of_the_projection_on_gradients(channels: tuple[int, ...]) -> None:
    delta = Coboundary(GRID, 0).to_dense().double()
    projection = delta @ torch.linalg.pinv(delta)
    c = torch.arange(12.0).double().reshape(12, *[1] * len(channels)).expand(12, *channels)
    start = torch.randn(12, *channels, dtype=torch.double)
    for b in (torch.ones_like(start), start, torch.zeros_like(start)):
        b.requires_grad_()
        found = hodge_decomposition(GRID, 1, b).gradient
        (grad,) = torch.autograd.grad((found * c).sum(), b)
        torch.testing.assert_close(grad, torch.tensordot(projection, c, 1))


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0], [1.0, 1.0, 3.0]])
@pytest.mark.parametrize(("rows", "columns"), [(7, 4), (4, 7), (6, 6)])
def test_gradients_of_the_pseudo_inverse(rows: int, columns: int, values: list[float]) -> None:
    """With singular values that repeat and null spaces on both sides, where the rank stays."""
    u, v = singular(rows, columns, values)
    b = torch.randn(rows, 2, dtype=torch.double)
    b[:, 1] = u[:, 0]  # one channel without a residual
    leaves = [t.requires_grad_() for t in (u, v, b)]

    def solve(u: Tensor, v: Tensor, b: Tensor) -> Tensor:
        return least_squares(Matrix(u @ v.T), b).x

    expected = torch.linalg.pinv(u @ v.T, rtol=1e-9) @ b
    torch.testing.assert_close(solve(*leaves), expected)
    assert torch.autograd.gradcheck(solve, leaves)


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_to_maps_and_weights(weighted: bool) -> None:
    """Of all parts and potentials on a flat bundle, whose coboundaries keep their ranks."""
    x = torch.randn(HOLE.shape[1], 2, 2, dtype=torch.double)
    weights = [0.5 + torch.rand(n, dtype=torch.double) for n in HOLE.shape] if weighted else []
    leaves = [t.clone().requires_grad_() for t in (FRAMES, x, *weights)]

    def parts(frames: Tensor, x: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        maps = {1: frames.index_select(0, HOLE.incidence(1).face), 2: None}
        sheaf = td.CellularSheaf(HOLE, 2, maps, weights=dict(enumerate(weights)))
        return tuple(hodge_decomposition(sheaf, 1, x)[:5])

    assert torch.autograd.gradcheck(parts, leaves, fast_mode=True, atol=1e-4)


def test_what_is_not_differentiable_twice_says_so() -> None:
    b = torch.randn(12, dtype=torch.double, requires_grad=True)
    x = least_squares(Coboundary(GRID, 0), b).x
    (grad,) = torch.autograd.grad(x.square().sum(), b, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_gradients_that_do_not_converge_are_reported() -> None:
    b = torch.randn(12, dtype=torch.double, requires_grad=True)
    x = least_squares(Coboundary(GRID, 0), b, max_iterations=1).x
    with pytest.warns(UserWarning, match="gradients are inexact"):
        (x * torch.arange(9.0).square()).sum().backward()


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_weights_of_a_sheaf(rank: int) -> None:
    weights = {r: 0.5 + torch.rand(n, dtype=torch.double) for r, n in enumerate(HOLE.shape)}
    maps = td.CellularSheaf.from_frames(HOLE, FRAMES).maps
    sheaf = td.CellularSheaf(HOLE, 2, maps, weights=weights)
    x = torch.randn(HOLE.shape[rank], 2, dtype=torch.double)
    laplacian = SheafLaplacian(sheaf, rank=rank)
    parts = hodge_decomposition(sheaf, rank, x)
    zero = torch.zeros_like(x)
    torch.testing.assert_close(laplacian @ parts.harmonic, zero, rtol=0, atol=1e-9)
    torch.testing.assert_close(laplacian.up @ parts.gradient, zero, rtol=0, atol=1e-9)
    torch.testing.assert_close(laplacian.down @ parts.curl, zero, rtol=0, atol=1e-9)
    basis = harmonic_basis(laplacian)
    expected = torch.einsum("eik,fjk,fj->ei", basis, basis, x)
    torch.testing.assert_close(parts.harmonic, expected, rtol=0, atol=1e-8)
    # the square of Dirac is the direct sum of the Laplacians
    dirac = Dirac(sheaf)
    states = [torch.zeros(n, 2, dtype=torch.double) for n in HOLE.shape]
    states[rank] = x
    square = dirac.split(dirac @ (dirac @ torch.cat(states)))
    for r, part in enumerate(square):
        torch.testing.assert_close(part, laplacian @ x if r == rank else 0 * part)


def test_a_sheaf_without_cells_of_rank_2() -> None:
    path = td.liftings.CliqueLifting(2)(nx.path_graph(4))
    x = torch.randn(3, 2)
    parts = hodge_decomposition(td.CellularSheaf(path, 2), 1, x)
    torch.testing.assert_close(parts.gradient, x)
    assert parts.copotential.shape == (0, 2)


@pytest.mark.parametrize("channels", [(), (2,), (3,)])
def test_flat_form(channels: tuple[int, ...]) -> None:
    sheaf = td.CellularSheaf.from_frames(HOLE, FRAMES)
    for rank, n in enumerate(HOLE.shape):
        x = torch.randn(n, 2, *channels, dtype=torch.double)
        whole = hodge_decomposition(sheaf, rank, x)
        flat = hodge_decomposition(sheaf, rank, x.flatten(0, 1))
        for a, b in zip(flat[:5], whole[:5], strict=True):
            torch.testing.assert_close(a, b.flatten(0, 1))
    delta = Coboundary(sheaf, 0)
    b = torch.randn(*delta.row_shape, *channels, dtype=torch.double)
    found = least_squares(delta, b.flatten(0, 1)).x
    torch.testing.assert_close(found, least_squares(delta, b).x.flatten(0, 1))


def test_refused_input() -> None:
    delta = Coboundary(GRID, 0)
    for bad in (torch.nan, torch.inf):
        b = torch.ones(12)
        b[3] = bad
        for call in (lambda b: least_squares(delta, b), lambda b: hodge_decomposition(GRID, 1, b)):
            with pytest.raises(ValueError, match="b is not finite"):
                call(b)
    for b in (torch.ones(12, dtype=torch.long), np.ones(12)):
        with pytest.raises(TypeError, match="floating-point tensor"):
            least_squares(delta, b)
        with pytest.raises(TypeError, match="floating-point tensor"):
            hodge_decomposition(GRID, 1, b)
    with pytest.raises(ValueError, match="the state must have shape"):
        hodge_decomposition(GRID, 1, torch.ones(11))
    with pytest.raises(ValueError, match="max_iterations must be a whole number >= 0, got -1"):
        least_squares(delta, torch.ones(12), max_iterations=-1)
    broken = BlockDiagonal(torch.tensor([1.0, torch.nan]), (2,), torch.float32)
    with pytest.raises(ValueError, match=r"products with .* are not finite"):
        least_squares(broken, torch.ones(2))
    maps = {r: torch.ones(HOLE.incidence(r).nnz) for r in (1, 2)}
    sheaf = td.CellularSheaf(HOLE, 2, maps)
    maps[1][0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        hodge_decomposition(sheaf, 1, torch.ones(HOLE.shape[1], 2))
