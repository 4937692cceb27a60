"""What torchdiffeq's methods owe to the rest: limits, times, counts, callbacks, checks."""

import math

import pytest
import torch
from solver_cases import exact, laplacian, state

import topodiff as td
from topodiff.operators import Identity
from topodiff.solvers import largest_stable_step
from topodiff.solvers.stability import limit
from topodiff.solvers.torchdiffeq_methods import ADAPTIVE, METHODS

L = laplacian("combinatorial")
X = state(L)
FIXED = [m for m in METHODS if m not in ADAPTIVE]


@pytest.mark.filterwarnings("ignore:.*is unstable", "ignore:Functional iteration")
@pytest.mark.parametrize("solver", FIXED)
def test_limits_of_fixed_steps(solver):
    one = Identity((1,), torch.device("cpu"))
    x = torch.ones(1, dtype=torch.float64)
    sizes = []
    for part in (0.97, 1.03):
        end = 1000 * part * limit(solver)
        sol = td.diffuse(one, x, end, solver, num_steps=1000, allow_unstable=True)
        sizes.append(float(sol.x.abs()) if sol.status == "ok" else math.inf)
    assert sizes[0] < 1e-2
    assert sizes[1] > 1e2


@pytest.mark.filterwarnings("ignore:Functional iteration")
@pytest.mark.parametrize("solver", FIXED)
def test_unstable_fixed_steps_are_refused(solver):
    step = 1.2 * largest_stable_step(solver, L)
    for options in ({"step_size": 3 * step}, {"num_steps": math.ceil(30 / step)}):
        with pytest.raises(ValueError, match="certain to be stable"):
            td.diffuse(L, X, 100.0, solver, **options)
    sol = td.diffuse(L, X, 30.0, solver)
    torch.testing.assert_close(sol.x, X.mean(0).expand_as(X), rtol=0, atol=1e-3)
    assert sol.stats.steps >= 30.0 / step


@pytest.mark.parametrize("solver", FIXED)
def test_states_between_have_the_order_of_the_method(solver):
    times = [0.0123, 0.05, 0.0777, 0.1]
    errors = []
    for steps in (50, 100):
        sol = td.diffuse(L, X, 0.1, solver, save_at=times, num_steps=steps)
        errors.append(
            max(float((x - exact(L, X, t)).norm()) for t, x in zip(times, sol.x, strict=True))
        )
        assert steps <= sol.stats.steps <= steps + 4
    assert errors[1] < errors[0] / (3.5 if solver == "heun2" else 6)


@pytest.mark.parametrize("solver", METHODS)
def test_gradients_to_all_times(solver):
    times = torch.tensor([0.02, 0.05], dtype=torch.float64, requires_grad=True)
    sol = td.diffuse(L, X, 0.1, solver, save_at=times)
    (found,) = torch.autograd.grad(sol.x[:, 0].sum(), times)
    wanted = torch.stack([-(L @ exact(L, X, t))[0].sum() for t in (0.02, 0.05)])
    torch.testing.assert_close(found, wanted, rtol=0.01, atol=1e-3)


WRONG = [
    ({"rtol": -1.0}, "rtol and atol"),
    ({"atol": -1e-3}, "rtol and atol"),
    ({"rtol": math.nan}, "rtol and atol"),
    ({"rtol": 0.0, "atol": 0.0}, "rtol and atol"),
    ({"first_step": 0.0}, "first_step"),
    ({"first_step": -1.0}, "first_step"),
    ({"first_step": math.nan}, "first_step"),
    ({"first_step": math.inf}, "first_step"),
]


@pytest.mark.parametrize("solver", ["dopri5", "dopri8", "dormand_prince"])
@pytest.mark.parametrize(("options", "message"), WRONG)
def test_tolerances_that_mean_nothing(solver, options, message):
    with pytest.raises(ValueError, match=message):
        td.diffuse(L, X, 0.1, solver, **options)


@pytest.mark.parametrize("solver", ["heun3", "explicit_adams", "rk4"])
def test_steps_that_mean_nothing(solver):
    for size in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="step_size must be positive"):
            td.diffuse(L, X, 0.1, solver, step_size=size)
    sol = td.diffuse(L, X, 0.1, solver, step_size=1e-320, max_steps=3)
    assert (sol.status, sol.stats.steps) == ("max_steps", 3)


@pytest.mark.parametrize("solver", ["heun3", "explicit_adams", "implicit_adams"])
@pytest.mark.parametrize("most", [1, 4, 7])
def test_fixed_steps_run_out_as_those_of_rk4(solver, most):
    options = {"num_steps": 8, "save_at": [0.05, 0.1], "max_steps": most}
    found, wanted = (td.diffuse(L, X, 0.1, name, **options) for name in (solver, "rk4"))
    assert (found.status, found.stats.steps) == ("max_steps", most)
    assert found.ts.tolist() == wanted.ts.tolist()
    torch.testing.assert_close(found.x, wanted.x, rtol=0, atol=1e-2)
    last = td.diffuse(L, X, 0.1, solver, num_steps=8, max_steps=most)
    assert float(last.ts) == pytest.approx(most * 0.1 / 8)
    torch.testing.assert_close(last.x, exact(L, X, float(last.ts)), rtol=0, atol=1e-2)


@pytest.mark.parametrize("solver", [*ADAPTIVE, "dormand_prince", "bogacki_shampine", "rk4"])
def test_the_callback_sees_every_step_and_the_last(solver):
    seen = []
    sol = td.diffuse(L, X, 0.1, solver, callback=lambda t, x: seen.append(t))
    assert len(seen) == sol.stats.steps
    assert seen[-1] == pytest.approx(0.1)
    # at a time that is to be saved
    at = seen[len(seen) // 2]
    sol = td.diffuse(L, X, 0.1, solver, save_at=[at], callback=lambda t, x: t > at * (1 - 1e-9))
    assert sol.status == "stopped"
    assert sol.ts.tolist() == [at]
    torch.testing.assert_close(sol.x[0], exact(L, X, at), rtol=0, atol=1e-3)
    end = td.diffuse(L, X, 0.1, solver, callback=lambda t, x: t > 0.0999999)
    assert (end.status, float(end.ts)) == ("stopped", pytest.approx(0.1))


@pytest.mark.parametrize("solver", [*ADAPTIVE, "dormand_prince", "bogacki_shampine"])
def test_the_last_good_state_is_kept(solver):
    """Wherever a law turns to NaN, the state is that of the last step that was accepted."""

    def law(t, x):
        return torch.where(t > 0.5, torch.nan, -x)

    seen = []
    sol = td.diffuse(law, X, 1.0, solver, callback=lambda t, x: seen.append(t))
    assert sol.status == "not_finite"
    assert float(sol.ts) == seen[-1] > 0
    assert sol.stats.steps == len(seen)
    torch.testing.assert_close(sol.x, X * math.exp(-seen[-1]), rtol=1e-3, atol=1e-3)
    short = td.diffuse(lambda t, x: -x, X, 1.0, solver, max_steps=2)
    assert (short.status, short.stats.steps + short.stats.rejected) == ("max_steps", 2)


def test_a_tensor_that_the_law_meets_late():
    a = torch.tensor(1.0, dtype=torch.float64)
    b = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def late(t, x):
        return -(a if t < 0.5 else b) * x

    def between(t, x):
        return -(b if 0.4 < t < 0.5 else a) * x

    x = X.clone().requires_grad_()
    with pytest.raises(ValueError, match="lose the gradients of 1 tensors"):
        td.diffuse(late, x, 1.0, "dopri5", backward="adjoint")
    sol = td.diffuse(between, x, 1.0, "dopri5", backward="adjoint")
    with pytest.raises(ValueError, match="lose the gradients of 1 tensors"):
        sol.x.sum().backward()
    for law in (late, between):
        options = {"adjoint_params": [b], "backward": "adjoint"}
        found = torch.autograd.grad(td.diffuse(law, x, 1.0, "dopri5", **options).x.sum(), b)
        wanted = torch.autograd.grad(td.diffuse(law, x, 1.0, "dopri5").x.sum(), b)
        torch.testing.assert_close(found, wanted, rtol=0.2, atol=1e-3)
