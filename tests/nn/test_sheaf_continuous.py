"""Sheaf diffusion in continuous time."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

import topodiff as td
from topodiff.nn import ContinuousSheafDiffusion
from topodiff.operators import GraphLaplacian
from topodiff.testing import assert_permutation_equivariant

LINEAR = {"left_weights": False, "right_weights": False, "activation": "identity"}


def graph() -> td.CellComplex:
    edges = torch.tensor([[0, 1, 2, 0, 3], [1, 2, 3, 3, 4]])
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return td.CellComplex.from_edges(6, edges).replace(x={0: x})


def model(**options) -> ContinuousSheafDiffusion:
    torch.manual_seed(0)
    options = {"solver_options": {"rtol": 1e-8, "atol": 1e-9}, **options}
    return ContinuousSheafDiffusion(4, 3, 2, 2, **options).double()


def test_linear_diffusion_on_the_graph_is_the_exponential_of_its_laplacian():
    made = model(**LINEAR, maps="identity", normalized=True, time=1.7)
    K = graph()
    state = made.encode(K.x[0])
    laplacian = GraphLaplacian(K, "symmetric").to_dense().double()
    expected = torch.matrix_exp(-1.7 * laplacian) @ state.flatten(1)
    torch.testing.assert_close(made.diffuse(K, state).flatten(1), expected, rtol=1e-6, atol=1e-7)


def test_a_source_flows_in_at_a_constant_rate():
    """(x, x_0)' = [[-L, b], [0, 0]] (x, x_0); with b = 0 there is no source."""
    made, K = model(**LINEAR, add_source=True, frozen_sheaf=True, time=3.0), graph()
    x = made.encode(K.x[0]).detach()
    plain = model(**LINEAR, frozen_sheaf=True, time=3.0)
    torch.testing.assert_close(made.diffuse(K, x), plain.diffuse(K, x))
    torch.nn.init.constant_(made.strength, 0.3)
    one = torch.eye(12, dtype=torch.float64)
    laplacian = made.layer.operator(K, x)(one.view(6, 2, 12)).flatten(0, 1)
    both = torch.cat([torch.cat([-laplacian, 0.3 * one], 1), torch.zeros_like(one).repeat(1, 2)])
    flow = torch.matrix_exp(3.0 * both)[:12]
    expected = flow @ torch.cat([x, x]).flatten(0, 1)
    torch.testing.assert_close(made.diffuse(K, x).flatten(0, 1), expected, rtol=1e-6, atol=1e-7)
    made.reset_parameters()
    assert made.strength.item() == 0.0


@pytest.mark.parametrize("maps", ["orthogonal", "diagonal", "general", "bundle"])
def test_small_time_is_one_step_of_the_layer(maps):
    made, K = model(maps=maps, time=1e-5), graph()
    x = made.encode(K.x[0])
    step = -made.layer(x, made.layer.operator(K, x))
    torch.testing.assert_close((made.diffuse(K, x) - x) / 1e-5, step, rtol=1e-3, atol=1e-4)


def test_energy_falls_along_a_frozen_sheaf():
    K = graph()
    energies = []
    for time in (0.0, 0.5, 2.0, 8.0):
        made = model(**LINEAR, time=time, frozen_sheaf=True)
        start = made.encode(K.x[0])
        x, operator = made.diffuse(K, start), made.layer.operator(K, start)
        energies.append(float((x * operator(x)).sum().detach()))
    assert all(b < a for a, b in pairwise(energies))


@pytest.mark.parametrize(
    "options",
    [
        {"edge_weights": True, "low_pass": True},
        {"add_source": True},
        {"frozen_sheaf": True, "add_source": True, "low_pass": True, "edge_weights": True},
        {"frozen_sheaf": True, "maps": "bundle"},
        {"frozen_sheaf": True, "maps": "general", "normalized": False},
        {"frozen_sheaf": True, "maps": "identity"},
    ],
)
def test_adjoint_gradients_are_the_direct_ones(options):
    K = graph()
    gradients = []
    for backward in ("direct", "adjoint"):
        made = model(solver="dopri5", backward=backward, **options)
        if made.strength is not None:
            torch.nn.init.constant_(made.strength, 0.3)
        made(K).square().sum().backward()
        gradients.append([p.grad for p in made.parameters()])
    for direct, adjoint in zip(*gradients, strict=True):
        torch.testing.assert_close(adjoint, direct, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("solver", ["euler", "rk4", "adaptive_heun"])
def test_solvers_agree(solver):
    options = {} if solver == "adaptive_heun" else {"solver_options": {"step_size": 0.01}}
    made = model(solver=solver, **options)
    torch.testing.assert_close(made(graph()), model()(graph()), rtol=2e-2, atol=2e-2)


def test_graphs_of_a_batch_do_not_see_each_other():
    made, (one, other) = model(), (graph(), graph().replace(x={0: 3 * graph().x[0].flip(0)}))
    together = made(td.batch([one, other]))
    torch.testing.assert_close(together, torch.cat([made(one), made(other)]), rtol=1e-6, atol=1e-6)


def test_knows_no_numbering():
    made = model()
    assert_permutation_equivariant(lambda K: {0: made(K)}, graph(), tolerance=1e-6)


def test_no_time_no_change():
    K, made = graph(), model(time=0.0)
    state = made.encode(K.x[0])
    assert torch.equal(made.diffuse(K, state), state)


def test_a_solver_that_does_not_reach_the_end_is_an_error():
    made = model(time=1e3, solver_options={"rtol": 1e-8, "atol": 1e-9, "max_steps": 3})
    with pytest.raises(RuntimeError, match="status 'max_steps'"):
        made(graph())
