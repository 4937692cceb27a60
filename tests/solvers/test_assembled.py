"""The one matrix that stands for a constant operator."""

import gc
import weakref

import pytest
import scipy.sparse
import torch
from solver_cases import KARATE, exact, laplacian, state
from torch.nn.utils import vector_to_parameters

import topodiff as td
from topodiff.operators import GraphLaplacian, LinearOperator
from topodiff.solvers.assembled import Assembled, assembled


@pytest.mark.parametrize("kind", ["combinatorial", "symmetric", "random_walk"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_the_operator(kind, dtype):
    operator = laplacian(kind, dtype=dtype)
    matrix = assembled(operator, state(operator, dtype=dtype))
    assert isinstance(matrix, Assembled)
    x = state(operator, dtype=dtype)
    torch.testing.assert_close(matrix @ x, operator @ x)
    torch.testing.assert_close(matrix.T @ x, operator.T @ x)
    torch.testing.assert_close(matrix.affine(2.0, -0.5) @ x, 2 * (operator @ x) - 0.5 * x)
    torch.testing.assert_close(matrix.block_diagonal(), operator.block_diagonal())
    assert matrix.spectral_bound() == pytest.approx(operator.spectral_bound())
    assert matrix.affine(2.0, 1.0).positive_semidefinite == operator.positive_semidefinite
    assert not matrix.affine(2.0, -1.0).positive_semidefinite


def test_is_made_once_and_goes_with_the_operator():
    operator = laplacian()
    x = state(operator)
    assert assembled(operator, x) is assembled(operator, x)
    assert assembled(operator, x.float()) is not assembled(operator, x)
    assert assembled(laplacian(), x, products=3).__class__ is GraphLaplacian
    gone = weakref.ref(assembled(operator, x))
    del operator
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "rk4", "implicit_euler"])
def test_weights_changed_in_place_are_seen(solver):
    weights = torch.ones(KARATE.num_cells(1), dtype=torch.float64)
    operator = GraphLaplacian(KARATE, weights=weights)
    x = state(operator)
    td.diffuse(operator, x, 0.3, solver)
    weights.mul_(2)
    found = td.diffuse(operator, x, 0.3, solver).x
    atol = 0.1 if solver == "implicit_euler" else 1e-5
    torch.testing.assert_close(found, exact(operator, x, 0.3), atol=atol, rtol=0)
    fresh = td.diffuse(GraphLaplacian(KARATE, weights=weights), x, 0.3, solver).x
    torch.testing.assert_close(found, fresh, atol=1e-11, rtol=0)


UNCOUNTED = {
    "data": lambda w: w.data.fill_(3.0),
    "vector": lambda w: vector_to_parameters(torch.full_like(w, 3.0), [w]),
    "numpy": lambda w: w.detach().numpy().fill(3.0),
}


@pytest.mark.parametrize("change", UNCOUNTED)
@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "rk4", "implicit_euler"])
def test_changes_that_no_version_counts_are_seen(solver, change):
    """In values, and in gradients, whose expansion must reach over the spectrum of today."""
    weights = torch.nn.Parameter(torch.ones(KARATE.num_cells(1), dtype=torch.float64))
    operator = GraphLaplacian(KARATE, weights=weights)
    x = state(operator)
    td.diffuse(operator, x, 0.3, solver)
    UNCOUNTED[change](weights)
    found = td.diffuse(operator, x, 0.3, solver).x
    fresh = td.diffuse(GraphLaplacian(KARATE, weights=weights), x, 0.3, solver).x
    torch.testing.assert_close(found, fresh, atol=1e-11, rtol=0)
    grads = [torch.autograd.grad(y.square().sum(), weights)[0] for y in (found, fresh)]
    torch.testing.assert_close(*grads, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "rk4", "implicit_euler"])
def test_inference_mode(solver):
    operator = laplacian()
    x = state(operator).requires_grad_()
    with torch.inference_mode():
        before = td.diffuse(operator, x, 0.3, solver).x.clone()
        weights = torch.ones(KARATE.num_cells(1), dtype=torch.float64)
        changing = GraphLaplacian(KARATE, weights=weights)
        first = td.diffuse(changing, x, 0.3, solver).x
        weights.mul_(2)
        assert not torch.allclose(td.diffuse(changing, x, 0.3, solver).x, first)
    after = td.diffuse(operator, x, 0.3, solver).x
    torch.testing.assert_close(before, after.detach())
    (gradient,) = torch.autograd.grad(after.sum(), x)
    assert gradient.isfinite().all()


class Scaling(LinearOperator):
    """An operator without a matrix."""

    symmetric = positive_semidefinite = True

    def __init__(self):
        super().__init__((4,), (4,), torch.float64, torch.device("cpu"))

    def _apply(self, x):
        return 2 * x

    def spectral_bound(self):
        return 2.0


@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "rk4", "bdf2"])
def test_an_operator_without_a_matrix_will_do(solver):
    x = torch.randn(4, 2, dtype=torch.float64)
    options = {"preconditioner": None} if solver == "bdf2" else {}
    sol = td.diffuse(Scaling(), x, 0.5, solver, **options)
    torch.testing.assert_close(sol.x, torch.exp(torch.tensor(-1.0)) * x, atol=1e-4, rtol=0)


@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "rk4"])
def test_attributes_that_are_replaced_are_seen(solver):
    weights = torch.ones(KARATE.num_cells(1), dtype=torch.float64)
    operator = 2.0 * GraphLaplacian(KARATE, weights=weights)
    x = state(operator)

    def check():
        found = td.diffuse(operator, x, 0.02, solver).x
        torch.testing.assert_close(found, exact(operator, x, 0.02), atol=1e-5, rtol=0)

    check()
    operator.scalar = 30.0
    check()
    operator.operator = GraphLaplacian(KARATE, "symmetric", weights=weights)
    check()


class Weighted(Scaling):
    def __init__(self, weight):
        super().__init__()
        self.held = {"weight": weight}

    def _apply(self, x):
        return self.held["weight"][:, None] * x

    def _matrix(self):
        return scipy.sparse.diags(self.held["weight"].detach().numpy()).tocsr()


def test_another_tensor_in_the_place_of_one_that_is_gone():
    """Its number may be that of the old one."""
    x = torch.ones(4, 1, dtype=torch.float64)
    operator = Weighted(torch.zeros(4, dtype=torch.float64))
    for k in range(20):
        operator.held.clear()
        operator.held["weight"] = torch.full((4,), k / 10, dtype=torch.float64)
        found = td.diffuse(operator, x, 1.0).x
        torch.testing.assert_close(found, torch.full_like(x, -k / 10).exp())


def test_operators_made_in_inference_mode():
    x = torch.ones(4, 1, dtype=torch.float64)
    with torch.inference_mode():
        weight = torch.full((4,), 0.5, dtype=torch.float64)
        operator = Weighted(weight)
        for k in range(2):
            found = td.diffuse(operator, x, 1.0).x
            torch.testing.assert_close(found, torch.full_like(x, -0.5 * (1 + k)).exp())
            weight.mul_(2)
        graph = laplacian()
        for solver in ("chebyshev", "krylov", "rk4", "implicit_euler", "dopri5"):
            assert td.diffuse(graph, state(graph), 0.5, solver).status == "ok"
