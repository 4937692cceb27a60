"""Derivatives beyond the first are right or refused, never zero in silence."""

import pytest
import torch
from solver_cases import SMALL, exact, laplacian, random_weights, state

import topodiff as td
from topodiff.operators import GraphLaplacian
from topodiff.solvers import linear_solve

L = laplacian("combinatorial", SMALL)
IMPLICIT = ["implicit_euler", "crank_nicolson", "bdf2", "imex", "adams_moulton"]
EXACT = ["chebyshev", "krylov", "dormand_prince", "uniformization"]


def hessian(f, x):
    return torch.autograd.functional.hessian(f, x)


@pytest.mark.parametrize("solver", EXACT)
@pytest.mark.parametrize("save_at", [None, [0.2, 1.0]])
def test_exact_flows_of_a_constant_operator(solver, save_at):
    x = state(L)[:, 0].clone()
    found = hessian(lambda z: td.diffuse(L, z, 1.0, solver, save_at=save_at).x.pow(3).sum(), x)

    def dense(z):
        return sum(exact(L, z, t).pow(3).sum() for t in save_at or [1.0])

    torch.testing.assert_close(found, hessian(dense, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("solver", IMPLICIT)
def test_implicit_steps_of_a_constant_operator(solver):
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)

    def loss(z):
        return td.diffuse(L, z, 1.0, solver, num_steps=4).x.pow(3).sum()

    assert torch.autograd.gradgradcheck(loss, x)


def test_linear_solve_with_a_constant_operator():
    walk = laplacian("random_walk", SMALL)
    b = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    shifted = walk.identity() + walk
    assert torch.autograd.gradgradcheck(lambda b: linear_solve(shifted, b).x.pow(3), b)


@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "dormand_prince"])
def test_the_time(solver):
    x = state(L)
    t = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(td.diffuse(L, x, t, solver).x.sum(1)[0], t, create_graph=True)
    (second,) = torch.autograd.grad(first, t)
    wanted = (L @ (L @ exact(L, x, 0.4))).sum(1)[0]
    torch.testing.assert_close(second, wanted, rtol=1e-5, atol=1e-6)


def solve(operator, x):
    return linear_solve(operator.identity() + operator, x).x


def flow(solver):
    return lambda operator, x: td.diffuse(operator, x, 0.5, solver).x


@pytest.mark.parametrize("run", [solve, *map(flow, ["chebyshev", "krylov", "implicit_euler"])])
def test_others_are_refused(run):
    weights = random_weights().requires_grad_()
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    y = run(GraphLaplacian(SMALL, weights=weights), x).square().sum()
    with pytest.raises(RuntimeError, match="second derivatives"):
        torch.autograd.grad(y, x, create_graph=True)


def test_newton_is_refused():
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    y = td.diffuse(lambda t, x: -x.pow(3), x, 0.5, "implicit_euler", num_steps=3).x
    with pytest.raises(RuntimeError, match="second derivatives"):
        torch.autograd.grad(y.square().sum(), x, create_graph=True)


@pytest.mark.parametrize("solver", ["dopri5", "heun3"])
def test_the_adjoint_is_refused(solver):
    x = state(L).requires_grad_()
    y = td.diffuse(L, x, 0.1, solver, backward="adjoint").x
    with pytest.raises(RuntimeError, match="second derivatives"):
        torch.autograd.grad(y.square().sum(), x, create_graph=True)
    for backward in ("direct", "checkpoint"):
        run = {"solver": solver if backward == "direct" else "rk4", "backward": backward}
        found = hessian(lambda z, run=run: td.diffuse(L, z, 0.1, **run).x.square().sum(), state(L))
        wanted = hessian(lambda z: exact(L, z, 0.1).square().sum(), state(L))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("solver", ["chebyshev", "implicit_euler", "rk4", "uniformization"])
def test_transforms_are_refused_by_name(solver):
    with pytest.raises(RuntimeError, match=r"torch\.func transforms"):
        torch.func.grad(lambda z: td.diffuse(L, z, 1.0, solver).x.sum())(state(L))


def test_transforms_of_a_plain_law():
    x = state(L)
    found = torch.func.grad(lambda z: td.diffuse(lambda t, x: -x, z, 1.0, "rk4").x.sum())(x)
    torch.testing.assert_close(found, torch.full_like(x, -1.0).exp())
    for run in (
        lambda z: td.diffuse(lambda t, x: -x, z, 1.0, "bdf2").x.sum(),
        lambda z: linear_solve(L.identity(), z).x.sum(),
    ):
        with pytest.raises(RuntimeError, match=r"torch\.func transforms"):
            torch.func.grad(run)(x)
