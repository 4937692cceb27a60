"""Linear systems: solutions, statuses, preconditioners, gradients."""

import networkx as nx
import pytest
import torch
from solver_cases import KARATE, SMALL, laplacian, random_weights, sheaf_laplacian, state

import topodiff as td
from topodiff.operators import BlockDiagonal, Dirac, GraphLaplacian
from topodiff.solvers import linear_solve
from topodiff.solvers.krylov import BlockJacobi, Chebyshev, LinearSystem


def shifted(operator, c=1.0):
    return operator.identity() + c * operator


def definite(dtype=torch.float64):
    return shifted(laplacian("combinatorial", dtype=dtype), 3.0)


CASES = {
    "cg": lambda dtype: definite(dtype),
    "minres": lambda dtype: shifted(laplacian("combinatorial", dtype=dtype), -0.31),
    "gmres": lambda dtype: shifted(laplacian("random_walk", dtype=dtype), 3.0),
}


@pytest.mark.parametrize("method", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [(), (1,), (5,), (2, 3)])
def test_agrees_with_dense(method, dtype, channels):
    operator = CASES[method](dtype)
    b = torch.randn(34, *channels, dtype=dtype)
    for name in (method, "auto", "gmres"):
        found = linear_solve(operator, b, method=name)
        assert found.status == "converged"
        assert 0 < found.iterations <= found.products
        tol = 1e-3 if dtype == torch.float32 else 1e-9
        residual = operator @ found.x - b
        assert float(residual.norm()) <= tol * float(b.norm())


def test_channels_of_very_different_size():
    b = state(definite(), 4) * torch.tensor([1e-12, 1.0, 1e12, 0.0])
    for method in ("cg", "minres", "gmres"):
        found = linear_solve(definite(), b, method=method)
        wanted = torch.linalg.solve(definite().to_dense(), b)
        for k in range(4):
            torch.testing.assert_close(found.x[:, k], wanted[:, k], rtol=1e-8, atol=0)


@pytest.mark.parametrize("method", ["cg", "minres", "gmres"])
@pytest.mark.parametrize("preconditioner", [None, "jacobi", "chebyshev"])
def test_preconditioners_change_the_work_alone(method, preconditioner):
    weights = 10 ** (4 * torch.rand(KARATE.num_cells(1), dtype=torch.float64))
    operator = shifted(GraphLaplacian(KARATE, weights=weights))
    b = state(operator)
    found = linear_solve(operator, b, method=method, preconditioner=preconditioner, tol=1e-12)
    assert found.status == "converged"
    wanted = torch.linalg.solve(operator.to_dense(), b)
    torch.testing.assert_close(found.x, wanted, rtol=1e-5, atol=1e-7)


def test_jacobi_helps_where_weights_differ():
    weights = 10 ** (4 * torch.rand(KARATE.num_cells(1), dtype=torch.float64))
    operator = shifted(GraphLaplacian(KARATE, weights=weights))
    b = state(operator)
    plain, jacobi, chebyshev = (
        linear_solve(operator, b, preconditioner=p) for p in (None, "jacobi", "chebyshev")
    )
    assert jacobi.iterations < plain.iterations
    assert chebyshev.iterations < plain.iterations
    assert chebyshev.products > chebyshev.iterations * 4


def test_block_jacobi_on_stalks():
    maps = torch.randn(8, 3, 3, dtype=torch.float64) * torch.logspace(-1, 1, 8)[:, None, None]
    operator = shifted(sheaf_laplacian(maps))
    b = state(operator)
    found = linear_solve(operator, b, preconditioner="jacobi")
    assert found.status == "converged"
    wanted = torch.linalg.solve(operator.to_dense(), b.reshape(15, -1)).reshape(b.shape)
    torch.testing.assert_close(found.x, wanted)
    # the preconditioner alone inverts an operator that is block diagonal
    blocks = torch.randn(4, 3, 3, dtype=torch.float64)
    diagonal = BlockDiagonal(blocks @ blocks.mT + torch.eye(3), (4, 3), torch.float64)
    r = torch.randn(4, 3, 2, dtype=torch.float64)
    inverse = BlockJacobi(diagonal, torch.float64)((diagonal @ r).reshape(12, 2))
    torch.testing.assert_close(inverse.reshape(r.shape), r)


def test_singular_blocks_are_left_alone():
    diagonal = torch.tensor([2.0, 0.0, 4.0], dtype=torch.float64)
    inverse = BlockJacobi(BlockDiagonal(diagonal, (3,), torch.float64), torch.float64)
    torch.testing.assert_close(
        inverse(torch.ones(3, 1).double())[:, 0], torch.tensor([0.5, 1, 0.25]).double()
    )


@pytest.mark.parametrize("method", ["cg", "minres"])
def test_operator_that_is_not_symmetric_is_refused(method):
    with pytest.raises(ValueError, match=r"not known to be one .*gmres"):
        linear_solve(laplacian("random_walk"), torch.ones(34).double(), method=method)


def test_indefinite_operator_is_a_status_of_cg():
    operator = shifted(laplacian("combinatorial"), -0.5)
    assert linear_solve(operator, state(operator), method="cg").status == "indefinite"


@pytest.mark.parametrize("method", ["cg", "minres", "gmres"])
def test_singular_system_without_solution_is_a_status(method):
    """The right side has a part in the kernel, which nothing can reach."""
    operator = laplacian("combinatorial")
    found = linear_solve(operator, torch.ones(34, 1).double(), method=method, preconditioner=None)
    assert found.status != "converged"
    assert found.iterations <= 1000


@pytest.mark.parametrize("method", ["cg", "minres", "gmres"])
def test_singular_system_with_a_solution(method):
    operator = laplacian("combinatorial")
    b = operator @ state(operator)
    found = linear_solve(operator, b, method=method, preconditioner=None)
    torch.testing.assert_close(operator @ found.x, b)


@pytest.mark.parametrize("method", ["cg", "minres", "gmres"])
def test_iterations_run_out(method):
    operator = shifted(laplacian("combinatorial"), 1e4)
    found = linear_solve(operator, state(operator), method=method, max_iterations=3)
    assert found.status == "max_iterations"
    assert found.iterations == 3
    assert found.residual > 1e-10


@pytest.mark.parametrize("method", ["cg", "minres", "gmres"])
def test_numbers_that_are_not_finite_are_a_status(method):
    b = torch.ones(34, 1).double()
    b[3] = torch.nan
    assert linear_solve(definite(), b, method=method).status == "not_finite"


@pytest.mark.parametrize("method", ["cg", "minres", "gmres"])
def test_zero_right_side_and_exact_guess(method):
    zero = linear_solve(definite(), torch.zeros(34, 2).double(), method=method)
    assert zero.status == "converged"
    assert not bool(zero.x.any())
    x = state(definite())
    found = linear_solve(definite(), definite() @ x, method=method, guess=x)
    assert found.iterations <= 1


def test_dirac_is_indefinite_and_solved_by_minres():
    operator = Dirac(KARATE).identity() + 0.5 * Dirac(KARATE)
    found = linear_solve(operator, state(operator).to(torch.float64))
    assert found.status == "converged"
    torch.testing.assert_close(operator @ found.x, state(operator))


@pytest.mark.parametrize("method", ["cg", "minres", "gmres"])
def test_gradients(method):
    b = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    weights = random_weights().requires_grad_()

    def solve(b, weights):
        operator = shifted(GraphLaplacian(SMALL, weights=weights), 2.0)
        return linear_solve(operator, b, method=method).x

    assert torch.autograd.gradcheck(solve, (b, weights))


def test_gradients_of_a_matrix_that_is_not_symmetric():
    b = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    weights = random_weights().requires_grad_()

    def solve(b, weights):
        return linear_solve(shifted(GraphLaplacian(SMALL, "random_walk", weights=weights)), b).x

    assert torch.autograd.gradcheck(solve, (b, weights))


def test_backward_that_does_not_converge_warns():
    operator = shifted(laplacian("combinatorial"), 1e4)
    b = state(operator).requires_grad_()
    found = linear_solve(operator, b, max_iterations=3)
    with pytest.warns(UserWarning, match="gradients are inexact"):
        found.x.sum().backward()


def test_bad_arguments():
    b = torch.ones(34, 1).double()
    with pytest.raises(ValueError, match="method must be auto, cg"):
        linear_solve(definite(), b, method="lu")
    with pytest.raises(ValueError, match="preconditioner must be"):
        linear_solve(definite(), b, preconditioner="ilu")
    with pytest.raises(ValueError, match="tol must be positive"):
        linear_solve(definite(), b, tol=0.0)
    with pytest.raises(ValueError, match=r"shape \(34, \*channels\)"):
        linear_solve(definite(), torch.ones(33, 1).double())
    with pytest.raises(ValueError, match="symmetric"):
        Chebyshev(laplacian("random_walk"))
    with pytest.raises(ValueError, match="lower"):
        Chebyshev(definite(), lower=0.0)
    with pytest.raises(ValueError, match="not square"):
        LinearSystem(Dirac(KARATE).coboundaries[0], torch.float64)


@pytest.mark.parametrize("method", ["cg", "minres", "gmres"])
@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        (torch.float32, 1e-25),
        (torch.float32, 1e25),
        (torch.float64, 1e-200),
        (torch.float64, 1e200),
    ],
)
def test_squares_that_underflow_or_overflow(method, dtype, size):
    operator = definite(dtype)
    b = state(operator, dtype=dtype).requires_grad_()
    wanted = linear_solve(operator, b, method=method)
    found = linear_solve(operator, b * size, method=method)
    assert found.status == "converged"
    torch.testing.assert_close(found.x / size, wanted.x, rtol=1e-4, atol=1e-4)
    (small,) = torch.autograd.grad(found.x.sum(), b)
    (plain,) = torch.autograd.grad(wanted.x.sum(), b)
    torch.testing.assert_close(small / size, plain, rtol=1e-4, atol=1e-4)


def test_the_guess_must_be_like_the_right_side():
    b = state(definite(), 2)
    with pytest.raises(TypeError, match=r"guess must be a tensor of torch\.float64"):
        linear_solve(definite(), b, guess=b.float())
    with pytest.raises(TypeError, match="got ndarray"):
        linear_solve(definite(), b, guess=b.numpy())
    with pytest.raises(ValueError, match=r"guess must have the shape \(34, 2\)"):
        linear_solve(definite(), b, guess=b.T)
    with pytest.raises(TypeError, match="floating-point tensor"):
        linear_solve(definite(), b.long())


@pytest.mark.parametrize("method", CASES)
def test_a_channel_of_zeros_with_a_guess_that_is_not(method):
    operator = CASES[method](torch.float64)
    b = state(operator)
    b[:, 1] = 0
    found = linear_solve(operator, b, method=method, guess=state(operator, seed=1))
    assert found.status == "converged"
    assert not bool(found.x[:, 1].any())
    wanted = torch.linalg.solve(operator.to_dense(), b)
    torch.testing.assert_close(found.x, wanted, rtol=1e-7, atol=1e-9)


def test_a_flow_into_zero_is_no_indefinite_system():
    path = td.from_networkx(nx.path_graph(200))
    rest = td.dynamics.AttractorEnergy(torch.zeros(200, 1, dtype=torch.float64))
    law = td.dynamics.GradientFlow(td.dynamics.DirichletEnergy(path) + rest)
    x = torch.randn(200, 1, dtype=torch.float64)
    sol = td.diffuse(law, x, 3.0, "imex", order=1, step_size=1.0)
    assert sol.status == "ok"
    assert float(sol.x.norm()) == 0.0
