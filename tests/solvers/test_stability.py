"""Stability limits, and steps beyond them."""

import math

import numpy as np
import pytest
import torch
from solver_cases import Oscillator, laplacian, state

import topodiff as td
from topodiff.operators import Identity
from topodiff.solvers import largest_stable_step
from topodiff.solvers.stability import LIMITS, limit

L = laplacian("combinatorial")
X = state(L)
CASES = [
    ("euler", {}),
    ("midpoint", {}),
    ("heun", {}),
    ("rk4", {}),
    *[("adams_bashforth", {"order": k}) for k in (1, 2, 3, 4)],
    *[("adams_moulton", {"order": k, "mode": "implicit"}) for k in (3, 4)],
    *[("adams_moulton", {"order": k, "mode": "predictor_corrector"}) for k in (1, 2, 3, 4)],
]


def name_of(solver, options):
    return "predictor_corrector" if options.get("mode") == "predictor_corrector" else solver


@pytest.mark.filterwarnings("ignore:.*is unstable")
@pytest.mark.parametrize(("solver", "options"), CASES)
def test_limits_are_where_solutions_start_to_grow(solver, options):
    """The scalar equation dx/dt = -x, three per cent on either side."""
    one = Identity((1,), torch.device("cpu"))
    bound = limit(name_of(solver, options), options.get("order"))
    x = torch.ones(1, dtype=torch.float64)
    sizes = []
    for part in (0.97, 1.03):
        h = part * bound
        steps = 1000
        sol = td.diffuse(one, x, steps * h, solver, num_steps=steps, allow_unstable=True, **options)
        sizes.append(float(sol.x.abs()) if sol.status == "ok" else math.inf)
    assert sizes[0] < 1e-2
    assert sizes[1] > 1e2


def test_largest_stable_step():
    bound = L.spectral_bound()
    assert largest_stable_step("euler", L) == pytest.approx(2 / bound)
    assert largest_stable_step("adams_bashforth", L, order=2) == pytest.approx(1 / bound)
    assert largest_stable_step("adams_bashforth", L) == pytest.approx(0.3 / bound)
    assert largest_stable_step("leapfrog", L) == pytest.approx(2 / math.sqrt(bound))
    assert largest_stable_step("verlet", L) == largest_stable_step("leapfrog", L)
    for solver in ("implicit_euler", "chebyshev", "krylov", "uniformization"):
        assert largest_stable_step(solver, L) == math.inf
    # row sums of I - P
    assert largest_stable_step("euler", laplacian("random_walk")) == pytest.approx(1.0)
    zero = 0.0 * L
    assert largest_stable_step("euler", zero) == math.inf
    with pytest.raises(ValueError, match="no stability limit"):
        largest_stable_step("dopri5", L)
    with pytest.raises(ValueError, match="orders 1 to 4"):
        largest_stable_step("adams_moulton", L, order=7)


@pytest.mark.parametrize(("solver", "options"), CASES)
def test_unstable_steps_are_refused(solver, options):
    safe = largest_stable_step(name_of(solver, options), L, order=options.get("order"))
    with pytest.raises(ValueError, match=f"certain to be stable is {safe:.4g}"):
        td.diffuse(L, X, 100.0, solver, step_size=3 * safe, **options)
    with pytest.warns(UserWarning, match="unstable"):
        sol = td.diffuse(
            L, X, 200 * safe, solver, step_size=3 * safe, allow_unstable=True, **options
        )
    assert sol.status == "not_finite" or float(sol.x.norm()) > float(X.norm())
    assert td.diffuse(L, X, 20 * safe, solver, step_size=safe, **options).status == "ok"


def test_steps_between_the_bound_and_the_largest_eigenvalue_are_fine():
    largest = float(torch.linalg.eigvalsh(L.to_dense()).max())
    step = 1.98 / largest
    assert step > largest_stable_step("euler", L)
    assert td.diffuse(L, X, 50 * step, "euler", step_size=step).status == "ok"
    with pytest.raises(ValueError, match="unstable"):
        td.diffuse(L, X, 1.0, "euler", step_size=2.02 / largest)


def test_default_steps_are_stable():
    for solver in ("euler", "rk4", "adams_bashforth", "adams_moulton"):
        sol = td.diffuse(L, X, 30.0, solver)
        torch.testing.assert_close(sol.x, X.mean(0).expand_as(X), rtol=0, atol=1e-3)


@pytest.mark.parametrize("damping", [0.0, 0.5, 10.0])
def test_oscillators(damping):
    for solver in ("leapfrog", "symplectic_euler"):
        safe = largest_stable_step(solver, L, damping=damping)
        law = Oscillator(L, damping)
        sol = td.diffuse(law, (X, X), 300 * safe, solver, step_size=safe)
        assert float(sol.x.norm()) < 400 * (1 + safe) * float(X.norm())
        with pytest.raises(ValueError, match="certain to be stable"):
            td.diffuse(law, (X, X), 100.0, solver, step_size=2 * safe)


def test_damped_symplectic_euler_at_its_limit():
    """The characteristic roots leave the unit disk at h^2 w^2 + 2 h a = 4."""
    for damping, square in ((0.5, 9.0), (10.0, 1.0), (0.0, 4.0)):
        operator = square * Identity((1,), torch.device("cpu"))
        h = largest_stable_step("symplectic_euler", operator, damping=damping)
        for part, stable in ((0.999, True), (1.001, False)):
            k = part * h
            matrix = np.array(
                [[1 - k * k * square, k * (1 - k * damping)], [-k * square, 1 - k * damping]]
            )
            assert (abs(np.linalg.eigvals(matrix)).max() <= 1 + 1e-9) == stable


def test_nonlinear_laws_are_warned():
    class Law:
        def __call__(self, t, x):
            return -(L @ x)

        def linear_operator(self, t):
            return L

    with pytest.warns(UserWarning, match="unstable"):
        td.diffuse(Law(), X, 10.0, "euler", num_steps=20)


def test_every_fixed_step_solver_has_a_limit():
    assert set(LIMITS) >= {"euler", "midpoint", "heun", "rk4", "adams_bashforth", "adams_moulton"}
