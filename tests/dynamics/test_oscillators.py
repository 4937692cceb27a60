"""Waves and GraphCON: exact solutions, conservation, fixed points, no oversmoothing."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from domains import GRAPH, RINGS, matrix_sheaf, rotation_sheaf

from topodiff.complexes import CellComplex
from topodiff.dynamics import (
    ControlledOscillator,
    DiffusionOperator,
    Piecewise,
    QuadraticEnergy,
    Wave,
    adjacency,
)
from topodiff.operators import GraphLaplacian, HodgeLaplacian, SheafLaplacian
from topodiff.solvers import diffuse

F64 = torch.float64


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


DOMAINS = {
    "graph": (GraphLaplacian(GRAPH), (8, 3)),
    "edges": (HodgeLaplacian(RINGS, 1), (8, 3)),
    "rings": (HodgeLaplacian(RINGS, 2), (3, 3)),
    "bundle": (SheafLaplacian(rotation_sheaf()), (8, 2, 3)),
    "sheaf": (SheafLaplacian(matrix_sheaf(), True), (8, 2, 3)),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_wave_is_the_cosine_of_the_root(name):
    operator, shape = DOMAINS[name]
    x, t, speed = randn(*shape), 1.5, 0.8
    values, vectors = torch.linalg.eigh(operator.to_dense().to(F64))
    cosine = vectors * (speed * values.clamp(min=0).sqrt() * t).cos() @ vectors.T
    exact = (cosine @ x.reshape(-1, 3)).reshape(shape)
    wave = Wave(operator, speed=speed)
    found = diffuse(wave, x, t, "leapfrog", num_steps=3000).x
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("solver", ["leapfrog", "rk4", "dopri5"])
def test_a_speed_that_depends_on_time(solver):
    """``x'' = -t^2 x`` for an eigenvector of 1 against fine steps by hand."""
    laplacian = GraphLaplacian(CellComplex.from_edges(2, torch.tensor([[0], [1]])))
    x = torch.tensor([[1.0], [-1.0]], dtype=F64)  # of eigenvalue 2
    options = {} if solver == "dopri5" else {"num_steps": 2000}
    found = diffuse(Wave(laplacian, speed=lambda t: t), x, 2.0, solver, **options).x

    def exact(t, state):
        return torch.stack([state[1], -2 * t**2 * state[0]])

    start = torch.stack([x, torch.zeros_like(x)])
    expected = diffuse(exact, start, 2.0, "dopri5", rtol=1e-10, atol=1e-12).x[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("solver", ["symplectic_euler", "leapfrog", "dopri5"])
def test_parameters_that_change_halfway(solver):
    x, v = randn(8, 2), randn(8, 2, seed=1)
    laplacian = GraphLaplacian(GRAPH)

    def laws(control):
        yield Wave(laplacian, speed=control)
        yield ControlledOscillator(laplacian, gamma=control)

    options = {} if solver == "dopri5" else {"num_steps": 50}
    for first, then, both in zip(
        laws(0.5), laws(1.5), laws(Piecewise([0.5, 1.5], 2.0)), strict=True
    ):
        assert not both.autonomous
        middle = diffuse(first, (x, v), 1.0, solver, **options)
        end = diffuse(then, (middle.x, middle.v), 1.0, solver, **options)
        more = {} if solver == "dopri5" else {"num_steps": 100}
        found = diffuse(both, (x, v), 2.0, solver, **more)
        torch.testing.assert_close(found.x, end.x, rtol=1e-9, atol=1e-9)


def test_parameters_that_do_not_fit():
    x, laplacian, zero = randn(8, 2), GraphLaplacian(GRAPH), torch.zeros((), dtype=F64)
    assert Wave(laplacian, speed=torch.ones(1, dtype=F64)).energy(x, x).shape == ()
    moving, steady = Wave(laplacian, speed=lambda t: t), Wave(laplacian, speed=0.3)
    torch.testing.assert_close(moving.energy(x, x, 0.3), steady.energy(x, x), rtol=1e-14, atol=0)
    with pytest.raises(ValueError, match=r"the speed must be one number, got \(8, 1\)"):
        Wave(laplacian, speed=randn(8, 1)).acceleration(zero, x, x)
    for name in ("alpha", "gamma"):
        with pytest.raises(ValueError, match=f"{name} must be one number, or broadcast"):
            ControlledOscillator(laplacian, **{name: randn(3)}).acceleration(zero, x, x)
    with pytest.raises(TypeError, match="damping is a number or a tensor, which stays"):
        Wave(laplacian, damping=lambda t: t)
    with pytest.raises(TypeError, match="alpha is a number or a tensor, which stays"):
        ControlledOscillator(laplacian, alpha=Piecewise([1.0], 1.0))


@pytest.mark.parametrize("name", DOMAINS)
def test_symplectic_steps_keep_the_energy_and_damping_spends_it(name):
    operator, shape = DOMAINS[name]
    x, v = randn(*shape), randn(*shape, seed=1)
    wave = Wave(operator)
    start = wave.energy(x, v)
    times = torch.linspace(0, 20, 41)
    kept = diffuse(wave, (x, v), 20.0, "leapfrog", step_size=0.05, save_at=times)
    energies = torch.stack([wave.energy(*s) for s in zip(kept.x, kept.v, strict=True)])
    assert float((energies / start - 1).abs().max()) < 0.02
    damped = Wave(operator, damping=0.5)
    spent = diffuse(damped, (x, v), 20.0, "leapfrog", step_size=0.05, save_at=times)
    energies = torch.stack([wave.energy(*s) for s in zip(spent.x, spent.v, strict=True)])
    assert bool((energies.diff() < 1e-6 * start).all())


def test_wave_with_a_source_and_a_speed_that_learns():
    operator, shape = DOMAINS["graph"]
    x, speed = randn(*shape), torch.tensor(1.1, dtype=F64, requires_grad=True)
    push = randn(*shape, seed=2)
    wave = Wave(operator, speed=speed, source=lambda t: t * push)
    t = torch.tensor(0.7, dtype=F64)
    expected = 0.7 * push - 1.21 * (operator @ x) - 0.0
    torch.testing.assert_close(wave.acceleration(t, x, x).detach(), expected)
    out = diffuse(wave, x, 1.0, "leapfrog", num_steps=50).x
    assert float(torch.autograd.grad(out.square().sum(), speed)[0].abs()) > 0
    assert not wave.autonomous
    with pytest.raises(ValueError, match="needs a symmetric operator"):
        Wave(GraphLaplacian(GRAPH, "random_walk"))


def test_sources_and_damping_of_another_shape_are_refused():
    operator, x = GraphLaplacian(GRAPH), randn(8, 3)
    for solver in ("leapfrog", "rk4"):
        with pytest.raises(ValueError, match=r"source must have the shape of the state, \(8, 3\)"):
            diffuse(Wave(operator, source=torch.ones(4, dtype=F64)), x, 1.0, solver)
        for shape in ((4,), (2, 8, 3)):
            with pytest.raises(ValueError, match=r"damping must be one number, or broadcast"):
                diffuse(Wave(operator, damping=torch.ones(shape, dtype=F64)), x, 1.0, solver)
        for shape in ((), (1,), (3,), (8, 1), (8, 3)):
            damping = torch.ones(shape, dtype=F64)
            assert diffuse(Wave(operator, damping=damping), x, 1.0, solver).x.shape == (8, 3)


# ---- GraphCON


def convolution(weight, complex=GRAPH):
    a = adjacency(complex, weight.dtype)
    return lambda t, x: a @ (x @ weight)


def test_published_step_written_out():
    w, dt, alpha, gamma = randn(3, 3), 0.7, 0.4, 1.2
    a = adjacency(GRAPH, F64).to_dense()
    x = y = randn(8, 3, seed=1)
    law = ControlledOscillator(convolution(w), alpha=alpha, gamma=gamma)
    found = diffuse(law, (x, y), 5 * dt, "symplectic_euler", num_steps=5)
    for _ in range(5):
        y = y + dt * ((a @ x @ w).relu() - gamma * x - alpha * y)
        x = x + dt * y
    torch.testing.assert_close(found.x, x)
    torch.testing.assert_close(found.v, y)


def test_an_operator_couples_as_the_function_that_applies_it():
    operator, x = GraphLaplacian(GRAPH), randn(8, 3)
    by_function = ControlledOscillator(lambda t, x: operator @ x)
    found = ControlledOscillator(operator).acceleration(torch.zeros(()), x, x)
    torch.testing.assert_close(found, by_function.acceleration(torch.zeros(()), x, x))
    weights = torch.ones(12, dtype=F64, requires_grad=True)
    learned = ControlledOscillator(GraphLaplacian(GRAPH, weights=weights))
    assert [p is weights for p in learned.parameters()] == [True]


def test_fixed_points_are_the_coupling_over_the_control():
    w, gamma = 0.3 * randn(3, 3), 1.5
    coupling = convolution(w)
    law = ControlledOscillator(coupling, alpha=2.0, gamma=gamma, activation=torch.tanh)
    end = diffuse(law, randn(8, 3, seed=1), 60.0, "leapfrog", step_size=0.05)
    assert float(end.v.abs().max()) < 1e-6
    fixed = torch.tanh(coupling(None, end.x)) / gamma
    torch.testing.assert_close(end.x, fixed, rtol=1e-5, atol=1e-6)
    # a constant that is a fixed point without neighbours' differences stays
    zero = torch.zeros(8, 3, dtype=F64)
    assert torch.equal(diffuse(law, zero, 5.0, "leapfrog").x, zero)


def test_dirichlet_energy_of_deep_oscillators_does_not_vanish_and_of_convolutions_does():
    """120 layers with random weights (GraphCON, figure 1; Oono and Suzuki 2020). Damping alpha and
    step 1 make the plain network of the two."""
    depth, x0 = 120, randn(8, 16)
    layers = [randn(16, 16, seed=k) / 4 for k in range(depth)]
    a = adjacency(GRAPH, F64)
    energy = QuadraticEnergy(DiffusionOperator(a))
    x, logs = x0, []
    for w in layers:
        x = (a @ (x @ w)).relu()
        # a decay rate does not depend on the size of the weights: divide it out
        x = x / x.norm()
        logs.append(math.log(max(float(energy.value(x)), 1e-30)))
    assert logs[-1] < -25
    assert logs[20] < logs[5] - 4
    steps = lambda t, x: a @ (x @ layers[min(int(t + 1e-4), depth - 1)])  # noqa: E731
    times = torch.arange(1, depth + 1)
    law = ControlledOscillator(steps, alpha=1.0, gamma=1.0, autonomous=False)
    plain = diffuse(law, x0, depth, "symplectic_euler", step_size=1.0, save_at=times).x
    torch.testing.assert_close(plain[0], (a @ (x0 @ layers[0])).relu())
    torch.testing.assert_close(plain[3], (a @ (plain[2] @ layers[3])).relu())
    law = ControlledOscillator(steps, alpha=0.0, gamma=1.0, autonomous=False)
    states = diffuse(law, x0, depth, "symplectic_euler", step_size=1.0, save_at=times).x
    values = torch.stack([energy.value(s) for s in states])
    assert float(values[60:].mean()) > 1e-2 * float(energy.value(x0))
    assert bool(values.isfinite().all())


def test_linear_convolutions_decay_at_the_rate_of_the_gap():
    """``E(A x) <= (1 - lambda_1)^2 E(x)``; on a bipartite graph without loops the largest mode
    does not decay at all."""
    a = adjacency(GRAPH, F64)
    values = torch.linalg.eigvalsh(torch.eye(8, dtype=F64) - a.to_dense())
    largest = float((1 - values[1:]).abs().max())
    laplacian = torch.eye(8, dtype=F64) - a.to_dense()
    x, energies = randn(8, 3), []
    for _ in range(20):
        energies.append(float((x * (laplacian @ x)).sum()))
        x = a @ x
    ratios = [e / b for b, e in pairwise(energies)]
    assert max(ratios) <= largest**2 + 1e-9
    assert abs(ratios[-1] - largest**2) < 1e-3
    square = CellComplex.from_edges(4, torch.tensor([[0, 1, 2, 0], [1, 2, 3, 3]]))
    b = adjacency(square, F64, loops=0.0)
    mode = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=F64)[:, None]
    torch.testing.assert_close(b @ (b @ mode), mode)
    torch.testing.assert_close(b @ mode, -mode)
