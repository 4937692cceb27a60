"""Chebyshev and Lanczos where numbers end: very long times, very large and very small states."""

import tracemalloc

import pytest
import torch
from solver_cases import SMALL, exact, laplacian, state

import topodiff as td
from topodiff.operators import BlockDiagonal
from topodiff.solvers import chebyshev

KERNELS = ("chebyshev", "krylov")


def test_coefficients_sum_to_one_at_the_lower_end():
    """At eigenvalue 0, where T_k = (-1)^k, the kernel is 1."""
    expansion = chebyshev.expand(laplacian("combinatorial"), [0.1, 50.0], 1e-13, 10_000)
    signs = (-1.0) ** torch.arange(expansion.degree + 1).numpy()
    assert abs(expansion.coefficients @ signs - 1).max() < 1e-12


class Same(td.operators.LinearOperator):
    """Returns its argument, not a copy."""

    symmetric = positive_semidefinite = True

    def __init__(self):
        super().__init__((8,), (8,), torch.float64, torch.device("cpu"))

    def _apply(self, x):
        return x

    def _absolute(self):
        return self


@pytest.mark.parametrize("solver", KERNELS)
@pytest.mark.parametrize("save_at", [None, [0.3, 1.0]])
def test_a_product_that_is_its_argument(solver, save_at):
    x = torch.randn(8, 2, dtype=torch.float64, requires_grad=True)
    sol = td.diffuse(Same(), x, 1.0, solver, save_at=save_at)
    torch.testing.assert_close(
        sol.x,
        torch.stack([x * torch.tensor(-t).exp() for t in save_at])
        if save_at
        else x * torch.tensor(-1.0).exp(),
        rtol=1e-6,
        atol=1e-6,
    )
    (found,) = torch.autograd.grad(sol.x.sum(), x)
    wanted = torch.tensor(save_at or [1.0]).neg().exp().sum()
    torch.testing.assert_close(found, wanted.double().expand_as(found), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("t", [6e8, 1e12, 1e300, 1.7e308])
@pytest.mark.parametrize("degree", [100, 20_000])
def test_times_beyond_the_coefficients(t, degree):
    """Modified Bessel functions are NaN there."""
    operator = laplacian("combinatorial", SMALL)
    x = state(operator)
    sol = td.diffuse(operator, x, t, "chebyshev", save_at=[1.0, t], max_degree=degree)
    assert sol.status == "max_steps"
    mean = x.mean(0).expand_as(x)
    assert float((sol.x[1] - mean).norm() / x.norm()) <= sol.stats.error_bound <= 1
    torch.testing.assert_close(sol.x[0], exact(operator, x, 1.0))


def test_no_more_coefficients_than_terms():
    tracemalloc.start()
    chebyshev.expand(laplacian("combinatorial"), [1e7], 1e-12, 1000)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("solver", KERNELS)
def test_a_kernel_that_overflows(solver):
    """Growth as exp(18 t)."""
    x = torch.randn(34, 1, dtype=torch.float64)
    sol = td.diffuse(-1.0 * laplacian("combinatorial"), x, 1e4, solver, save_at=[0.1, 1e4])
    assert sol.status == "not_finite"
    assert sol.stats.error_bound == float("inf")
    assert bool(sol.x.isfinite().all())
    assert sol.ts.tolist() == [0.1]


def diagonal(entry):
    numbers = torch.tensor([1.0, entry, 1.0, 1.0, 2.0], dtype=torch.float64)
    return BlockDiagonal(numbers, (5,), numbers.dtype)


@pytest.mark.parametrize("solver", ["auto", *KERNELS])
@pytest.mark.parametrize("entry", [float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("semidefinite", [True, False])
def test_an_operator_that_is_not_finite(solver, entry, semidefinite):
    """Or whose bound overflows."""
    operator = laplacian("combinatorial", SMALL) + diagonal(entry)
    if not semidefinite:
        operator = operator - operator.identity()
    sol = td.diffuse(operator, state(operator), 1.0, solver)
    assert sol.status == "not_finite"
    assert sol.ts == 0


@pytest.mark.parametrize("entry", [float("nan"), float("inf")])
def test_mixing_that_is_not_finite(entry):
    operator = diagonal(entry)
    sol = td.diffuse(operator, state(operator), 1.0, "uniformization")
    assert sol.status == "not_finite"


@pytest.mark.parametrize("solver", KERNELS)
@pytest.mark.parametrize("size", [1e300, 1e-300])
def test_states_of_extreme_size(solver, size):
    operator = laplacian("combinatorial")
    x = state(operator)
    sol = td.diffuse(operator, x * size, 1.0, solver)
    assert sol.status == "ok"
    torch.testing.assert_close(sol.x / size, exact(operator, x, 1.0), rtol=1e-9, atol=1e-9)
