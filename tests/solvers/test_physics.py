"""What flows keep and what they lose: mass, energy, maxima."""

import math

import networkx as nx
import pytest
import torch
from solver_cases import KARATE, Dragged, Oscillator, exact, graph, laplacian, state

import topodiff as td
from topodiff.operators import GraphLaplacian
from topodiff.solvers.stability import OSCILLATORS

SOLVERS = [s for s in td.solvers.SOLVERS if s not in OSCILLATORS]
OPTIONS = {
    **{s: {"num_steps": 7} for s in ("implicit_euler", "crank_nicolson", "bdf2", "imex")},
    **{s: {"rtol": 1e-4, "atol": 1e-4} for s in ("fehlberg2", "adaptive_heun")},
}


@pytest.mark.filterwarnings("ignore:Functional iteration")
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_heat_keeps_its_mass(solver, dtype):
    operator = laplacian("combinatorial", dtype=dtype)
    x = state(operator, 4, dtype)
    sol = td.diffuse(operator, x, 1.5, solver, **OPTIONS.get(solver, {}))
    assert sol.status == "ok"
    assert sol.x.dtype == dtype
    tol = 1e-3 if dtype == torch.float32 else 1e-8
    torch.testing.assert_close(sol.x.sum(0), x.sum(0), atol=tol, rtol=tol)


@pytest.mark.parametrize("step", [0.01, 0.3, 10.0, 1e4])
def test_backward_euler_loses_energy_whatever_the_step(step):
    operator = laplacian("combinatorial")
    x = state(operator)
    times = [step * k for k in range(1, 9)]
    sol = td.diffuse(operator, x, times[-1], "implicit_euler", step_size=step, save_at=times)
    states = torch.cat([x[None], sol.x])
    energy = torch.stack([(s * (operator @ s)).sum() / 2 for s in states])
    assert bool((energy[1:] <= energy[:-1] * (1 + 1e-9) + 1e-12).all())


def test_crank_nicolson_oscillates_for_large_steps():
    """The amplification of stiff modes tends to -1: A-stable, not L-stable."""
    operator = laplacian("combinatorial")
    values, vectors = torch.linalg.eigh(operator.to_dense())
    x = vectors[:, -1:].clone()
    sol = td.diffuse(operator, x, 100.0, "crank_nicolson", num_steps=1)
    z = 100 * float(values[-1])
    torch.testing.assert_close(sol.x, (1 - z / 2) / (1 + z / 2) * x)


@pytest.mark.parametrize("step", [0.5, 1.0])
def test_euler_obeys_the_maximum_principle(step):
    """Rows of I - step (I - P) are averages for step <= 1 (GRAND, theorem 1)."""
    operator = laplacian("random_walk")
    x = state(operator)
    sol = td.diffuse(operator, x, 20.0, "euler", step_size=step)
    assert bool((sol.x.amax(0) <= x.amax(0) + 1e-12).all())
    assert bool((sol.x.amin(0) >= x.amin(0) - 1e-12).all())


@pytest.mark.parametrize("step", [0.5, 20.0])
def test_backward_euler_is_personalised_pagerank(step):
    """``(I + s (I - P))^-1 = a sum_k (1 - a)^k P^k`` with ``a = 1 / (1 + s)``."""
    operator = laplacian("random_walk")
    x = state(operator)
    sol = td.diffuse(operator, x, step, "implicit_euler", num_steps=1)
    alpha = 1 / (1 + step)
    walk = torch.eye(34) - operator.to_dense()
    wanted = alpha * torch.linalg.solve(torch.eye(34) - (1 - alpha) * walk, x)
    torch.testing.assert_close(sol.x, wanted, atol=1e-10, rtol=1e-9)


def test_heat_ends_at_the_mean():
    operator = laplacian("combinatorial")
    x = state(operator)
    for solver in ("chebyshev", "krylov", "implicit_euler"):
        options = {"num_steps": 3} if solver == "implicit_euler" else {}
        sol = td.diffuse(operator, x, 1e4, solver, **options)
        torch.testing.assert_close(sol.x, x.mean(0).expand_as(x), atol=1e-7, rtol=0)


def test_undamped_wave_keeps_its_energy():
    operator = laplacian("combinatorial")
    law = Oscillator(operator)
    x, v = state(operator, 1), state(operator, 1, seed=1)

    def energy(sol):
        return (sol.v**2 + sol.x * torch.stack([operator @ s for s in sol.x])).sum((1, 2)) / 2

    start = float((v**2 + x * (operator @ x)).sum() / 2)
    times = [0.05 * k for k in range(1, 401)]
    for solver, bound in (("leapfrog", 0.01), ("symplectic_euler", 0.25)):
        sol = td.diffuse(law, (x, v), 20.0, solver, step_size=0.05, save_at=times)
        drift = (energy(sol) / start - 1).abs()
        assert float(drift.max()) < bound
        # bounded, not growing
        assert float(drift[200:].max()) < 1.2 * float(drift[:200].max())
    with pytest.warns(UserWarning, match="unstable"):
        euler = td.diffuse(
            law, (x, v), 20.0, "euler", step_size=0.05, save_at=times, allow_unstable=True
        )
    assert float(energy(euler)[-1] / start) > 100


def test_wave_against_the_cosine():
    operator = laplacian()
    values, vectors = torch.linalg.eigh(operator.to_dense())
    x = state(operator)
    root = values.clamp(min=0).sqrt()
    wanted = vectors @ (torch.cos(3 * root)[:, None] * (vectors.T @ x))
    for solver, options in (
        ("leapfrog", {"num_steps": 4000}),
        ("verlet", {"num_steps": 4000}),
        ("rk4", {}),
        ("dopri5", {}),
        ("dormand_prince", {}),
        ("crank_nicolson", {"num_steps": 1000}),
    ):
        sol = td.diffuse(Oscillator(operator), x, 3.0, solver, **options)
        assert sol.status == "ok"
        torch.testing.assert_close(sol.x, wanted, atol=1e-5, rtol=0)
        assert sol.v.shape == x.shape


def test_leapfrog_runs_back():
    law = Oscillator(laplacian())
    x, v = state(law.operator), state(law.operator, seed=1)
    there = td.diffuse(law, (x, v), 5.0, "leapfrog", num_steps=50)
    back = td.diffuse(law, (there.x, -there.v), 5.0, "leapfrog", num_steps=50)
    torch.testing.assert_close(back.x, x)


FRICTIONS = [lambda v: 0.5 * v, laplacian().__matmul__, lambda v: v.abs() * v]


@pytest.mark.parametrize("friction", FRICTIONS)
@pytest.mark.parametrize("moving", [False, True])
def test_velocities_that_leapfrog_would_lose(friction, moving):
    operator = laplacian()
    x = state(operator)
    start = (x, torch.ones_like(x)) if moving else x
    law = Dragged(operator, friction, damping=0.2)
    for solver in ("leapfrog", "verlet"):
        with pytest.raises(ValueError, match="declare its attribute damping"):
            td.diffuse(law, start, 1.0, solver)
    for solver in ("symplectic_euler", "dopri5"):
        assert td.diffuse(law, start, 0.1, solver).status == "ok"
    declared = Dragged(operator, torch.zeros_like, damping=0.2 + torch.rand(34, 1, dtype=x.dtype))
    assert td.diffuse(declared, start, 1.0, "leapfrog").status == "ok"


def test_semigroup():
    operator = laplacian("combinatorial")
    x = state(operator)
    for solver in ("chebyshev", "krylov"):
        half = td.diffuse(operator, x, 0.4, solver).x
        whole = td.diffuse(operator, x, 1.0, solver).x
        torch.testing.assert_close(
            td.diffuse(operator, half, 0.6, solver).x, whole, atol=1e-10, rtol=0
        )


def test_symmetry_of_a_cycle_gives_bessel_functions():
    from scipy.special import ive

    n = 64
    complex = td.CellComplex.from_edges(n, torch.tensor([[k, (k + 1) % n] for k in range(n)]).T)
    x = torch.zeros(n, dtype=torch.float64)
    x[0] = 1
    sol = td.diffuse(GraphLaplacian(complex), x, 3.0, "chebyshev")
    wanted = torch.tensor([ive(min(k, n - k), 6.0) for k in range(n)])
    torch.testing.assert_close(sol.x, wanted, atol=1e-11, rtol=0)


def cosines(n, step):
    return 2 - 2 * torch.cos(step * torch.arange(n, dtype=torch.float64))


def cube(d):
    """2k, as often as k of d coordinates can be chosen."""
    return [2.0 * k for k in range(d + 1) for _ in range(math.comb(d, k))]


SPECTRA = {
    "path": (nx.path_graph(9), cosines(9, math.pi / 9)),
    "cycle": (nx.cycle_graph(8), cosines(8, math.pi / 4)),
    "complete": (nx.complete_graph(6), torch.tensor([0.0, *[6.0] * 5])),
    "cube": (nx.hypercube_graph(4), torch.tensor(cube(4))),
    "grid": (
        nx.grid_2d_graph(4, 5),
        (cosines(4, math.pi / 4)[:, None] + cosines(5, math.pi / 5)).flatten(),
    ),
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "uniformization"])
def test_spectra_and_traces_of_heat(name, solver):
    """``tr exp(-t L) = sum_k exp(-t lambda_k)``, lambda in closed form."""
    g, values = SPECTRA[name]
    operator = GraphLaplacian(graph(nx.convert_node_labels_to_integers(g)))
    values = values.double().sort().values
    found = torch.linalg.eigvalsh(operator.to_dense().double())
    torch.testing.assert_close(found, values, atol=1e-6, rtol=0)
    eye = torch.eye(len(values), dtype=torch.float64)
    kernel = td.diffuse(operator, eye, 0.6, solver).x
    torch.testing.assert_close(kernel.trace(), torch.exp(-0.6 * values).sum())


def test_heat_on_a_grid_tends_to_the_gaussian():
    """``exp(-|x|^2 / 4t) / (4 pi t)``, with an error of O(h^2) for cells of width h."""
    errors, t = [], 0.02
    for n in (32, 64):
        h = 2 / n
        g = nx.convert_node_labels_to_integers(nx.grid_2d_graph(n + 1, n + 1), ordering="sorted")
        x = torch.zeros((n + 1) ** 2, dtype=torch.float64)
        x[len(x) // 2] = 1 / h**2
        found = td.diffuse(GraphLaplacian(graph(g)), x, t / h**2, "chebyshev").x
        axis = torch.linspace(-1, 1, n + 1, dtype=torch.float64) ** 2
        square = (axis[:, None] + axis).flatten()
        errors.append(float((found - torch.exp(-square / (4 * t)) / (4 * math.pi * t)).abs().max()))
    assert abs(math.log2(errors[0] / errors[1]) - 2) < 0.2


@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "dopri5", "implicit_euler"])
def test_batches_and_isolated_vertices(solver):
    """Graphs of a batch do not touch, and a vertex without edges stays as it is."""
    batch = td.batch([KARATE, td.CellComplex.from_edges(3, torch.tensor([[0], [1]])), KARATE])
    operator = GraphLaplacian(batch)
    x = torch.randn(71, 2, dtype=torch.float64)
    sol = td.diffuse(operator, x, 0.7, solver)
    torch.testing.assert_close(sol.x[36], x[36])
    alone = td.diffuse(GraphLaplacian(KARATE), x[37:], 0.7, solver)
    torch.testing.assert_close(sol.x[37:], alone.x, atol=1e-6, rtol=0)
    if solver != "implicit_euler":
        torch.testing.assert_close(sol.x, exact(operator, x, 0.7), atol=1e-5, rtol=0)
    assert math.isfinite(sol.stats.residual)
