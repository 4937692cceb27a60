"""Laws that jump: layers as time, each of them solved as if it were alone."""

import math

import networkx as nx
import pytest
import torch
from solver_cases import exact, graph, laplacian, state

import topodiff as td
from topodiff.dynamics import GradientFlow, Heat, Law, MixingEnergy, Piecewise, Wave, adjacency
from topodiff.nn import GRAFF, GRAND

L = laplacian()
X = state(L, 2)
RATES = torch.tensor([0.2, 1.0, 0.6], dtype=torch.float64)
ORDERS = [
    ("euler", {}, 1),
    ("midpoint", {}, 2),
    ("heun", {}, 2),
    ("rk4", {}, 4),
    ("adams_bashforth", {}, 4),
    ("adams_moulton", {}, 4),
    ("adams_moulton", {"mode": "predictor_corrector"}, 4),
    ("heun3", {}, 3),
    ("explicit_adams", {}, 3),
    ("implicit_euler", {}, 1),
    ("crank_nicolson", {}, 2),
    ("bdf2", {}, 2),
    ("imex", {}, 2),
]


def error(found, wanted):
    return float((found - wanted).norm())


@pytest.mark.parametrize(("solver", "options", "order"), ORDERS)
def test_the_order_of_the_method_across_jumps(solver, options, order):
    law = Heat(L, rate=Piecewise(RATES, 3.0))
    wanted = exact(L, X, float(RATES.sum()))
    coarse, fine = (
        error(td.diffuse(law, X, 3.0, solver, num_steps=n, **options).x, wanted) for n in (48, 96)
    )
    assert abs(math.log2(coarse / fine) - order) < 0.35


@pytest.mark.parametrize("solver", ["dormand_prince", "bogacki_shampine", "dopri5", "dopri8"])
def test_adaptive_steps_end_at_jumps(solver):
    law = Heat(L, rate=Piecewise(RATES, 3.0))
    sol = td.diffuse(law, X, 3.0, solver, rtol=1e-8, atol=1e-8, save_at=[0.5, 1.0, 2.5])
    assert sol.ts.tolist() == [0.5, 1.0, 2.5]
    for found, t in zip(sol.x, (0.1, 0.2, 1.5), strict=True):
        assert error(found, exact(L, X, t)) < 1e-6


def test_an_implicit_step_for_each_layer():
    """The last layer does not take the place of the others at the end of their steps."""
    rates = RATES.clone().requires_grad_()
    law = Heat(L, rate=Piecewise(rates, 3.0))
    found = td.diffuse(law, X, 3.0, "implicit_euler", num_steps=3, tol=1e-13).x
    wanted = X
    for rate in rates:
        wanted = torch.linalg.solve(torch.eye(34) + rate * L.to_dense(), wanted)
    torch.testing.assert_close(found, wanted)
    grads = [torch.autograd.grad(y.square().sum(), rates)[0] for y in (found, wanted)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("solver", ["leapfrog", "symplectic_euler", "rk4", "dormand_prince"])
def test_two_solves_joined(solver):
    """Also where the jump is no whole number of steps away."""
    speeds, v = [0.5, 1.5], state(L, 2, seed=1)
    options = {} if solver == "dormand_prince" else {"step_size": 0.07}
    whole = td.diffuse(Wave(L, speed=Piecewise(speeds, 3.0)), (X, v), 3.0, solver, **options)
    y = X, v
    for speed in speeds:
        sol = td.diffuse(Wave(L, speed=speed), y, 1.5, solver, **options)
        y = sol.x, sol.v
    torch.testing.assert_close(whole.x, y[0], rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(whole.v, y[1], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("solver", ["implicit_euler", "bdf2", "rk4", "dopri5"])
@pytest.mark.parametrize("linear", [True, False])
def test_every_layer_of_a_model_is_used_alike(solver, linear):
    complex = graph(nx.cycle_graph(6))
    torch.manual_seed(0)
    model = GRAND(
        3, 4, 2, 4, linear=linear, heads=2, attention_init="glorot", solver=solver, step_size=0.25
    ).double()
    model(complex, torch.randn(6, 3, dtype=torch.float64)).square().sum().backward()
    assert float(model.rate.grad.abs().min()) > 0
    sizes = torch.stack([a.query.weight.grad.norm() for a in model.attentions])
    assert float(sizes.min()) > 0.02 * float(sizes.max())


@pytest.mark.parametrize("solver", ["implicit_euler", "dopri5"])
def test_energies_that_follow_one_another(solver):
    torch.manual_seed(0)
    complex = graph(nx.cycle_graph(6))
    model = GRAFF(3, 4, 2, 3, solver=solver, step_size=1.0).double()
    x = torch.randn(6, 4, dtype=torch.float64)
    options = {"num_steps": 3} if solver == "implicit_euler" else {"rtol": 1e-9, "atol": 1e-9}
    with torch.no_grad():
        found = td.diffuse(model.make_law(complex, x), x, 3.0, solver, **options).x
        y = x
        for mixing, own, source in zip(model.mixing, model.own, model.source, strict=True):
            energy = MixingEnergy(adjacency(complex, x.dtype, loops=0.0), mixing(), own(),
                                  (x, source()))  # fmt: skip
            more = {**options, "num_steps": 1} if solver == "implicit_euler" else options
            y = td.diffuse(GradientFlow(energy), y, 1.0, solver, **more).x
    torch.testing.assert_close(found, y, rtol=1e-6, atol=1e-7)


def test_gradients_to_times_beside_jumps_and_by_the_adjoint():
    rates = RATES.clone().requires_grad_()
    times = torch.tensor([0.5, 1.5, 2.9], dtype=torch.float64, requires_grad=True)
    law = Heat(L, rate=Piecewise(rates, 3.0))
    grads = []
    for solver, backward in (
        ("dopri5", "direct"), ("dopri5", "adjoint"), ("dormand_prince", "checkpoint")
    ):  # fmt: skip
        options = {"rtol": 1e-9, "atol": 1e-11, "backward": backward}
        sol = td.diffuse(law, X, 3.0, solver, save_at=times, **options)
        grads.append(torch.autograd.grad(sol.x.pow(3).sum(), (rates, times)))
    for found in grads[1:]:
        torch.testing.assert_close(found, grads[0], rtol=1e-6, atol=1e-6)
    slopes = [-rate * (L @ x) for rate, x in zip(RATES, sol.x.detach(), strict=True)]
    wanted = torch.stack(
        [(3 * x**2 * f).sum() for x, f in zip(sol.x.detach(), slopes, strict=True)]
    )
    torch.testing.assert_close(grads[0][1], wanted, rtol=1e-6, atol=1e-6)


def test_where_a_law_jumps():
    class Kept:
        """A function of time that keeps its parameters in an attribute, and the law as well."""

        def __init__(self, law):
            self.rates, self.law = Piecewise([1.0, 2.0], 1.0), law

        def __call__(self, t):
            return self.rates(t)

    law = Heat(L, source=lambda t: X)
    law.rate = Kept(law)
    assert law.breaks() == [0.5]
    half = law.within(0.0, 0.5)
    t = torch.tensor(0.5)
    assert (law.rate(t), half.rate(t)) == (2.0, 1.0)
    assert half.breaks() == []
    assert half.operator is law.operator
    assert Law().breaks() == []
    # saved at a jump, up to rounding, it is one time
    third = Heat(L, rate=Piecewise(RATES, 1.0))
    sol = td.diffuse(third, X, 1.0, "rk4", num_steps=3, save_at=[1 / 3 + 1e-12, 2 / 3])
    assert sol.stats.steps == 3
    assert td.diffuse(third, X, 0.0, "rk4").stats.steps == 0
    assert td.diffuse(third, X, 0.2, "rk4", num_steps=2).stats.steps == 2


def test_callbacks_and_failures_across_jumps():
    law, seen = Heat(L, rate=Piecewise(RATES, 3.0)), []
    for solver in ("rk4", "dopri5", "dormand_prince"):
        seen.clear()
        sol = td.diffuse(law, X, 3.0, solver, callback=lambda t, x: seen.append(t))
        assert seen == sorted(set(seen))
        assert len(seen) == sol.stats.steps
        sol = td.diffuse(law, X, 3.0, solver, callback=lambda t, x: t > 1.7)
        assert sol.status == "stopped"
        assert error(sol.x, exact(L, X, 0.2 + float(sol.ts) - 1)) < 1e-4


@pytest.mark.parametrize("solver", ["dormand_prince", "bogacki_shampine"])
@pytest.mark.parametrize("backward", ["direct", "checkpoint"])
@pytest.mark.parametrize("ptr", [None, [0, 20, 34]])
def test_a_parameter_that_is_met_late(solver, backward, ptr):
    rate = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    law = Heat(L, rate=Piecewise([torch.tensor(1.0, dtype=torch.float64), rate], 1.0))
    options = {} if ptr is None else {"ptr": torch.tensor(ptr)}
    sol = td.diffuse(law, X, 1.0, solver, backward=backward, **options)
    (found,) = torch.autograd.grad(sol.x.square().sum(), rate)
    wanted = -(exact(L, X, 0.65) * (L @ exact(L, X, 0.65))).sum()
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=0)
    with torch.no_grad():
        assert not td.diffuse(law, X, 1.0, solver, backward=backward, **options).x.requires_grad


DERIVATIVES = [
    *[(s, "direct") for s in ("rk4", "dopri5", "heun3", "dormand_prince", "bogacki_shampine")],
    ("dopri5", "adjoint"),
    ("dormand_prince", "checkpoint"),
]


@pytest.mark.parametrize(("solver", "backward"), DERIVATIVES)
@pytest.mark.parametrize("before", [0.0, 2e-5])
def test_the_derivative_to_a_time_just_before_a_jump(solver, backward, before):
    operator = laplacian("combinatorial", graph(nx.complete_graph(2)))
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    law = Heat(operator, rate=Piecewise(torch.tensor([1.0, 5.0], dtype=torch.float64), 1.0))
    t = torch.tensor(0.5 - before, dtype=torch.float64, requires_grad=True)
    for save_at in (None, [t]):
        state = td.diffuse(law, x, t, solver, backward=backward, save_at=save_at).x
        (found,) = torch.autograd.grad(state.reshape(2)[0], t)
        torch.testing.assert_close(found, -2 * torch.exp(-2 * t.detach()), rtol=1e-4, atol=0)
