"""Checkpoints: the gradients of direct backward passes, with less memory and hardly more work."""

import networkx as nx
import pytest
import torch
from solver_cases import (
    KARATE,
    SMALL,
    STEPPING,
    Reaction,
    graph,
    laplacian,
    leaves,
    saved_numbers,
    state,
)

import topodiff as td
from topodiff.nn import GRAND
from topodiff.operators import GraphLaplacian


@pytest.mark.parametrize("solver", STEPPING)
@pytest.mark.parametrize("save_at", [None, [0.1, 0.5]])
def test_checkpointed_is_direct(solver, save_at):
    weights, x = leaves()
    results = []
    for backward in ("direct", "checkpoint"):
        operator = GraphLaplacian(SMALL, weights=weights)
        sol = td.diffuse(
            operator, x, 0.5, solver, backward=backward, save_at=save_at, **STEPPING[solver]
        )
        grads = torch.autograd.grad(sol.x.square().sum(), (weights, x))
        results.append((sol.x, *grads))
        assert sol.status == "ok"
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_checkpoints_with_callback_and_failures():
    """A step that stops or fails is made again in the backward pass, and left out again."""
    weights, x = leaves()
    seen = []

    def stop(t, state):
        seen.append(t)
        return t > 0.29

    operator = GraphLaplacian(SMALL, weights=weights)
    options = {"num_steps": 10, "callback": stop}
    sol = td.diffuse(operator, x, 1.0, "rk4", backward="checkpoint", **options)
    assert sol.status == "stopped"
    assert float(sol.ts) == pytest.approx(0.3)
    (found,) = torch.autograd.grad(sol.x.sum(), weights, retain_graph=True)
    assert len(seen) == 3
    short = td.diffuse(operator, x, 0.3, "rk4", num_steps=3)
    (wanted,) = torch.autograd.grad(short.x.sum(), weights)
    torch.testing.assert_close(found, wanted)

    def explodes(t, x):
        return x / (0.35 - t).clamp(min=0)

    sol = td.diffuse(explodes, x, 1.0, "euler", num_steps=10, backward="checkpoint")
    assert sol.status == "not_finite"
    assert float(sol.ts) == pytest.approx(0.4)
    assert bool(torch.autograd.grad(sol.x.sum(), x)[0].isfinite().all())


def test_checkpoints_keep_the_square_root():
    weights = torch.ones(KARATE.num_cells(1), dtype=torch.float64, requires_grad=True)
    x = state(laplacian())

    def run(backward):
        operator = GraphLaplacian(KARATE, weights=weights)
        return td.diffuse(operator, x, 1.0, "rk4", num_steps=100, backward=backward).x

    direct = saved_numbers(lambda: run("direct"))
    assert saved_numbers(lambda: run("checkpoint")) < direct / 8


class Counted(Reaction):
    calls = 0

    def __call__(self, t, x):
        self.calls += 1
        return super().__call__(t, x)


@pytest.mark.parametrize("solver", ["implicit_euler", "crank_nicolson", "bdf2"])
def test_newton_is_made_again_once(solver):
    """Not once for each tensor that its own derivatives take."""
    weights, x = leaves()
    results, calls = [], []
    for backward in ("direct", "checkpoint"):
        law = Counted(GraphLaplacian(SMALL, weights=weights))
        sol = td.diffuse(law, x, 1.0, solver, num_steps=16, backward=backward)
        results.append((sol.x, *torch.autograd.grad(sol.x.square().sum(), (weights, x))))
        calls.append(law.calls)
    assert calls[0] < calls[1] <= 2 * calls[0]
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("solver", ["rk4", "dormand_prince", "implicit_euler"])
@pytest.mark.parametrize(("linear", "num_layers"), [(True, 1), (False, 1), (False, 2)])
def test_models_train_by_checkpoints(solver, linear, num_layers):
    """Through attention, found once, at each evaluation, or of layers that follow one another."""
    cycle = graph(nx.cycle_graph(6))
    features = torch.randn(6, 3, dtype=torch.float64)
    results = []
    for backward in ("direct", "checkpoint"):
        torch.manual_seed(0)
        model = GRAND(
            3, 4, 2, num_layers, heads=2, linear=linear, attention_init="glorot", solver=solver,
            step_size=0.25, tol_scale=1e3, backward=backward,
        ).double()  # fmt: skip
        model(cycle, features).square().sum().backward()
        results.append([p.grad for p in model.parameters()])
    for a, b in zip(*results, strict=True):
        assert a is not None
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_the_series_of_uniformization_has_none():
    x = torch.randn(34, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="no checkpoints: take dormand_prince"):
        td.diffuse(laplacian(), x, 1.0, "uniformization", backward="checkpoint")


def test_auto_chooses_a_solver_that_has_checkpoints():
    entries = td.dynamics.Entries.from_complex(KARATE)
    weight = torch.full((entries.nnz,), 1 / 17, dtype=torch.float64, requires_grad=True)
    law = td.dynamics.AttentionDiffusion(entries, weight)
    x = torch.randn(34, 2, dtype=torch.float64)
    grads = [
        torch.autograd.grad(td.diffuse(law, x, 1.0, backward=backward).x.square().sum(), weight)[0]
        for backward in ("direct", "checkpoint")
    ]
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-5)
