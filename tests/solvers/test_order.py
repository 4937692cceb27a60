"""Observed order of convergence of every solver against exact solutions."""

import math

import networkx as nx
import pytest
import torch
import torchdiffeq
from solver_cases import Forced, Oscillator, Reaction, exact, graph, laplacian, state

import topodiff as td
from topodiff.solvers.law import System
from topodiff.solvers.runge_kutta import combine, stages
from topodiff.solvers.tableaus import BOGACKI_SHAMPINE, DORMAND_PRINCE

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


ADAPTIVE = ["dopri5", "bosh3", "dopri8", "adaptive_heun", "dormand_prince", "bogacki_shampine"]


@pytest.mark.parametrize("solver", ADAPTIVE)
@pytest.mark.parametrize("tol", [1e-4, 1e-7])
def test_adaptive_solvers_keep_their_tolerance(solver, tol):
    sol = td.diffuse(L, X, 2.0, solver, rtol=tol, atol=tol)
    error = float((sol.x - exact(L, X, 2.0)).abs().max())
    assert sol.status == "ok"
    assert error < 10 * tol
    looser = td.diffuse(L, X, 2.0, solver, rtol=10 * tol, atol=10 * tol)
    assert looser.stats.evaluations < sol.stats.evaluations


@pytest.mark.parametrize("tol", [1e-4, 1e-6])
def test_fehlberg2_takes_its_errors_for_small(tol):
    """Its estimate is 1/512 of the change of slope, as torchdiffeq and Fehlberg have it."""
    sol = td.diffuse(L, X, 2.0, "fehlberg2", rtol=tol, atol=tol)
    assert 100 * tol < float((sol.x - exact(L, X, 2.0)).abs().max()) < 512 * tol


@pytest.mark.parametrize(("tol", "count"), [(1e-3, 26), (1e-6, 62), (1e-9, 194)])
def test_dopri5_needs_the_evaluations_of_torchdiffeq(tol, count):
    calls = []

    def f(t, x):
        calls.append(t)
        return -(L @ x)

    t = torch.tensor([0.0, 2.0], dtype=torch.float64)
    torchdiffeq.odeint(f, X, t, rtol=tol, atol=tol, method="dopri5")
    found = td.diffuse(L, X, 2.0, "dopri5", rtol=tol, atol=tol).stats.evaluations
    assert found == len(calls)
    assert abs(found - count) <= 6  # a step


@pytest.mark.parametrize("pair", [BOGACKI_SHAMPINE, DORMAND_PRINCE])
@pytest.mark.parametrize("embedded", [False, True])
def test_orders_of_the_adaptive_pairs(pair, embedded):
    """At fixed steps: of the method, and of the one that estimates its errors."""
    b = tuple(w - e * embedded for w, e in zip(pair.b, pair.error, strict=True))
    x0 = torch.tensor([[2.0, -1.0]], dtype=torch.float64)

    def error(n):
        system, x = System(Forced(), x0), x0
        for k in range(n):
            x = combine(x, b, stages(system, pair, 2.0 * k / n, 2.0 / n, x), 2.0 / n)
        return float((x - Forced.exact(x0, 2.0)).norm())

    assert abs(observed(error, 16) - (pair.order - embedded)) < 0.25


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_adams_moulton_starts_anew_at_many_times(order):
    """Between times that lie ever farther apart every step is a first one."""
    operator = laplacian("combinatorial", graph(nx.cycle_graph(20)))
    x = state(operator)
    times = torch.logspace(0, math.log10(200), 40, dtype=torch.float64).tolist()
    sol = td.diffuse(operator, x, 200.0, "adams_moulton", order=order, save_at=times)
    assert sol.status == "ok"
    assert float(sol.x.flatten(1).norm(dim=1).max()) <= float(x.norm())
    torch.testing.assert_close(sol.x[-1], exact(operator, x, 200.0), rtol=0, atol=0.05)
