"""Error control of the graphs of a batch."""

import pytest
import torch
from solver_cases import KARATE, SMALL, exact

import topodiff as td
from topodiff.operators import GraphLaplacian

# a graph whose flow is fast beside one whose flow is slow
WEIGHTS = torch.cat([torch.full((78,), 20.0), torch.full((4,), 0.01)]).double()
BATCH = td.batch([KARATE, SMALL])
PTR = BATCH.ptr[0]


class Timed:
    """The same flow, not declared to be autonomous."""

    def __init__(self, operator):
        self.operator = operator

    def __call__(self, t, x):
        return -(self.operator @ x)


def problem():
    operator = GraphLaplacian(BATCH, weights=WEIGHTS)
    return operator, torch.randn(39, 2, dtype=torch.float64)


@pytest.mark.parametrize("solver", ["dormand_prince", "bogacki_shampine"])
@pytest.mark.parametrize("timed", [False, True])
def test_every_graph_keeps_the_tolerance(solver, timed):
    operator, x = problem()
    law = Timed(operator) if timed else operator
    times = [0.05, 0.1]
    options = {"rtol": 1e-5, "atol": 1e-6, "save_at": times}
    sol = td.diffuse(law, x, 0.1, solver, ptr=PTR, **options)
    assert sol.status == "ok"
    for t, found in zip(times, sol.x, strict=True):
        error = (found - exact(operator, x, t)).abs()
        assert float(error[:34].max()) < 1e-4
        assert float(error[34:].max()) < 1e-4


def test_steps_do_not_depend_on_the_neighbours_in_the_batch():
    operator, x = problem()
    alone = td.diffuse(
        GraphLaplacian(KARATE, weights=WEIGHTS[:78]), x[:34], 0.1, "dormand_prince", rtol=1e-4
    )
    together = td.diffuse(operator, x, 0.1, "dormand_prince", ptr=PTR, rtol=1e-4)
    torch.testing.assert_close(together.x[:34], alone.x, rtol=1e-12, atol=1e-12)
    assert together.stats.steps == alone.stats.steps


@pytest.mark.parametrize("solver", ["dormand_prince", "bogacki_shampine", "dopri5"])
def test_one_norm_over_all_hides_a_small_graph(solver):
    """Why ptr: an error in 5 of 1025 rows is less than the same error on its own."""
    batch = td.batch([KARATE] * 30 + [SMALL])
    x = torch.randn(batch.num_cells(0), 2, dtype=torch.float64)
    x[:-5] = 0
    operator = GraphLaplacian(batch)
    options = {"rtol": 1e-4, "atol": 1e-4, "first_step": 0.05}
    wanted = exact(operator, x, 2.0)
    loose, strict = (
        td.diffuse(Timed(operator), x, 2.0, solver, **options, **more)
        for more in ({}, {"ptr": batch.ptr[0]})
    )
    assert strict.stats.evaluations > loose.stats.evaluations
    errors = [float((sol.x - wanted).abs().max()) for sol in (loose, strict)]
    assert errors[1] < errors[0] / 4


def test_the_norm_of_torchdiffeq():
    operator, x = problem()
    sol = td.diffuse(operator, x, 0.1, "dopri5", ptr=PTR, rtol=1e-6, atol=1e-7)
    assert float((sol.x - exact(operator, x, 0.1)).abs().max()) < 1e-5
    with pytest.raises(ValueError, match="has fixed steps"):
        td.diffuse(operator, x, 0.1, "heun3", ptr=PTR)


def test_gradients_with_steps_of_their_own():
    x = problem()[1].requires_grad_()
    weights = WEIGHTS.clone().requires_grad_()
    grads = []
    for solver in ("dormand_prince", "chebyshev"):
        options = {"ptr": PTR, "rtol": 1e-9, "atol": 1e-10} if solver != "chebyshev" else {}
        sol = td.diffuse(GraphLaplacian(BATCH, weights=weights), x, 0.1, solver, **options)
        grads.append(torch.autograd.grad(sol.x.pow(3).sum(), (x, weights)))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_graphs_of_second_order_laws():
    class Wave:
        order = 2
        autonomous = True

        def acceleration(self, t, x, v):
            return -(operator @ x)

    operator, x = problem()
    sol = td.diffuse(Wave(), x, 0.1, "dormand_prince", ptr=PTR)
    alone = td.diffuse(Wave(), x, 0.1, "rk4", num_steps=400)
    torch.testing.assert_close(sol.x, alone.x, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(sol.v, alone.v, rtol=1e-5, atol=1e-5)


def test_empty_graphs_and_wrong_pointers():
    operator, x = problem()
    ptr = torch.tensor([0, 34, 34, 39])
    sol = td.diffuse(operator, x, 0.1, "dormand_prince", ptr=ptr)
    torch.testing.assert_close(sol.x, exact(operator, x, 0.1), rtol=1e-5, atol=1e-6)
    for wrong in ([0, 34], [1, 39], [0, 40, 39], [39]):
        with pytest.raises(ValueError, match="rise from 0 to 39"):
            td.diffuse(operator, x, 0.1, "dormand_prince", ptr=torch.tensor(wrong))
    with pytest.raises(TypeError, match="whole numbers"):
        td.diffuse(operator, x, 0.1, "dormand_prince", ptr=[0, 39])


@pytest.mark.parametrize("solver", ["dormand_prince", "bogacki_shampine", "dopri5"])
def test_states_without_channels(solver):
    operator, x = problem()
    whole = td.diffuse(operator, x[:, :1], 0.1, solver, ptr=PTR)
    found = td.diffuse(operator, x[:, 0], 0.1, solver, ptr=PTR)
    torch.testing.assert_close(found.x, whole.x[:, 0], rtol=1e-12, atol=1e-12)


def test_steps_are_those_of_the_graph_that_made_most():
    """A step of one graph while the other is refused one counts for that one alone."""
    operator, x = problem()
    alone = [
        td.diffuse(
            GraphLaplacian(part, weights=weights), y, 0.1, "dormand_prince", rtol=1e-9, atol=1e-12
        ).stats.steps
        for part, weights, y in ((KARATE, WEIGHTS[:78], x[:34]), (SMALL, WEIGHTS[78:], x[34:]))
    ]
    found = td.diffuse(operator, x, 0.1, "dormand_prince", ptr=PTR, rtol=1e-9, atol=1e-12)
    assert found.stats.steps == max(alone)
