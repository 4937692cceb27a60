"""Gradients through steps: direct, implicit, adjoint; memory."""

import sys

import networkx as nx
import pytest
import torch
from solver_cases import (
    KARATE,
    SMALL,
    STEPPING,
    Forced,
    Oscillator,
    Reaction,
    exact,
    graph,
    laplacian,
    leaves,
    saved_numbers,
    state,
)

import topodiff as td
from topodiff.operators import GraphLaplacian
from topodiff.solvers import SOLVERS


def gradcheck(function, inputs):
    """Along random directions, which is fast."""
    return torch.autograd.gradcheck(function, inputs, fast_mode=True)


@pytest.mark.parametrize("solver", STEPPING)
@pytest.mark.parametrize("kind", ["combinatorial", "random_walk"])
def test_linear_laws(solver, kind):
    if solver in ("dormand_prince", "bogacki_shampine"):
        pytest.skip("steps depend on the weights, and finite differences see that")

    def flow(weights, x):
        operator = GraphLaplacian(SMALL, kind, weights=weights)
        return td.diffuse(operator, x, 0.5, solver, **STEPPING[solver]).x

    assert gradcheck(flow, leaves())


@pytest.mark.parametrize(
    "solver", ["implicit_euler", "crank_nicolson", "bdf2", "imex", "adams_moulton"]
)
def test_nonlinear_laws(solver):
    factor = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)
    options = {"num_steps": 4}
    if solver == "adams_moulton":
        options |= {"mode": "implicit", "order": 3}

    def flow(weights, x, factor):
        law = Reaction(GraphLaplacian(SMALL, weights=weights), factor)
        sol = td.diffuse(law, x, 0.5, solver, **options)
        assert sol.status == "ok"
        return sol.x

    assert gradcheck(flow, (*leaves(), factor))


def test_newton_without_any_declared_structure():
    """A Jacobian that is not symmetric, from two reverse passes; forward and adjoint by GMRES."""
    mixing = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    operator = GraphLaplacian(SMALL)
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)

    def flow(mixing, x):
        sol = td.diffuse(
            lambda t, x: torch.tanh(-(operator @ x) @ mixing), x, 0.6, "bdf2", num_steps=3
        )
        assert sol.status == "ok"
        return sol.x

    assert torch.autograd.gradcheck(flow, (mixing, x))


def test_second_order_laws():
    v = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    damping = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    for solver in ("leapfrog", "symplectic_euler", "rk4", "crank_nicolson"):

        def flow(weights, x, v, damping, solver=solver):
            law = Oscillator(GraphLaplacian(SMALL, weights=weights), damping)
            sol = td.diffuse(law, (x, v), 0.5, solver, num_steps=4)
            return sol.x, sol.v

        assert gradcheck(flow, (*leaves(), v, damping))


@pytest.mark.parametrize(
    "solver", ["euler", "rk4", "implicit_euler", "bdf2", "dormand_prince", "dopri5"]
)
def test_gradient_to_the_time(solver):
    operator = laplacian()
    t = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    sol = td.diffuse(operator, state(operator), t, solver)
    target = state(operator, seed=5)
    (found,) = torch.autograd.grad((sol.x * target).sum(), t)
    wanted = -((operator @ sol.x) * target).sum()
    torch.testing.assert_close(found, wanted.detach(), rtol=0.02, atol=0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient_to_the_time_at_its_start(solver):
    operator = laplacian()
    x = state(operator)
    law = Oscillator(operator) if solver in ("leapfrog", "verlet", "symplectic_euler") else operator
    t = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    wanted = -(operator @ x).sum()
    for options in ({}, {"save_at": [t]}):
        sol = td.diffuse(law, x, t, solver, **options)
        found = sol.x if sol.v is None else sol.v
        torch.testing.assert_close(torch.autograd.grad(found.sum(), t)[0], wanted)


@pytest.mark.parametrize("solver", ["rk4", "chebyshev", "dormand_prince", "dopri5"])
def test_a_later_state_does_not_depend_on_the_first_time_saved(solver):
    operator = laplacian()
    first = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    save_at = [first, torch.tensor(0.5, dtype=torch.float64, requires_grad=True)]
    sol = td.diffuse(operator, state(operator), 1.0, solver, save_at=save_at)
    assert not float(torch.autograd.grad(sol.x[1].square().sum(), first)[0])


@pytest.mark.parametrize("solver", ["dopri5", "heun3"])
def test_adjoint_is_direct(solver):
    weights, x = leaves()
    options = {} if solver == "heun3" else {"rtol": 1e-9, "atol": 1e-11}
    results = []
    for backward in ("direct", "adjoint"):
        operator = GraphLaplacian(SMALL, "symmetric", weights=weights)
        sol = td.diffuse(operator, x, 0.6, solver, backward=backward, **options)
        results.append(torch.autograd.grad(sol.x.square().sum(), (weights, x)))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


def test_adjoint_of_a_module():
    class Law(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = torch.nn.Linear(2, 2, bias=False, dtype=torch.float64)

        def forward(self, t, x):
            return torch.tanh(self.mix(x)) - x

    law = Law()
    x = torch.randn(6, 2, dtype=torch.float64)
    grads = []
    for backward in ("direct", "adjoint"):
        sol = td.diffuse(law, x, 1.0, "dopri5", backward=backward, rtol=1e-9, atol=1e-11)
        grads += torch.autograd.grad(sol.x.square().sum(), law.mix.weight)
    torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-8)


def test_adjoint_of_tensors_made_before_the_solve():
    x = torch.randn(6, 2, dtype=torch.float64)
    start = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
    grads = []
    for backward in ("direct", "adjoint"):
        a = start.tanh()
        b, held = a @ a, a.view_as(a)  # b is made of a, not of the alias
        more = {"adjoint_params": [held, b]} if backward == "adjoint" else {}
        law = lambda t, x: torch.tanh(x @ held) - x @ b  # noqa: B023, E731
        options = {"backward": backward, "rtol": 1e-9, "atol": 1e-11, **more}
        sol = td.diffuse(law, x, 1.0, "dopri5", **options)
        grads += torch.autograd.grad(sol.x.square().sum(), start)
    torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-8)
    for params in ([a, b], [start, b]):
        with pytest.raises(ValueError, match="none is made of another"):
            td.diffuse(law, x, 1.0, "dopri5", backward="adjoint", adjoint_params=params)


def test_adjoint_refuses_what_it_would_get_wrong():
    x = torch.randn(34, 1, dtype=torch.float64)
    mix = torch.randn(1, 1, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match="lose the gradients of 1 tensors"):
        td.diffuse(lambda t, x: x @ mix, x, 1.0, "dopri5", backward="adjoint")
    sol = td.diffuse(
        lambda t, x: x @ mix, x, 1.0, "dopri5", backward="adjoint", adjoint_params=[mix]
    )
    assert torch.autograd.grad(sol.x.sum(), mix)[0].abs().sum() > 0
    operator = laplacian("combinatorial")
    with pytest.raises(ValueError, match="trace a diffusion back"):
        td.diffuse(operator, x, 10.0, "dopri5", backward="adjoint")
    with pytest.raises(ValueError, match="torchdiffeq's methods"):
        td.diffuse(operator, x, 1.0, "rk4", backward="adjoint")
    with pytest.raises(ValueError, match="needs a solver of ours"):
        td.diffuse(operator, x, 1.0, "dopri5", backward="checkpoint")


@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "implicit_euler", "rk4", "dopri5"])
def test_nothing_is_kept_without_gradients(solver):
    operator = laplacian()
    x = state(operator).requires_grad_()
    with torch.no_grad():
        assert not td.diffuse(operator, x, 1.0, solver).x.requires_grad
    assert td.diffuse(operator, x, 1.0, solver).x.requires_grad


def test_linear_solves_are_not_unrolled():
    """More Krylov iterations keep nothing more."""
    weights = torch.ones(KARATE.num_cells(1), dtype=torch.float64, requires_grad=True)
    x = state(laplacian())

    def run(tol):
        operator = GraphLaplacian(KARATE, weights=weights)
        return td.diffuse(operator, x, 50.0, "implicit_euler", num_steps=2, tol=tol).x

    assert saved_numbers(lambda: run(1e-1)) == saved_numbers(lambda: run(1e-12))


def test_time_of_a_forced_law():
    x = torch.randn(3, 1, dtype=torch.float64, requires_grad=True)
    t = torch.tensor(1.2, dtype=torch.float64, requires_grad=True)
    for solver in ("rk4", "bdf2", "adams_bashforth"):
        assert torch.autograd.gradcheck(
            lambda x, t, s=solver: td.diffuse(Forced(), x, t, s, num_steps=6).x, (x, t)
        )


def test_solving_in_inference_mode_first_does_no_harm(monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == "torchdiffeq"]:
        monkeypatch.delitem(sys.modules, name)
    operator = laplacian("combinatorial")
    x = state(operator).requires_grad_()
    with torch.inference_mode():
        td.diffuse(operator, x, 0.3, "dopri5")
    (gradient,) = torch.autograd.grad(td.diffuse(operator, x, 0.3, "dopri5").x.sum(), x)
    torch.testing.assert_close(gradient, torch.ones_like(x), atol=1e-5, rtol=0)


MULTISTEP = [("bdf2", {}), ("imex", {}), ("adams_bashforth", {}), ("adams_moulton", {"order": 3}),
             ("adams_moulton", {"mode": "predictor_corrector"})]  # fmt: skip


@pytest.mark.parametrize(("solver", "options"), MULTISTEP)
@pytest.mark.parametrize("moving", [[0], [1], [0, 1]])
def test_a_time_between_steps_of_one_size(solver, options, moving):
    """Only a time itself, and no later state, depends on it."""
    operator = laplacian("combinatorial", graph(nx.cycle_graph(6)))
    x = torch.randn(6, 2, dtype=torch.float64)
    times = [torch.tensor(t, dtype=torch.float64, requires_grad=k in moving)
             for k, t in enumerate((0.5, 1.0))]  # fmt: skip
    wanted = [times[k] for k in moving]
    sol = td.diffuse(operator, x, 1.0, solver, save_at=times, num_steps=80, **options)
    found = torch.autograd.grad(sol.x[1].square().sum(), wanted, allow_unused=True)
    last = exact(operator, x, 1.0)
    slope = -2 * float((last * (operator @ last)).sum())
    for k, gradient in zip(moving, found, strict=True):
        assert float(gradient) == pytest.approx(slope if k else 0.0, abs=2e-3 * abs(slope))


STEPS = {"euler": {"num_steps": 7}, "implicit_euler": {"num_steps": 7}, "dopri5": {}}


@pytest.mark.parametrize("solver", STEPS)
def test_a_time_in_single_precision_leaves_states_in_double(solver):
    operator, x = laplacian(), torch.randn(34, 2, dtype=torch.float64)
    t = torch.tensor(0.7, requires_grad=True)
    found, wanted = (
        td.diffuse(operator, x, end, solver, save_at=[0.3, end], **STEPS[solver]).x
        for end in (t, float(t.detach()))
    )
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-13)
    (gradient,) = torch.autograd.grad(found[1].sum(), t)
    assert gradient.dtype == torch.float32


WORK = [("implicit_euler", None), ("bdf2", None), ("imex", Reaction), ("implicit_euler", Reaction)]


@pytest.mark.parametrize(("solver", "law"), WORK)
def test_work_does_not_count_what_gradients_ask_for(solver, law):
    weights = torch.ones(KARATE.num_cells(1), dtype=torch.float64, requires_grad=True)
    operator = GraphLaplacian(KARATE, weights=weights)
    x = state(operator)
    given = operator if law is None else law(operator)
    found = td.diffuse(given, x, 1.0, solver, num_steps=5)
    assert found.x.requires_grad
    with torch.no_grad():
        assert found.stats == td.diffuse(given, x, 1.0, solver, num_steps=5).stats
