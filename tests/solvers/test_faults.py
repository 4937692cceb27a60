"""Mistakes are errors before any work; what goes wrong on the way is a status."""

import math

import pytest
import torch
from solver_cases import Dragged, Oscillator, Reaction, exact, laplacian, state

import topodiff as td
from topodiff.operators import Coboundary
from topodiff.solvers import SOLVERS

L = laplacian("combinatorial")
X = state(L)
FIRST = [s for s in SOLVERS if s not in ("leapfrog", "verlet", "symplectic_euler")]


@pytest.mark.parametrize("solver", ["auto", *FIRST])
def test_no_time_at_all(solver):
    sol = td.diffuse(L, X, 0, solver)
    assert sol.status == "ok"
    assert torch.equal(sol.x, X)
    assert float(sol.ts) == 0
    assert sol.stats.steps == 0
    saved = td.diffuse(L, X, 0.0, solver, save_at=[0.0])
    assert torch.equal(saved.x, X[None])


@pytest.mark.parametrize(
    "solver", ["euler", "rk4", "dopri5", "dormand_prince", "bdf2", "chebyshev"]
)
def test_saved_times(solver):
    times = torch.tensor([0.0, 0.013, 0.02])
    sol = td.diffuse(L, X, 0.05, solver, save_at=times)
    assert sol.x.shape == (3, *X.shape)
    torch.testing.assert_close(sol.ts, times.double(), rtol=0, atol=1e-8)
    for t, found in zip(sol.ts, sol.x, strict=True):
        torch.testing.assert_close(found, exact(L, X, float(t)), rtol=0, atol=0.02)
    none = td.diffuse(L, X, 0.05, solver, save_at=[])
    assert none.x.shape == (0, *X.shape)


@pytest.mark.parametrize("solver", SOLVERS)
def test_saved_rows(solver):
    """The same states, fewer of their rows."""
    rows, times = torch.tensor([7, 0, 33]), [0.0, 0.01, 0.02]
    law = L if solver in FIRST else Oscillator(L)
    whole = td.diffuse(law, X, 0.05, solver, save_at=times)
    found = td.diffuse(law, X, 0.05, solver, save_at=times, save_rows=rows)
    torch.testing.assert_close(found.x, whole.x[:, rows], rtol=1e-12, atol=1e-14)
    if solver not in FIRST:
        assert torch.equal(found.v, whole.v[:, rows])
    none = td.diffuse(law, X, 0.05, solver, save_at=[], save_rows=rows)
    assert none.x.shape == (0, 3, *X.shape[1:])


TIMES = [
    ({"t": -1.0}, ValueError, "time runs forward"),
    ({"t": math.nan}, ValueError, "must be finite"),
    ({"t": math.inf}, ValueError, "must be finite"),
    ({"t": "1"}, TypeError, "one real number"),
    ({"t": torch.ones(2)}, TypeError, "one real number"),
    ({"save_at": [0.5, 0.2]}, ValueError, "must rise"),
    ({"save_at": [0.5, 0.5]}, ValueError, "must rise"),
    ({"save_at": [0.5, 1.5]}, ValueError, "between 0 and t"),
    ({"save_at": [-0.5, 0.5]}, ValueError, "between 0 and t"),
    ({"save_at": 0.1}, TypeError, "save_at must be rising times"),
    ({"save_at": torch.tensor(0.1)}, TypeError, "save_at must be rising times"),
    ({"save_rows": torch.tensor([0])}, ValueError, "goes with save_at"),
    ({"save_at": [1.0], "save_rows": torch.tensor([34])}, ValueError, "rows 0 to 33"),
    ({"save_at": [1.0], "save_rows": torch.tensor([True])}, TypeError, "int64"),
    ({"backward": "unrolled"}, ValueError, "direct, checkpoint, adjoint"),
    ({"max_steps": 0}, ValueError, "max_steps"),
    ({"callback": 3}, TypeError, "callable"),
    ({"solver": "ode45"}, ValueError, "no solver is called"),
    ({"x0": X.long()}, TypeError, "floating-point tensor"),
    ({"x0": X.numpy()}, TypeError, "floating-point tensor"),
    ({"x0": torch.tensor(1.0)}, ValueError, "dimension for cells"),
    ({"x0": X[:-1]}, ValueError, r"shape \(34, \*channels\)"),
    ({"x0": X.float()}, TypeError, "float32"),
    ({"x0": torch.where(X > 2, torch.nan, X)}, ValueError, "x0 is not finite: entry"),
    ({"x0": (X, X)}, ValueError, "first order is one tensor"),
    ({"law": 3.0}, TypeError, "a law is a LinearOperator"),
    ({"law": Coboundary(L.complex, 0), "x0": X}, ValueError, "not square"),
    ({"law": lambda t, x: x[:3]}, ValueError, "in the shape of the state"),
    ({"law": lambda t, x: x.float()}, ValueError, "in the shape of the state"),
    ({"law": lambda t, x: 1.0}, ValueError, "in the shape of the state"),
]


@pytest.mark.parametrize(("given", "error", "message"), TIMES)
def test_wrong_arguments(given, error, message):
    arguments = {"law": L, "x0": X, "t": 1.0, "solver": "rk4", **given}
    with pytest.raises(error, match=message):
        td.diffuse(**arguments)


OPTIONS = [
    ("rk4", {"tol": 1e-3}, TypeError, "rk4 has no option tol; it has step_size, num_steps"),
    ("dopri5", {"tolerance": 1e-3}, TypeError, "no option tolerance"),
    ("rk4", {"step_size": 0.0}, ValueError, "step_size must be positive"),
    ("rk4", {"num_steps": 0}, ValueError, "num_steps must be a whole number"),
    ("rk4", {"num_steps": 2.5}, ValueError, "num_steps must be a whole number"),
    ("rk4", {"num_steps": 9, "step_size": 0.1}, ValueError, "one of step_size and num_steps"),
    ("dopri5", {"step_size": 0.1}, ValueError, "chooses its steps"),
    ("dormand_prince", {"rtol": -1.0}, ValueError, "rtol and atol"),
    ("dormand_prince", {"first_step": 0.0}, ValueError, "first_step"),
    ("adams_bashforth", {"order": 5}, ValueError, "orders 1 to 4"),
    ("adams_moulton", {"order": 0}, ValueError, "orders 1 to 4"),
    ("adams_moulton", {"mode": "pece"}, ValueError, "mode must be"),
    ("imex", {"order": 3}, ValueError, "orders 1 and 2"),
    ("implicit_euler", {"method": "lu"}, ValueError, "method must be"),
    ("implicit_euler", {"tol": -1.0}, ValueError, "tol must be positive"),
    ("chebyshev", {"tol": 0.0}, ValueError, "tol must be positive"),
    ("chebyshev", {"max_degree": 0}, ValueError, "max_degree"),
    ("krylov", {"max_iterations": 0}, ValueError, "max_iterations"),
    ("leapfrog", {}, ValueError, "laws of second order"),
    ("symplectic_euler", {}, ValueError, "laws of second order"),
    ("heun3", {"callback": print}, ValueError, "takes no callback"),
    ("krylov", {"callback": print}, ValueError, "takes no callback"),
]


OF_IMPLICIT = [
    ({"tol": -1.0}, "tol must be positive"),
    ({"tol": math.nan}, "tol must be positive"),
    ({"max_iterations": 0}, "max_iterations >= 1"),
    ({"preconditioner": "ilu"}, "preconditioner must be"),
    ({"method": "lu"}, "method must be"),
]


@pytest.mark.parametrize("solver", ["implicit_euler", "bdf2", "imex"])
@pytest.mark.parametrize(("options", "message"), OF_IMPLICIT)
def test_wrong_options_with_nonlinear_laws(solver, options, message):
    with pytest.raises(ValueError, match=message):
        td.diffuse(Reaction(L), X, 1.0, solver, **options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    """Implicit solvers have none; the others do, of numbers in half precision too."""
    half = laplacian(dtype=dtype)
    x = state(half, dtype=dtype)
    for law in (half, td.operators.GraphLaplacian(half.complex), lambda t, x: -x):
        for solver in ("implicit_euler", "imex", "adams_moulton")[: 3 if law is half else 1]:
            with pytest.raises(TypeError, match="float32 and float64, got"):
                td.diffuse(law, x, 1.0, solver)
    with pytest.raises(TypeError, match="float32 and float64, got"):
        td.solvers.linear_solve(half.identity() + half, x)
    for solver in ("rk4", "chebyshev", "krylov"):
        sol = td.diffuse(half, x, 1.0, solver)
        assert sol.status == "ok"
        wanted = exact(laplacian(), x.double(), 1.0)
        torch.testing.assert_close(sol.x.double(), wanted, rtol=0, atol=0.3)


@pytest.mark.parametrize(("solver", "end"), [("rk4", 0.1), ("dopri5", 0.3), ("chebyshev", 0.7)])
def test_the_last_time_as_near_as_float32(solver, end):
    """Rounded up it is not beyond the end, rounded down it is not before it."""
    times = torch.linspace(0, end, 5)
    sol = td.diffuse(L, X, end, solver, save_at=times)
    assert sol.status == "ok"
    assert sol.ts.tolist() == times.tolist()
    torch.testing.assert_close(sol.x[-1], exact(L, X, end), rtol=0, atol=1e-4)
    options = {"save_at": times[-1:], "num_steps": 40}
    assert td.diffuse(L, X, end, "rk4", **options).stats.steps == 40


@pytest.mark.parametrize(("solver", "options", "error", "message"), OPTIONS)
def test_wrong_options(solver, options, error, message):
    with pytest.raises(error, match=message):
        td.diffuse(L, X, 1.0, solver, **options)


def test_laws_that_a_solver_cannot_solve():
    walk = laplacian("random_walk")
    for solver in ("chebyshev", "krylov"):
        with pytest.raises(ValueError, match="needs a symmetric operator"):
            td.diffuse(walk, X, 1.0, solver)
        with pytest.raises(ValueError, match="exact solution of"):
            td.diffuse(Reaction(L), X, 1.0, solver)
        with pytest.raises(ValueError, match="exact solution of"):
            td.diffuse(Oscillator(L), X, 1.0, solver)
    with pytest.raises(ValueError, match="cg needs a symmetric operator"):
        td.diffuse(walk, X, 1.0, "implicit_euler", method="cg")
    with pytest.raises(ValueError, match=r"linear_operator\(t\)"):
        td.diffuse(lambda t, x: -x, X, 1.0, "imex")
    with pytest.raises(ValueError, match=r"x0 = \(x, v\) must be alike"):
        td.diffuse(Oscillator(L), (X, X[:3]), 1.0, "leapfrog")
    with pytest.raises(ValueError, match=r"velocity .* is not finite"):
        td.diffuse(Oscillator(L), (X, X / 0), 1.0, "leapfrog")


def test_auto_takes_what_fits():
    assert td.diffuse(L, X, 1.0).stats.error_bound is not None
    assert td.diffuse(L, X, 1.0, callback=lambda t, x: None).stats.steps > 0
    assert td.diffuse(laplacian("random_walk"), X, 1.0).stats.error_bound is None
    assert td.diffuse(Dragged(L, torch.zeros_like), X, 0.1).stats.steps > 0
    assert td.diffuse(Oscillator(L), X, 1.0).v is not None
    assert td.diffuse(lambda t, x: -x, X, 1.0).status == "ok"


# -- on the way ----------------------------------------------------------------------------------

ALL_STEPPING = [
    "euler",
    "rk4",
    "adams_bashforth",
    "adams_moulton",
    "dormand_prince",
    "bogacki_shampine",
    "dopri5",
    "heun3",
    "implicit_euler",
    "bdf2",
]


@pytest.mark.parametrize("solver", ALL_STEPPING)
def test_a_state_that_blows_up(solver):
    """``dx/dt = x^2`` from 1 is infinite at t = 1."""
    one = torch.ones(3, 1, dtype=torch.float64)
    sol = td.diffuse(lambda t, x: x**2, one, 3.0, solver, max_steps=1000)
    assert sol.status in ("not_finite", "step_too_small", "no_convergence", "max_steps")
    assert bool(sol.x.isfinite().all())
    assert float(sol.ts) < 3.0


@pytest.mark.parametrize("solver", ["euler", "dormand_prince", "dopri5", "implicit_euler"])
def test_a_law_that_turns_to_nan(solver):
    def law(t, x):
        return torch.where(t > 0.5, torch.nan, -x)

    sol = td.diffuse(law, X, 1.0, solver, save_at=[0.25, 0.75, 1.0])
    assert sol.status in ("not_finite", "step_too_small")
    assert sol.x.shape == (1, *X.shape)
    assert sol.ts.tolist() == [0.25]


@pytest.mark.parametrize("solver", ["euler", "bdf2", "dormand_prince", "dopri5", "leapfrog"])
def test_steps_run_out(solver):
    law = Oscillator(L) if solver == "leapfrog" else L
    sol = td.diffuse(law, X, 3.0, solver, max_steps=5)
    assert sol.status == "max_steps"
    assert sol.stats.steps <= 6
    assert 0 < float(sol.ts) < 3.0
    assert bool(sol.x.isfinite().all())


@pytest.mark.parametrize("solver", ["rk4", "bdf2", "dormand_prince", "dopri5", "leapfrog"])
def test_stopped_by_the_callback(solver):
    law = Oscillator(L) if solver == "leapfrog" else L
    seen = []

    def callback(t, x):
        seen.append(t)
        assert (x[0] if solver == "leapfrog" else x).shape == X.shape
        return t > 0.2

    sol = td.diffuse(law, X, 3.0, solver, callback=callback)
    assert sol.status == "stopped"
    assert 0.2 < float(sol.ts) < 1.0
    assert seen == sorted(seen)
    assert float(sol.ts) == pytest.approx(seen[-1])


def test_stopped_at_the_last_step_is_saved():
    sol = td.diffuse(L, X, 1.0, "rk4", num_steps=50, save_at=[1.0], callback=lambda t, x: t > 0.99)
    assert sol.status == "stopped"
    assert sol.ts.tolist() == [1.0]


def test_linear_solves_that_do_not_converge():
    sol = td.diffuse(L, X, 1e5, "implicit_euler", num_steps=3, max_iterations=2)
    assert sol.status == "no_convergence"
    assert torch.equal(sol.x, X)
    assert sol.stats.residual > 1e-6
    assert sol.stats.iterations == 2


def test_newton_that_does_not_converge():
    """``y - 50 exp y = x`` has no solution at all; a stiff cubic takes more than one iteration."""
    for law, options in (
        (lambda t, x: x.exp(), {"num_steps": 1}),
        (lambda t, x: -1e3 * x.pow(3), {"num_steps": 2, "newton_iterations": 1}),
    ):
        sol = td.diffuse(law, X, 50.0, "implicit_euler", **options)
        assert sol.status == "no_convergence"
        assert torch.equal(sol.x, X)
        assert sol.stats.residual > 1e-6


def test_an_operator_that_is_not_positive():
    """CG is refused a system that the step makes indefinite, with a status."""
    negative = -1.0 * L
    sol = td.diffuse(negative, X, 5.0, "implicit_euler", num_steps=5, method="cg")
    assert sol.status == "indefinite"
    growing = td.diffuse(negative, X, 0.01, "implicit_euler", num_steps=100)
    torch.testing.assert_close(growing.x, exact(negative, X, 0.01), rtol=0, atol=0.01)


def test_no_cells_and_no_channels():
    empty = td.operators.GraphLaplacian(td.CellComplex.from_edges(0, torch.zeros(2, 0).long()))
    for solver in ("rk4", "implicit_euler", "chebyshev", "krylov", "dopri5", "dormand_prince"):
        sol = td.diffuse(empty, torch.zeros(0, 2), 1.0, solver)
        assert sol.x.shape == (0, 2)
        assert sol.status == "ok"
        assert td.diffuse(L, X[:, :0], 1.0, solver).x.shape == (34, 0)


@pytest.mark.parametrize("size", [1.0, 1e-25])
@pytest.mark.parametrize("law", [laplacian(dtype=torch.float32), lambda t, x: -x])
def test_small_numbers_are_not_nothing(law, size):
    x = torch.randn(34, 2)
    found = td.diffuse(law, x * size, 1.0, "implicit_euler", num_steps=10)
    assert found.status == "ok"
    wanted = td.diffuse(law, x, 1.0, "implicit_euler", num_steps=10)
    torch.testing.assert_close(found.x / size, wanted.x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("solver", "error"), [("rk4", "unstable"), ("uniformization", None)])
def test_times_whose_number_of_steps_overflows(solver, error):
    if error is None:
        assert td.diffuse(L, X, 1.7e308, solver).status == "max_steps"
    else:
        with pytest.raises(ValueError, match=error):
            td.diffuse(L, X, 1.7e308, solver)
