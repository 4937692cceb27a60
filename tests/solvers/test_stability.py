"""Stability limits, and steps beyond them."""

import math
import warnings

import numpy as np
import pytest
import torch
from solver_cases import KARATE, Oscillator, laplacian, state

import topodiff as td
from topodiff.dynamics import (
    AttentionDiffusion,
    Entries,
    Heat,
    Piecewise,
    Wave,
    adjacency,
    attention_weights,
    scaled_dot,
)
from topodiff.operators import Identity
from topodiff.solvers import SOLVERS, largest_stable_step
from topodiff.solvers.amplification import growth
from topodiff.solvers.stability import LIMITS, OSCILLATORS, limit
from topodiff.solvers.torchdiffeq_methods import ADAPTIVE

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
        step = 0.99 * safe
        short, long = (
            td.diffuse(law, (X, X), k * step, solver, step_size=step) for k in (100, 1600)
        )
        # a mode at rest moves on at its velocity, the others stay
        drift = 1600 * step if damping == 0 else min(1600 * step, 1 / damping)
        assert float(long.v.norm()) < 10 * float(short.v.norm())
        assert float(long.x.norm()) < 20 * (float(short.x.norm()) + drift * float(X.norm()))
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
    adaptive = {*ADAPTIVE, "dormand_prince", "bogacki_shampine"}
    known = set(LIMITS) | set(OSCILLATORS)
    assert known == (set(SOLVERS) - adaptive) | {"predictor_corrector"}


# -- growth of a step ----------------------------------------------------------------------------

ON_BOTH_AXES = [
    ("euler", None, 0.0),
    ("midpoint", None, 0.0),
    ("heun", None, 0.0),
    ("heun2", None, 0.0),
    ("heun3", None, math.sqrt(3)),
    ("rk4", None, math.sqrt(8)),
    ("adams_bashforth", 2, 0.0),
    ("adams_bashforth", 3, 0.7236),
    ("adams_bashforth", 4, 0.4300),
    ("explicit_adams", None, 0.7236),
    ("adams_moulton", 3, 0.0),
    ("predictor_corrector", 1, 1.0),
    ("predictor_corrector", 2, 1.28),
]


@pytest.mark.parametrize(("solver", "order", "imaginary"), ON_BOTH_AXES)
def test_growth_begins_at_the_limits(solver, order, imaginary):
    """Of the real axis, where they are tabulated, and of the imaginary one (Hairer and Wanner II,
    section V.1)."""
    for bound, direction in ((limit(solver, order), -1.0), (imaginary, 1.0j)):
        inside, outside = growth(
            solver, order, direction * np.array([0.999 * bound, 1.02 * bound + 0.1])
        )
        assert inside <= 1 + 1e-9
        assert outside > 1 + 1e-9


@pytest.mark.filterwarnings("ignore:.*is unstable", "ignore:Functional iteration")
@pytest.mark.parametrize("solver", ["heun3", "rk4", "adams_bashforth", "adams_moulton"])
def test_growth_is_that_of_the_solver(solver):
    """For a wave of one frequency."""
    law = Oscillator(Identity((1,), torch.device("cpu")), 0.1)
    x = torch.ones(1, dtype=torch.float64)
    h = 4.0
    sizes = []
    for steps in (40, 60):
        sol = td.diffuse(law, x, steps * h, solver, num_steps=steps, allow_unstable=True)
        sizes.append(float(torch.cat([sol.x, sol.v]).norm()))
    name = "predictor_corrector" if solver == "adams_moulton" else solver
    mu = h * np.array([-0.05 + 1j * math.sqrt(1 - 0.05**2)])
    factor = (sizes[1] / sizes[0]) ** (1 / 20)
    assert factor == pytest.approx(float(growth(name, None, mu)[0]), rel=0.15)


# -- laws of second order, and laws in time ------------------------------------------------------

FOR_WAVES = [
    "euler", "midpoint", "heun", "rk4", "adams_bashforth", "adams_moulton", "heun2", "heun3",
    "explicit_adams", "implicit_adams",
]  # fmt: skip
NORMAL = laplacian("symmetric")


@pytest.mark.filterwarnings("ignore:Functional iteration")
@pytest.mark.parametrize("solver", FOR_WAVES)
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_waves_by_explicit_solvers_of_first_order(solver, damping):
    law = Oscillator(NORMAL, damping)

    def energy(x, v):
        return float((v * v).sum() + (x * (NORMAL @ x)).sum())

    with pytest.raises(ValueError, match=r"is unstable.*certain to be stable.*leapfrog"):
        td.diffuse(law, (X, X), 50.0, solver, num_steps=15)
    sol = td.diffuse(law, (X, X), 30.0, solver)
    assert sol.status == "ok"
    assert energy(sol.x, sol.v) < math.exp(2) * energy(X, X)


def rising(t):
    return t


@pytest.mark.parametrize("solver", ["euler", "rk4", "adams_bashforth", "heun3"])
@pytest.mark.parametrize("rate", [rising, Piecewise([0.01, 5.0], 10.0)])
def test_a_law_that_becomes_stiff(solver, rate):
    law = Heat(L, rate=rate)
    with pytest.raises(ValueError, match=r"is unstable.*take that, or dopri5"):
        td.diffuse(law, X, 10.0, solver, num_steps=200)
    sol = td.diffuse(law, X, 10.0, solver)
    torch.testing.assert_close(sol.x, X.mean(0).expand_as(X), rtol=0, atol=1e-3)


@pytest.mark.parametrize("solver", ["leapfrog", "symplectic_euler"])
def test_a_wave_that_becomes_fast(solver):
    law = Wave(L, speed=rising)
    with pytest.raises(ValueError, match=r"is unstable.*take that, or dopri5"):
        td.diffuse(law, (X, X), 10.0, solver, num_steps=100)
    sol = td.diffuse(law, (X, X), 10.0, solver)
    assert float(sol.x.norm()) < 100 * float(X.norm())


def test_attention_that_depends_on_the_state():
    """``I - A`` with rows that sum to 1 has the bound 2."""
    entries = Entries.from_complex(KARATE, True)

    def attention(t, x, entries):
        return attention_weights(scaled_dot(x[:, None], x[:, None], entries), entries)

    law = AttentionDiffusion(entries, attention)
    with pytest.warns(UserWarning, match="certain to be stable is 1 "):
        td.diffuse(law, X, 30.0, "euler", step_size=3.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        td.diffuse(law, X, 30.0, "euler", step_size=1.0)
        assert td.diffuse(law, X, 180.0, "euler").stats.steps == 200


def test_a_graph_that_moves_is_left_alone():
    calls = []

    def rewire(x):
        calls.append(x)
        return Entries.from_complex(KARATE, True)

    law = AttentionDiffusion(
        Entries.from_complex(KARATE, True), lambda t, x, e: torch.ones(e.nnz).to(x), rewire=rewire
    )
    td.diffuse(law, X, 1.0, "euler", num_steps=3)
    assert len(calls) == 3


def test_the_solvers_named_instead_can_solve_it():
    walk = laplacian("random_walk")
    row = AttentionDiffusion.from_matrix(adjacency(KARATE, X.dtype, normalization="row"))
    cases = [(L, "chebyshev"), (walk, "dopri5"), (row, "uniformization"),
             (Oscillator(L), "leapfrog")]  # fmt: skip
    for law, other in cases:
        with pytest.raises(ValueError, match=f"take that, or {other}"):
            td.diffuse(law, X, 100.0, "rk4", num_steps=20)
        assert td.diffuse(law, X, 1.0, other).status == "ok"


def test_numbers_that_are_not_finite_show_on_the_way():
    assert td.diffuse(Heat(L, rate=math.inf), X, 1.0, "rk4").status == "not_finite"
