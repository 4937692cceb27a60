"""One contract for every operator: products, matrices, diagonals, tags, bounds, gradients."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from operator_cases import CASES, DIM, RINGS, sheaf, state

from topodiff.operators import Coboundary, GraphLaplacian


@pytest.fixture(params=CASES, ids=str)
def case(request):
    build, leaves = CASES[request.param]
    return build, leaves


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_matrices_and_diagonals_agree(case, dtype):
    build, leaves = case
    operator = build(*(leaf.to(dtype) for leaf in leaves))
    if operator.dtype is None:
        assert torch.get_default_dtype() == torch.float32
        assert (operator @ state(operator, (2,), dtype)).dtype == dtype
    tol = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-6}
    matrix = operator.to_scipy()
    assert matrix.shape == operator.shape
    dense = operator.to_dense()
    torch.testing.assert_close(dense, torch.from_numpy(matrix.toarray()), **tol)
    torch.testing.assert_close(operator.to_sparse().to_dense(), dense, **tol)
    torch.testing.assert_close(operator.T.to_dense(), dense.mT, **tol)
    dense = dense.to(dtype)
    for channels in ((), (4,), (2, 3)):
        x = state(operator, channels, dtype)
        expected = (dense @ x.reshape(operator.shape[1], -1)).reshape(
            *operator.row_shape, *channels
        )
        torch.testing.assert_close(operator @ x, expected, **tol)
        flat = x.reshape(operator.shape[1], *channels)
        expected = expected.reshape(operator.shape[0], *channels)
        torch.testing.assert_close(operator @ flat, expected, **tol)
    if operator.row_shape == operator.col_shape:
        diagonal = operator.diagonal()
        assert diagonal.shape == operator.col_shape
        torch.testing.assert_close(diagonal.flatten().to(dtype), dense.diagonal(), **tol)
        d = operator.col_shape[1] if len(operator.col_shape) == 2 else 1
        blocks = dense.reshape(operator.col_shape[0], d, -1, d).diagonal(dim1=0, dim2=2)
        found = operator.block_diagonal().to(dtype)
        torch.testing.assert_close(found, blocks.permute(2, 0, 1), **tol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adjoint_identity(case, dtype):
    build, leaves = case
    operator = build(*(leaf.to(dtype) for leaf in leaves))
    x, y = state(operator, (3,), dtype), state(operator, (3,), dtype, "row").flip(-1)
    left, right = ((operator @ x) * y).sum(), (x * (operator.T @ y)).sum()
    torch.testing.assert_close(
        left, right, rtol=1e-4, atol=1e-4 if dtype == torch.float32 else 1e-10
    )


def test_tags_and_bounds_are_true(case):
    build, leaves = case
    operator = build(*leaves)
    dense = operator.to_dense().double()
    if operator.symmetric:
        torch.testing.assert_close(dense, dense.mT, rtol=1e-5, atol=1e-5)
        assert operator.T is operator
    if operator.positive_semidefinite:
        assert operator.symmetric
        assert float(torch.linalg.eigvalsh(dense).min()) >= -1e-5
    norm = float(torch.linalg.matrix_norm(dense, 2)) if dense.numel() else 0.0
    assert operator.spectral_bound() >= norm - 1e-5
    assert operator.spectral_norm(100) == pytest.approx(norm, rel=1e-3, abs=1e-5)


def test_scipy_view(case):
    build, leaves = case
    operator = build(*leaves)
    view, matrix = operator.scipy(), operator.to_scipy()
    x = np.random.default_rng(0).standard_normal((operator.shape[1], 2))
    y = np.random.default_rng(0).standard_normal((operator.shape[0], 2))
    np.testing.assert_allclose(view @ x, matrix @ x, atol=1e-5)
    np.testing.assert_allclose(view @ x[:, 0], matrix @ x[:, 0], atol=1e-5)
    np.testing.assert_allclose(view.rmatmat(y), matrix.T @ y, atol=1e-5)
    np.testing.assert_allclose(view.rmatvec(y[:, 0]), matrix.T @ y[:, 0], atol=1e-5)
    assert sp.issparse(matrix)
    z = x + 1j * np.random.default_rng(1).standard_normal(x.shape)
    np.testing.assert_allclose(view @ z, matrix @ z, atol=1e-5)
    np.testing.assert_allclose(view @ z[:, 0], matrix @ z[:, 0], atol=1e-5)


def test_scipy_view_without_columns():
    """As many columns as a stalk has dimensions, of a matrix of 10 DIM rows and none, are no
    state."""
    operator = Coboundary(sheaf(RINGS, None), -1)
    view = operator.scipy()
    assert view.matmat(np.zeros((0, DIM))).shape == (operator.shape[0], DIM)
    assert operator.T.scipy().rmatmat(np.zeros((0, DIM))).shape == (operator.shape[0], DIM)


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.int64(2), torch.tensor(2.0).double()])
def test_multiples(number):
    laplacian = GraphLaplacian(RINGS)
    x = torch.randn(10, 2, requires_grad=True)
    for operator in (laplacian * number, number * laplacian, laplacian / (1 / number)):
        assert operator.positive_semidefinite
        assert operator.dtype is None
        torch.testing.assert_close(operator @ x, 2 * (laplacian @ x))
        torch.testing.assert_close(operator.diagonal(), 2 * laplacian.diagonal())
    assert not (laplacian * -number).positive_semidefinite


def test_gradients(case):
    """To the state and to every number that the operator is made of, against numerical ones."""
    build, leaves = case
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    operator = build(*leaves)
    x = state(operator, (2,), torch.float64).requires_grad_()
    if not operator.shape[0] * operator.shape[1]:
        assert (operator @ x).shape == (*operator.row_shape, 2)
        return
    y = state(operator, (2,), torch.float64, "row").sin()

    def energy(x, *leaves):
        return ((build(*leaves) @ x) * y).sum()

    assert torch.autograd.gradcheck(energy, (x, *leaves), fast_mode=True, atol=1e-4)
    if leaves:
        weight = torch.linspace(-1, 1, operator.shape[0] * operator.shape[1], dtype=x.dtype)

        def of_dense(*leaves):
            return (build(*leaves).to_dense().flatten() * weight).sum()

        assert torch.autograd.gradcheck(of_dense, tuple(leaves), fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("name", ["sheaf matrix True", "sheaf diagonal False", "sheaf scalar True"])
def test_second_derivatives(name):
    build, leaves = CASES[name]
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    x = state(build(*leaves), (2,), torch.float64).requires_grad_()

    def energy(x, *leaves):
        return ((build(*leaves) @ x) * x).sum()

    assert torch.autograd.gradgradcheck(energy, (x, *leaves), fast_mode=True, atol=1e-4)


def test_sparse_matrices_come_without_warnings():
    code = (
        "import topodiff as td, torch\n"
        "K = td.CellComplex.from_edges(3, torch.tensor([[0, 1], [1, 2]]))\n"
        "td.operators.GraphLaplacian(K).to_sparse()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
