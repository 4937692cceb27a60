"""Observed order of convergence of every solver against exact solutions."""

import math

import pytest
import torch
from solver_cases import Forced, Oscillator, Reaction, exact, laplacian, state

import topodiff as td

L = laplacian()
X = state(L, 2)

FIXED = [
    ("euler", {}, 1),
    ("midpoint", {}, 2),
    ("heun", {}, 2),
    ("heun2", {}, 2),
    ("heun3", {}, 3),
    ("rk4", {}, 4),
    *[("adams_bashforth", {"order": k}, k) for k in (1, 2, 3, 4)],
    *[("adams_moulton", {"order": k}, k) for k in (1, 2, 3, 4)],
    *[("adams_moulton", {"order": k, "mode": "predictor_corrector"}, k) for k in (1, 2, 3, 4)],
    ("implicit_euler", {}, 1),
    ("crank_nicolson", {}, 2),
    ("bdf2", {}, 2),
    ("imex", {"order": 1}, 1),
    ("imex", {"order": 2}, 2),
    ("explicit_adams", {}, 3),
]


def observed(error, steps):
    """Slope between two runs, the second with half the step."""
    coarse, fine = (error(n) for n in (steps, 2 * steps))
    return math.log2(coarse / fine)


def options_for(solver, t, n):
    own = solver not in ("heun2", "heun3", "explicit_adams")
    return {"num_steps": n} if own else {"step_size": t / n}


@pytest.mark.parametrize(("solver", "options", "order"), FIXED)
def test_heat_flow(solver, options, order):
    wanted = exact(L, X, 2.0)

    def error(n):
        sol = td.diffuse(L, X, 2.0, solver, **options, **options_for(solver, 2.0, n))
        assert sol.status == "ok"
        return float((sol.x - wanted).norm())

    found = observed(error, 64)
    assert abs(found - order) < (0.1 if order < 3 else 0.25)


@pytest.mark.parametrize(("solver", "options", "order"), [c for c in FIXED if c[0] != "imex"])
def test_law_that_depends_on_time(solver, options, order):
    """Times of stages and of past derivatives are right."""
    x0 = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
    if solver == "adams_moulton":
        options = {"mode": "implicit", **options}
    wanted = Forced.exact(x0, 2.0)

    def error(n):
        sol = td.diffuse(Forced(), x0, 2.0, solver, **options, **options_for(solver, 2.0, n))
        return float((sol.x - wanted).norm())

    assert abs(observed(error, 64) - order) < 0.25


@pytest.mark.parametrize(("solver", "order"), [("symplectic_euler", 1), ("leapfrog", 2)])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_oscillators(solver, order, damping):
    law = Oscillator(L, damping)
    v = state(L, 2, seed=1)
    n = len(X)
    block = torch.zeros(2 * n, 2 * n, dtype=torch.float64)
    block[:n, n:] = torch.eye(n)
    block[n:, :n] = -L.to_dense()
    block[n:, n:] = -damping * torch.eye(n)
    wanted = torch.linalg.matrix_exp(2 * block) @ torch.cat([X, v])

    def error(steps):
        sol = td.diffuse(law, (X, v), 2.0, solver, num_steps=steps)
        return float((torch.cat([sol.x, sol.v]) - wanted).norm())

    assert abs(observed(error, 64) - order) < 0.1


@pytest.mark.parametrize(("order", "solver"), [(1, "imex"), (2, "imex"), (2, "crank_nicolson")])
def test_reaction_diffusion(order, solver):
    law = Reaction(L)
    wanted = td.diffuse(law, X, 1.0, "dormand_prince", rtol=1e-11, atol=1e-12).x
    options = {"order": order} if solver == "imex" else {}

    def error(n):
        sol = td.diffuse(law, X, 1.0, solver, num_steps=n, **options)
        assert sol.status == "ok"
        return float((sol.x - wanted).norm())

    assert abs(observed(error, 64) - order) < 0.15


@pytest.mark.parametrize(
    "solver", ["dopri5", "bosh3", "dopri8", "dormand_prince", "bogacki_shampine"]
)
@pytest.mark.parametrize("tol", [1e-4, 1e-7])
def test_adaptive_solvers_keep_their_tolerance(solver, tol):
    sol = td.diffuse(L, X, 2.0, solver, rtol=tol, atol=tol)
    error = float((sol.x - exact(L, X, 2.0)).abs().max())
    assert sol.status == "ok"
    assert error < 10 * tol
    looser = td.diffuse(L, X, 2.0, solver, rtol=10 * tol, atol=10 * tol)
    assert looser.stats.evaluations < sol.stats.evaluations


def test_dopri5_needs_the_evaluations_of_the_literature():
    counts = [
        td.diffuse(L, X, 2.0, "dopri5", rtol=tol, atol=tol).stats.evaluations
        for tol in (1e-3, 1e-6, 1e-9)
    ]
    assert counts[0] <= 32
    assert counts[1] <= 80
    assert counts[2] <= 260
