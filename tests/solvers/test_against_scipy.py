"""The same problems solved by scipy."""

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
import scipy.sparse.linalg
import torch
from solver_cases import Reaction, laplacian, state

import topodiff as td
from topodiff.solvers import sign_filters

L = laplacian("combinatorial")
X = state(L)


@pytest.mark.parametrize("solver", ["chebyshev", "krylov", "dopri5", "dormand_prince"])
@pytest.mark.parametrize("t", [0.1, 4.0])
def test_expm(solver, t):
    wanted = scipy.linalg.expm(-t * L.to_dense().numpy()) @ X.numpy()
    found = td.diffuse(L, X, t, solver).x.numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-6)
    multiplied = scipy.sparse.linalg.expm_multiply(-t * L.to_scipy(), X.numpy())
    np.testing.assert_allclose(found, multiplied, atol=2e-6)


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        ("rk4", {}),
        ("adams_bashforth", {"num_steps": 400}),
        ("adams_moulton", {"num_steps": 100}),
        ("crank_nicolson", {"num_steps": 100}),
        ("bdf2", {"num_steps": 200}),
        ("imex", {"num_steps": 200}),
        ("dopri5", {}),
        ("dormand_prince", {}),
        ("bogacki_shampine", {}),
    ],
)
def test_solve_ivp_on_a_nonlinear_law(solver, options):
    law = Reaction(laplacian())
    times = [0.3, 1.0]

    def f(t, y):
        return law(None, torch.from_numpy(y).reshape(X.shape)).numpy().ravel()

    wanted = scipy.integrate.solve_ivp(
        f, (0, 1), X.numpy().ravel(), method="Radau", t_eval=times, rtol=1e-9, atol=1e-10
    )
    sol = td.diffuse(law, X, 1.0, solver, save_at=times, **options)
    assert sol.status == "ok"
    found = sol.x.reshape(2, -1).numpy().T
    np.testing.assert_allclose(found, wanted.y, atol=2e-3)


def test_sign_filters():
    operator = laplacian()
    walk = operator.identity() - operator
    x = state(operator).requires_grad_()
    found = sign_filters(walk, x, 3)
    dense = np.eye(34) - operator.to_dense().numpy()
    for k in range(4):
        wanted = np.linalg.matrix_power(dense, k) @ x.detach().numpy()
        np.testing.assert_allclose(found[k].detach().numpy(), wanted, atol=1e-12)
    found.sum().backward()
    assert x.grad.shape == x.shape
    assert torch.equal(sign_filters(walk, x, 0), x[None])
    with pytest.raises(ValueError, match="num_hops"):
        sign_filters(walk, x, -1)
    with pytest.raises(ValueError, match="shape"):
        sign_filters(walk, x[:3], 1)
