"""Rotations from parameters: orthogonality, determinant, gradients, reach."""

import math

import pytest
import scipy.linalg
import torch

from topodiff.kernels.skew import skew
from topodiff.sheaves import Orthogonal, SpecialOrthogonal

ANY = ("cayley", "exp", "householder", "givens")
METHODS = [(m, d) for m in ANY for d in range(1, 9)] + [
    ("angle", 2), ("rodrigues", 3), ("euler", 3), ("quaternion", 3), ("quaternion", 4),
]  # fmt: skip
DTYPES = (torch.float32, torch.float64)
SCALES = (0.0, 1e-30, 1e-6, 1.0, math.pi, 30.0, 1e4, 1e9, 1e18, 1e37)


def parameters(count, dtype):
    """Of all scales in one batch; some vanish and some repeat, so that planes coincide."""
    generator = torch.Generator().manual_seed(count)
    p = torch.randn(len(SCALES), 8, count, generator=generator, dtype=torch.float64)
    p = torch.where(p.abs() < 0.3, 0.0, torch.where(p.abs() < 0.6, 1.0, p))
    return (p * torch.tensor(SCALES, dtype=torch.float64)[:, None, None]).to(dtype)


def assert_orthogonal(matrix, determinant):
    d, eps = matrix.shape[-1], torch.finfo(matrix.dtype).eps
    identity = torch.eye(d, dtype=matrix.dtype)
    torch.testing.assert_close(
        matrix.mT @ matrix, identity.expand_as(matrix), rtol=0, atol=16 * eps
    )
    found = torch.linalg.det(matrix)
    torch.testing.assert_close(found, torch.full_like(found, determinant), rtol=0, atol=32 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("method", "dim"), METHODS)
def test_determinant_and_gradient(method, dim, dtype):
    rotation = SpecialOrthogonal(dim, method)
    assert rotation.determinant == 1
    params = parameters(rotation.num_params, dtype).requires_grad_()
    matrix = rotation(params)
    assert_orthogonal(matrix.detach(), 1)
    (matrix * torch.arange(1.0, dim + 1)).sum().backward()
    assert params.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("method", "dim"), METHODS)
def test_low_precision(method, dim, dtype):
    rotation = SpecialOrthogonal(dim, method)
    largest = torch.finfo(dtype).max
    p = parameters(rotation.num_params, torch.float64)
    params = torch.cat([p, p.sign() * largest]).clamp(-largest, largest).to(dtype).requires_grad_()
    matrix = rotation(params)
    assert matrix.dtype == dtype
    torch.testing.assert_close(matrix, rotation(params.float()).to(dtype), rtol=0, atol=0)
    square = matrix.detach().double().mT @ matrix.detach().double()
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(
        square, torch.eye(dim).to(square).expand_as(square), rtol=0, atol=2 * eps
    )
    (matrix * torch.arange(1.0, dim + 1)).sum().backward()
    assert params.grad.isfinite().all()


@pytest.mark.parametrize(("method", "dim"), METHODS)
def test_autocast_changes_nothing(method, dim):
    rotation = SpecialOrthogonal(dim, method)
    params = parameters(rotation.num_params, torch.float32)
    exact = rotation(params)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rotation(params), exact)


@pytest.mark.parametrize(("method", "dim"), METHODS)
def test_zero_parameters_give_the_identity(method, dim):
    rotation = SpecialOrthogonal(dim, method)
    matrix = rotation(torch.zeros(3, 2, rotation.num_params))
    assert matrix.shape == (3, 2, dim, dim)
    assert torch.equal(matrix, torch.eye(dim).expand(3, 2, dim, dim))


@pytest.mark.parametrize(("method", "dim"), [(m, d) for m, d in METHODS if d <= 5])
def test_gradcheck(method, dim):
    rotation = SpecialOrthogonal(dim, method)
    params = torch.randn(2, rotation.num_params, dtype=torch.float64)
    params[0] = 0
    assert torch.autograd.gradcheck(rotation, params.requires_grad_())


@pytest.mark.parametrize("dim", range(2, 9))
@pytest.mark.parametrize("scale", [1e-3, 1.0, 20.0])
def test_closed_forms_agree_with_the_definitions(dim, scale):
    rows = scale * torch.randn(20, dim * (dim - 1) // 2, dtype=torch.float64)
    rows[0] = 0
    rows[0, 0] = math.pi  # a half turn in one plane
    a, one = skew(rows, dim), torch.eye(dim, dtype=torch.float64)
    torch.testing.assert_close(a, -a.mT)
    exact = torch.matrix_exp(a)
    torch.testing.assert_close(SpecialOrthogonal(dim, "exp")(rows), exact, rtol=0, atol=1e-12)
    exact = torch.linalg.solve(one - a / 2, one + a / 2)
    torch.testing.assert_close(SpecialOrthogonal(dim, "cayley")(rows), exact, rtol=0, atol=1e-12)


def test_exponential_of_a_matrix_does_not_depend_on_the_others():
    rotation = SpecialOrthogonal(6, "exp")
    small, large = torch.randn(1, 15), 500 * torch.randn(1, 15)
    torch.testing.assert_close(rotation(torch.cat([small, large]))[:1], rotation(small))


def random_rotations(dim, count, generator):
    q, r = torch.linalg.qr(torch.randn(count, dim, dim, dtype=torch.float64, generator=generator))
    q = q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    q[:, :, 0] *= torch.linalg.det(q).unsqueeze(-1)
    return q


def fit(rotation, target, starts=24):
    """Smallest distance to ``target`` found by descent from random parameters."""
    generator = torch.Generator().manual_seed(0)
    shape = (starts, rotation.num_params)
    params = torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_()
    optimiser = torch.optim.LBFGS([params], max_iter=400, line_search_fn="strong_wolfe",
                                  tolerance_grad=1e-14, tolerance_change=1e-18)  # fmt: skip

    def loss():
        optimiser.zero_grad()
        error = (rotation(params) - target).square().sum((-1, -2))
        error.sum().backward()
        return error.sum()

    optimiser.step(loss)
    return float((rotation(params.detach()) - target).square().sum((-1, -2)).min().sqrt())


@pytest.mark.parametrize(
    ("method", "dim"), [(m, d) for m, d in METHODS if 2 <= d <= 4] + [("givens", 5)]
)
def test_reaches_a_generic_rotation(method, dim):
    target = random_rotations(dim, 1, torch.Generator().manual_seed(dim))[0]
    assert fit(SpecialOrthogonal(dim, method), target) < 1e-5


def cayley_parameters(rotation):
    """Below the diagonal of ``2 (R - I) (R + I)^-1``."""
    one = torch.eye(len(rotation)).to(rotation)
    a = 2 * torch.linalg.solve(rotation + one, rotation - one, left=False)
    return a[tuple(torch.tril_indices(*a.shape, -1))]


def exponential_parameters(rotation):
    """Below the diagonal of the logarithm."""
    a = torch.from_numpy(scipy.linalg.logm(rotation.numpy()))
    return a[tuple(torch.tril_indices(*a.shape, -1))]


def reflection_parameters(matrix):
    """The first reflection has the first column of the product, the others leave it; and so on."""
    rows = []
    while len(matrix) > 1:
        v = -matrix[:, 0]
        v[0] += 1
        rows.append(v[1:] / v[0])
        matrix = (matrix - 2 * torch.outer(v, v @ matrix) / v.square().sum())[1:, 1:]
    assert float(matrix) == pytest.approx(-1)
    return torch.cat(rows)


@pytest.mark.parametrize("dim", range(2, 9))
def test_parameters_of_a_generic_rotation(dim):
    """By the inverse of each method, in any dimension; the default is one of them."""
    target = random_rotations(dim, 1, torch.Generator().manual_seed(dim))[0]
    parameters = {
        "cayley": cayley_parameters(target),
        "exp": exponential_parameters(target),
        "householder": reflection_parameters(-target),  # -I times the product of reflections
    }
    assert SpecialOrthogonal(dim).method in parameters
    for method, params in parameters.items():
        found = SpecialOrthogonal(dim, method)(params)
        torch.testing.assert_close(found, target, rtol=0, atol=1e-9)
    target[:, 0] *= (-1) ** dim
    found = Orthogonal(dim, "householder")(reflection_parameters(target))
    torch.testing.assert_close(found, target, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("method", "dim"), [(m, d) for m, d in METHODS if m != "householder"])
def test_other_methods_give_rotations_alone(method, dim):
    rotation = Orthogonal(dim, method)
    params = torch.randn(4, rotation.num_params)
    assert rotation.determinant == 1
    assert torch.equal(rotation(params), SpecialOrthogonal(dim, method)(params))


HALF_TURNS = {2: [-1.0, -1.0], 3: [-1.0, -1.0, 1.0], 4: [-1.0, -1.0, -1.0, -1.0]}


@pytest.mark.parametrize(
    ("method", "dim"), [(m, d) for m, d in METHODS if 2 <= d <= 4 and m not in ANY[::2]]
)
def test_reaches_half_turns(method, dim):
    target = torch.diag(torch.tensor(HALF_TURNS[dim], dtype=torch.float64))
    assert fit(SpecialOrthogonal(dim, method), target) < 1e-4


@pytest.mark.parametrize("method", ["cayley", "householder"])
def test_the_half_turn_of_the_plane_is_a_limit(method):
    """What both miss: ``-I``, approached as the parameter grows."""
    params = torch.tensor([[1e1], [1e3], [1e5]], dtype=torch.float64)
    error = (SpecialOrthogonal(2, method)(params) + torch.eye(2)).norm(dim=(1, 2))
    torch.testing.assert_close(
        error[:-1] / error[1:], torch.full((2,), 100.0).double(), rtol=0.02, atol=0
    )


@pytest.mark.parametrize("dim", range(3, 8))
def test_half_turns_are_a_limit_of_cayley(dim):
    """By any axes: -1 twice among the eigenvalues, approached as parameters grow."""
    generator = torch.Generator().manual_seed(dim)
    basis = random_rotations(dim, 1, generator)[0]
    turn = torch.zeros(dim, dim, dtype=torch.float64)
    turn[1, 0], turn[0, 1] = 1, -1
    half_turn = torch.ones(dim, dtype=torch.float64)
    half_turn[:2] = -1
    target = basis @ half_turn.diag() @ basis.T
    below = tuple(torch.tril_indices(dim, dim, -1))
    direction = (basis @ turn @ basis.T)[below]
    params = torch.tensor([[1e1], [1e3], [1e5]], dtype=torch.float64) * direction
    error = (SpecialOrthogonal(dim, "cayley")(params) - target).norm(dim=(1, 2))
    torch.testing.assert_close(
        error[:-1] / error[1:], torch.full((2,), 100.0).double(), rtol=0.05, atol=0
    )


@pytest.mark.parametrize("dim", range(1, 9))
def test_product_of_reflections(dim):
    """The published product of d reflections: -I at zero, determinant (-1)^d."""
    rotation = Orthogonal(dim)
    assert rotation.determinant == (-1) ** dim
    assert torch.equal(rotation(torch.zeros(1, rotation.num_params))[0], -torch.eye(dim))
    params = torch.randn(4, rotation.num_params, dtype=torch.float64)
    assert_orthogonal(rotation(parameters(rotation.num_params, torch.float32)), (-1) ** dim)
    product, start = torch.eye(dim, dtype=torch.float64).repeat(4, 1, 1), 0
    for i in range(dim):
        v = torch.zeros(4, dim, dtype=torch.float64)
        v[:, i] = 1
        v[:, i + 1 :] = params[:, start : start + dim - i - 1]
        start += dim - i - 1
        outer = v[:, :, None] * v[:, None, :] / v.square().sum(1)[:, None, None]
        product = product @ (torch.eye(dim, dtype=torch.float64) - 2 * outer)
    torch.testing.assert_close(rotation(params), product)


def test_quaternion_at_its_one_singular_point():
    params = torch.tensor([[-1.0, 0, 0, 0]], requires_grad=True)
    matrix = SpecialOrthogonal(3, "quaternion")(params)
    assert torch.equal(matrix[0], torch.eye(3))
    matrix.sum().backward()
    assert params.grad.isfinite().all()


@pytest.mark.parametrize("dim", [0, -1, 2.0, True, None])
def test_wrong_dimension(dim):
    with pytest.raises(ValueError, match="dim must be"):
        SpecialOrthogonal(dim)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="method must be one of"):
        SpecialOrthogonal(3, "magic")
    with pytest.raises(ValueError, match=r"exists for d = \(3,\) only, got d = 4"):
        SpecialOrthogonal(4, "rodrigues")
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 3\)"):
        SpecialOrthogonal(3)(torch.zeros(5, 4))
    with pytest.raises(TypeError, match="floating-point"):
        SpecialOrthogonal(3)(torch.zeros(5, 3, dtype=torch.long))


def test_empty_batch():
    for method, dim in METHODS:
        rotation = SpecialOrthogonal(dim, method)
        assert rotation(torch.zeros(0, rotation.num_params)).shape == (0, dim, dim)


@pytest.mark.parametrize(("method", "dim"), [(m, d) for m, d in METHODS if d > 1])
def test_not_a_number_stays_in_its_row(method, dim):
    rotation = SpecialOrthogonal(dim, method)
    params = torch.randn(3, rotation.num_params)
    params[1, 0] = torch.nan
    matrix = rotation(params)
    assert matrix[1].isnan().any()
    assert_orthogonal(matrix[[0, 2]], 1)
