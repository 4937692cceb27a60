"""Chebyshev and Lanczos against dense exponentials: values, bounds, gradients."""

import networkx as nx
import pytest
import torch
from solver_cases import (
    KARATE,
    SMALL,
    exact,
    graph,
    laplacian,
    random_weights,
    sheaf_laplacian,
    state,
)

import topodiff as td
from topodiff.operators import Dirac, GraphLaplacian, HodgeLaplacian

KERNELS = ("chebyshev", "krylov")


def operators():
    triangles = td.CellComplex.from_simplices([(0, 1, 2, 3), (2, 3, 4), (4, 5)])
    weights = {r: torch.ones(n, dtype=torch.float64) for r, n in enumerate(triangles.shape)}
    return {
        "combinatorial": laplacian("combinatorial"),
        "symmetric": laplacian(),
        "hodge": HodgeLaplacian(triangles, 1, weights=weights),
        "sheaf": sheaf_laplacian(torch.randn(8, 2, 2, dtype=torch.float64)),
        "normalised sheaf": sheaf_laplacian(torch.randn(8, 2, 2, dtype=torch.float64), True),
        "diagonal": sheaf_laplacian(torch.randn(8, 2, dtype=torch.float64)),
    }


@pytest.mark.parametrize("name", operators())
@pytest.mark.parametrize("solver", KERNELS)
@pytest.mark.parametrize("t", [1e-6, 0.3, 20.0])
@pytest.mark.parametrize("tol", [1e-3, 1e-10])
def test_error_is_below_its_bound(name, solver, t, tol):
    operator = operators()[name]
    x = state(operator)
    sol = td.diffuse(operator, x, t, solver, tol=tol)
    assert sol.status == "ok"
    error = float((sol.x - exact(operator, x, t)).norm() / x.norm())
    assert error <= sol.stats.error_bound + 1e-13
    assert sol.stats.error_bound <= tol


@pytest.mark.parametrize("solver", KERNELS)
def test_float32(solver):
    operator = laplacian("combinatorial", dtype=torch.float32)
    x = state(operator, dtype=torch.float32)
    sol = td.diffuse(operator, x, 5.0, solver)
    wanted = exact(laplacian("combinatorial"), x.double(), 5.0)
    torch.testing.assert_close(sol.x.double(), wanted, atol=2e-5, rtol=0)


@pytest.mark.parametrize("solver", KERNELS)
def test_operator_without_numbers_keeps_the_precision_of_the_state(solver):
    operator = GraphLaplacian(KARATE, "symmetric")
    x = torch.randn(34, 2, dtype=torch.float64)
    sol = td.diffuse(operator, x, 2.0, solver)
    torch.testing.assert_close(sol.x, exact(laplacian(), x, 2.0), atol=1e-10, rtol=0)


@pytest.mark.parametrize("solver", KERNELS)
def test_symmetric_indefinite_operator(solver):
    operator = Dirac(SMALL)
    x = torch.randn(9, 2, dtype=torch.float64)
    sol = td.diffuse(operator, x, 1.0, solver)
    torch.testing.assert_close(sol.x, exact(operator, x, 1.0), atol=1e-10, rtol=0)


@pytest.mark.parametrize("solver", KERNELS)
def test_many_times_cost_one_recurrence(solver):
    operator = laplacian("combinatorial")
    x = state(operator)
    times = [0.0, 0.1, 0.5, 2.0]
    sol = td.diffuse(operator, x, 3.0, solver, save_at=times)
    assert sol.x.shape == (4, 34, 3)
    assert sol.ts.tolist() == times
    for t, found in zip(times, sol.x, strict=True):
        torch.testing.assert_close(found, exact(operator, x, t), atol=1e-9, rtol=0)
    alone = td.diffuse(operator, x, 3.0, solver)
    assert sol.stats.evaluations <= alone.stats.evaluations + 1


@pytest.mark.parametrize("solver", KERNELS)
def test_the_flat_form_and_vectors(solver):
    operator = operators()["sheaf"]
    x = state(operator)
    wanted = td.diffuse(operator, x, 1.0, solver).x
    flat = td.diffuse(operator, x.reshape(10, 3), 1.0, solver).x
    torch.testing.assert_close(flat.reshape(x.shape), wanted)
    vector = td.diffuse(operator, x[..., 0].contiguous(), 1.0, solver).x
    torch.testing.assert_close(vector, wanted[..., 0], atol=1e-10, rtol=0)


@pytest.mark.parametrize("solver", KERNELS)
def test_zero_state_and_zero_operator(solver):
    operator = laplacian("combinatorial")
    zero = td.diffuse(operator, torch.zeros(34, 2).double(), 1.0, solver)
    assert zero.status == "ok"
    assert not bool(zero.x.any())
    empty = GraphLaplacian(td.CellComplex.from_edges(4, torch.zeros(2, 0, dtype=torch.long)))
    x = torch.randn(4, 2)
    torch.testing.assert_close(td.diffuse(empty, x, 5.0, solver).x, x)


def test_chebyshev_takes_the_square_root_of_the_stiffness():
    operator = laplacian("combinatorial")
    x = state(operator)
    short, long = (td.diffuse(operator, x, t, "chebyshev").stats.evaluations for t in (10.0, 1e3))
    assert long < 12 * short


def test_krylov_finds_a_smooth_state_quickly():
    operator = laplacian("combinatorial")
    vectors = torch.linalg.eigh(operator.to_dense())[1]
    x = (vectors[:, 1] + vectors[:, 2])[:, None].contiguous()
    sol = td.diffuse(operator, x, 100.0, "krylov", tol=1e-9)
    assert sol.stats.iterations <= 6
    torch.testing.assert_close(sol.x, exact(operator, x, 100.0), atol=1e-8, rtol=0)


def test_vectors_beyond_the_memory_are_made_twice():
    operator = laplacian("combinatorial")
    x = state(operator)
    kept = td.diffuse(operator, x, 30.0, "krylov")
    twice = td.diffuse(operator, x, 30.0, "krylov", memory=5 * x.numel() * 8)
    torch.testing.assert_close(twice.x, kept.x, atol=1e-11, rtol=0)
    assert twice.stats.evaluations == 2 * kept.stats.evaluations - 5


@pytest.mark.parametrize(
    ("solver", "option"), [("chebyshev", "max_degree"), ("krylov", "max_iterations")]
)
def test_running_out_is_a_status_with_an_honest_bound(solver, option):
    operator = laplacian("combinatorial")
    x = state(operator)
    sol = td.diffuse(operator, x, 10.0, solver, **{option: 9})
    assert sol.status == "max_steps"
    assert sol.stats.evaluations <= 9
    error = float((sol.x - exact(operator, x, 10.0)).norm() / x.norm())
    assert 1e-9 < error <= sol.stats.error_bound


# -- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", KERNELS)
@pytest.mark.parametrize("kind", ["combinatorial", "symmetric"])
def test_gradients_to_state_time_and_weights(solver, kind):
    weights = random_weights().requires_grad_()
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    t = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def flow(weights, x, t):
        return td.diffuse(GraphLaplacian(SMALL, kind, weights=weights), x, t, solver).x

    assert torch.autograd.gradcheck(flow, (weights, x, t))


@pytest.mark.parametrize("solver", KERNELS)
@pytest.mark.parametrize("shape", [(8, 2, 2), (8, 2), (8,)])
@pytest.mark.parametrize("normalized", [False, True])
def test_gradients_to_restriction_maps(solver, shape, normalized):
    """And the same as through the dense exponential."""
    maps = (torch.randn(shape, dtype=torch.float64) + 1.5).requires_grad_()
    x = torch.randn(5, 2, 2, dtype=torch.float64, requires_grad=True)
    target = torch.randn(5, 2, 2, dtype=torch.float64)

    def operator(maps):
        sheaf = td.CellularSheaf(SMALL, 2, maps)
        return td.operators.SheafLaplacian(sheaf, normalized)

    found = (td.diffuse(operator(maps), x, 0.8, solver).x * target).sum()
    wanted = (exact(operator(maps), x, 0.8) * target).sum()
    grads = (torch.autograd.grad(y, (maps, x)) for y in (found, wanted))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-7)


@pytest.mark.parametrize("solver", KERNELS)
def test_gradients_through_saved_states(solver):
    weights = random_weights().requires_grad_()
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    t = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)

    def flow(weights, x, t):
        operator = GraphLaplacian(SMALL, weights=weights)
        return td.diffuse(operator, x, t, solver, save_at=[0.0, 0.2, 0.5]).x

    assert torch.autograd.gradcheck(flow, (weights, x, t))


def test_parameters_used_elsewhere_too():
    """Weights made by a network, used by two solvers and a penalty: one graph, one backward."""
    raw = torch.randn(4, dtype=torch.float64, requires_grad=True)
    x = torch.randn(5, 2, dtype=torch.float64)

    def loss(first, second):
        weights = raw.exp() * 0.3
        operator = GraphLaplacian(SMALL, "symmetric", weights=weights)
        y = first(operator, x)
        return second(operator, y).square().sum() + weights.square().sum()

    def kernel(operator, x):
        return td.diffuse(operator, x, 0.5, "chebyshev").x

    def stepped(operator, x):
        return td.diffuse(operator, x, 0.5, "krylov").x

    def dense(operator, x):
        return exact(operator, x, 0.5)

    (found,) = torch.autograd.grad(loss(kernel, stepped), raw)
    (wanted,) = torch.autograd.grad(loss(dense, dense), raw)
    torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-8)


def test_gradients_of_a_long_expansion_in_float32():
    """Terms that come back from the last two of them are still right after hundreds of them."""
    path = graph(nx.path_graph(200))
    x = torch.linspace(0, 1, 200, dtype=torch.float64)[:, None] ** 3
    grads = []
    for dtype in (torch.float32, torch.float64):
        weights = torch.ones(199, dtype=dtype, requires_grad=True)
        operator = GraphLaplacian(path, weights=weights)
        sol = td.diffuse(operator, x.to(dtype), 3000.0, "chebyshev", tol=1e-6)
        assert sol.stats.iterations > 300
        sol.x[:50].sum().backward()
        grads.append(weights.grad.double())
    torch.testing.assert_close(*grads, atol=2e-3 * float(grads[1].abs().max()), rtol=0)


def test_backward_keeps_four_states_however_long_the_expansion():
    saved = []

    def pack(tensor):
        saved.append(tensor.numel())
        return tensor

    weights = torch.ones(KARATE.num_cells(1), dtype=torch.float64, requires_grad=True)
    x = state(laplacian())
    operator = GraphLaplacian(KARATE, weights=weights)
    for t in (1.0, 100.0):
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            td.diffuse(operator, x, t, "chebyshev")
        assert sum(saved) <= 4 * x.numel() + weights.numel()


class Scales(td.operators.LinearOperator):
    """Numbers on the diagonal, one of them an attribute and the other somewhere else."""

    symmetric = positive_semidefinite = True

    def __init__(self, seen, other):
        super().__init__((3,), (3,), torch.float64, torch.device("cpu"))
        self.seen, self.other = seen, other

    def _apply(self, x):
        other = self.other() if callable(self.other) else self.other["pair"][0]
        return (self.seen + other) * x

    def spectral_bound(self):
        return 4.0


@pytest.mark.parametrize("solver", KERNELS)
def test_tensors_in_dicts_and_where_nothing_looks(solver):
    x = torch.ones(3, 1, dtype=torch.float64)
    seen, other = torch.tensor([1.0, 0.5], dtype=torch.float64).requires_grad_().unbind(0)
    for held in ({"pair": (other, 1)}, {"pair": [other]}):
        y = td.diffuse(Scales(seen, held), x, 1.0, solver).x.sum()
        grads = torch.autograd.grad(y, (seen, other))
        torch.testing.assert_close(grads, (-y.detach(), -y.detach()))
    y = td.diffuse(Scales(seen, lambda: other), x, 1.0, solver).x.sum()
    with pytest.raises(ValueError, match="not among its attributes"):
        y.backward()


def test_an_operator_that_hides_its_tensors_is_refused():
    class Hidden(td.operators.LinearOperator):
        symmetric = positive_semidefinite = True

        def __init__(self, scale):
            super().__init__((3,), (3,), torch.float64, torch.device("cpu"))
            self.scale = lambda: scale

        def _apply(self, x):
            return self.scale() * x

        def spectral_bound(self):
            return 2.0

    scale = torch.tensor(1.5, dtype=torch.float64)
    x = torch.ones(3, 1, dtype=torch.float64)
    found = td.diffuse(Hidden(scale), x, 1.0, "chebyshev").x
    torch.testing.assert_close(found, torch.exp(-scale) * x)
    with pytest.raises(ValueError, match="keep tensors as attributes"):
        td.diffuse(Hidden(scale.requires_grad_()), x, 1.0, "chebyshev")
