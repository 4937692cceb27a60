"""Heat kernels of symmetric operators that are not known to be semidefinite."""

import networkx as nx
import pytest
import torch
from solver_cases import KARATE, SMALL, exact, graph, laplacian, random_weights, state

import topodiff as td
from topodiff.dynamics import AttentionDiffusion, Entries, EntryOperator, adjacency
from topodiff.operators import Dirac, GraphLaplacian
from topodiff.solvers.lanczos import lower_end

SOLVERS = ("auto", "chebyshev", "krylov")


def operators():
    A, L = adjacency(KARATE, torch.float64), laplacian("combinatorial")
    return {
        "I - A": A.identity() - A,
        "2 I - A": 2.0 * A.identity() - A,
        "-L": -1.0 * L,
        "L - I": L - L.identity(),
        "Dirac": Dirac(KARATE),
    }


@pytest.mark.parametrize("name", operators())
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("t", [0.5, 8.0])
def test_error_over_the_growth(name, solver, t):
    operator = operators()[name]
    x = state(operator)
    sol = td.diffuse(operator, x, t, solver)
    wanted = exact(operator, x, t)
    assert sol.status == "ok"
    error = float((sol.x - wanted).norm())
    assert error <= 2e-11 * max(float(x.norm()), float(wanted.norm()))
    assert error <= (sol.stats.error_bound + 1e-12) * max(float(x.norm()), float(wanted.norm()))


@pytest.mark.parametrize("solver", SOLVERS)
def test_attention_that_is_symmetric(solver):
    entries = Entries.from_complex(graph(nx.cycle_graph(8)), True)
    matrix = EntryOperator(entries, torch.full((entries.nnz,), 1 / 3), symmetric=True)
    law = AttentionDiffusion.from_matrix(matrix)
    sol = td.diffuse(law, torch.eye(8), 10.0, solver)
    wanted = torch.linalg.matrix_exp(-10 * (torch.eye(8) - matrix.to_dense()))
    assert sol.status == "ok"
    torch.testing.assert_close(sol.x, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("solver", SOLVERS)
def test_gradients(solver):
    weights = random_weights().requires_grad_()
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    target = torch.randn(5, 2, dtype=torch.float64)

    def loss(flow, t=8.0):
        L = GraphLaplacian(SMALL, "symmetric", weights=weights)
        A = L.identity() - L
        return (flow(A.identity() - A, x, t) * target).sum()

    found = loss(lambda *args: td.diffuse(*args, solver).x)
    grads = (torch.autograd.grad(y, (weights, x)) for y in (found, loss(exact)))
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, atol=1e-8, rtol=1e-7)


class Crowded(td.operators.LinearOperator):
    """Eigenvalues on [0, 1] that crowd at 0, where Lanczos's process is slow to find them."""

    symmetric = True

    def __init__(self, weight):
        super().__init__(weight.shape, weight.shape, weight.dtype, weight.device)
        self.weight = weight

    def _apply(self, x):
        return self.weight[:, None] * x

    def _absolute(self):
        return self


def test_rounding_that_swallows_the_answer_is_no_success():
    weight = torch.linspace(0, 1, 4000, dtype=torch.float64).square().requires_grad_()
    operator, x = Crowded(weight), torch.ones(4000, 1, dtype=torch.float64)
    sol = td.diffuse(operator, x, 1e6, "chebyshev")
    assert sol.status == "no_convergence"
    exact = torch.exp(-1e6 * weight)[:, None]
    error = float((sol.x - exact).detach().norm() / x.norm())
    assert 1e-9 < error <= sol.stats.error_bound
    found = td.diffuse(operator, x, 1e6, "krylov", max_iterations=50)
    with pytest.warns(UserWarning, match="gradients are inexact"):
        found.x.sum().backward()


@pytest.mark.parametrize("n", [30, 300, 1000])
@pytest.mark.parametrize("make", [nx.path_graph, nx.cycle_graph, nx.star_graph])
def test_the_lower_end(n, make):
    K = graph(make(n))
    A = adjacency(K, torch.float64)
    for operator in (A.identity() - A, -1.0 * laplacian("combinatorial", K)):
        smallest = float(torch.linalg.eigvalsh(operator.to_dense())[0])
        for t in (1.0, 1000.0):
            found, bound = lower_end(operator, t)
            assert bound <= smallest + 1e-9
            assert smallest <= found + 1e-9
            assert found - bound <= max(1 / t, 1e-9)
