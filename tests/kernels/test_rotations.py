"""Orthogonal matrices from parameters: against their definitions, derivatives, contracts."""

from __future__ import annotations

import math

import pytest
import torch
from kernel_cases import COMPILED, IMPLEMENTATIONS, implementation
from torch import Tensor

from topodiff import kernels
from topodiff.kernels import quaternions, rotations
from topodiff.kernels.skew import num_entries, skew
from topodiff.testing import assert_compiles

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]
MAPS = {"cayley": kernels.cayley, "reflections": kernels.reflections, "rotation": kernels.rotation}
EVERY = {**MAPS, "exponential": rotations.exponential}
CASES = [(name, d) for name in MAPS for d in (*range(2, 9), 13, 17)]
CASES += [("exponential", 3), ("exponential", 4)]
SIZES = [0, 1, 7, 16, 35]


def parameters(n: int, d: int, dtype: torch.dtype = torch.float64, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(n + d)
    shape = n, num_entries(d)
    return (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


def exact(name: str, params: Tensor, d: int) -> Tensor:
    """The definition, in float64."""
    params = params.double()
    one = torch.eye(d, dtype=torch.float64).expand(len(params), d, d)
    if name == "exponential":
        return torch.matrix_exp(skew(params, d))
    if name == "cayley":
        a = skew(params, d)
        return torch.linalg.solve(one - a / 2, one + a / 2)
    product = one
    for i, p in enumerate(params.split(list(range(d - 1, -1, -1)), 1)):
        v = torch.cat([p.new_zeros(len(p), i), p.new_ones(len(p), 1), p], 1)
        square = v.square().sum(1)[:, None, None]
        product = product - 2 * product @ (v[:, :, None] * v[:, None, :]) / square
    return product if name == "reflections" else -product


def values_and_gradient(function, params: Tensor, d: int) -> tuple[Tensor, Tensor]:
    params = params.detach().requires_grad_()
    out = function(params, d)
    seed = torch.arange(out.numel(), dtype=torch.float64).reshape(out.shape).sin()
    return out.detach(), torch.autograd.grad(out, params, seed.to(out.dtype))[0]


@pytest.mark.parametrize("which", [("reference", None), *IMPLEMENTATIONS], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "d"), CASES)
def test_equals_the_definition(which, dtype, name, d):
    for n in SIZES:
        params = parameters(n, d, dtype)
        with implementation(*which):
            found = values_and_gradient(EVERY[name], params, d)
        expected = values_and_gradient(lambda p, d: exact(name, p, d), params.double(), d)
        tolerance = 1e-4 if dtype is torch.float32 else 1e-11
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("which", [("reference", None), *IMPLEMENTATIONS], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "d"), CASES)
def test_orthogonal_with_finite_gradients_at_every_scale(which, dtype, name, d):
    scales = torch.tensor([0, 1e-30, 1e-6, 1, 30, 1e4, 1e9, 1e18, 1e37], dtype=dtype)
    params = (parameters(9, d, dtype).clamp(-8, 8) * scales[:, None]).requires_grad_()
    with implementation(*which):
        found = EVERY[name](params, d)
        (found * torch.arange(1.0, d + 1)).sum().backward()
    one = torch.eye(d, dtype=dtype).expand(9, d, d)
    tolerance = 2 * d * torch.finfo(dtype).eps
    torch.testing.assert_close(found.mT @ found, one, rtol=0, atol=max(8, d) * tolerance)
    sign = (-1.0) ** d if name == "reflections" else 1.0
    determinant = torch.linalg.det(found.detach())
    torch.testing.assert_close(
        determinant, torch.full_like(determinant, sign), rtol=0, atol=8 * tolerance
    )
    assert params.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("map_name", "d"), [c for c in CASES if c[1] <= 5])
def test_first_and_second_derivatives(name, map_name, d):
    params = parameters(3, d)
    params[0] = 0
    params[1, 0] = math.pi
    params.requires_grad_()
    with implementation(name):
        assert torch.autograd.gradcheck(lambda p: EVERY[map_name](p, d), [params])
        assert torch.autograd.gradgradcheck(lambda p: EVERY[map_name](p, d), [params])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [3, 6])
def test_operators_of_the_library(name, d):
    params = parameters(4, d).requires_grad_()
    inner, grad = params.detach(), torch.randn(4, d, d, dtype=torch.float64)
    with implementation(name):
        torch.library.opcheck(rotations._householder.overload, (params, d, True))
        torch.library.opcheck(rotations._cayley.overload, (params, d))
        torch.library.opcheck(rotations._householder_backward.overload, (grad, inner, d, False))
        if d == 3:
            torch.library.opcheck(rotations._exponential.overload, (params, d))
            torch.library.opcheck(rotations._exponential_backward.overload, (grad, inner, d))
        matrix = kernels.cayley(inner, d)
        torch.library.opcheck(rotations._cayley_backward.overload, (grad, matrix, inner))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("map_name", EVERY)
def test_any_leading_dimensions_and_strides(name, map_name):
    function, d = EVERY[map_name], 3
    params = torch.randn(4, 5, 6, dtype=torch.float64)
    with implementation(name):
        plain = function(params[:, :, ::2].contiguous(), d)
        assert plain.shape == (4, 5, 3, 3)
        torch.testing.assert_close(function(params[:, :, ::2], d), plain)
        torch.testing.assert_close(function(params[1, 2, ::2], d), plain[1, 2])
        strided, grad = params[:, :, ::2].detach().requires_grad_(), torch.randn(3, 3, 5, 4)
        function(strided, d).backward(grad.permute(3, 2, 0, 1).double())
        copy = params[:, :, ::2].contiguous().requires_grad_()
        function(copy, d).backward(grad.permute(3, 2, 0, 1).contiguous().double())
        torch.testing.assert_close(strided.grad, copy.grad)
        assert function(params[:0, :, ::2], d).shape == (0, 5, 3, 3)


@pytest.mark.skipif(not COMPILED, reason="no compiled kernels")
@pytest.mark.parametrize("map_name", EVERY)
def test_same_bits_on_any_number_of_threads(map_name):
    params = parameters(20_011, 3, torch.float32)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(values_and_gradient(EVERY[map_name], params, 3))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("map_name", EVERY)
def test_not_a_number_stays_in_its_row(name, map_name):
    d = 4 if map_name == "exponential" else 6
    params = parameters(40, d)
    params[7, 3] = torch.nan
    with implementation(name):
        out, grad = values_and_gradient(EVERY[map_name], params, d)
    others = torch.arange(40) != 7
    assert out[7].isnan().any()
    assert out[others].isfinite().all()
    assert grad[others].isfinite().all()


def test_compiles_without_graph_breaks():
    params = parameters(5, 4).requires_grad_()

    def loss(p: Tensor) -> Tensor:
        return kernels.rotation(p, 4).sin().sum() + kernels.cayley(p, 4).cos().sum()

    assert_compiles(loss, params)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [3, 4])
def test_exponential_of_small_and_large_angles(name, d):
    """Through the thresholds of the series, up to where parameters are clamped."""
    sizes = torch.logspace(-9, 2.99, 300, dtype=torch.float64)
    direction = torch.nn.functional.normalize(parameters(300, d), dim=1)
    params = sizes[:, None] * direction
    seed = torch.arange(d * d, dtype=torch.float64).reshape(d, d).sin()
    with implementation(name):
        leaf = params.clone().requires_grad_()
        found = rotations.exponential(leaf, d)
        (gradient,) = torch.autograd.grad((found * seed).sum(), leaf)
    leaf = params.clone().requires_grad_()
    expected = exact("exponential", leaf, d)
    (expected_gradient,) = torch.autograd.grad((expected * seed).sum(), leaf)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-9, atol=1e-9)


def test_mistakes_are_reported():
    with pytest.raises(ValueError, match="exists for d = 3 and d = 4, got d = 5"):
        rotations.exponential(torch.zeros(2, 10), 5)
    for function in MAPS.values():
        with pytest.raises(ValueError, match=r"for d = 3 >= 2, got \(5, 4\)"):
            function(torch.zeros(5, 4), 3)
        with pytest.raises(ValueError, match=r"for d = 1 >= 2"):
            function(torch.zeros(5, 0), 1)
        with pytest.raises(TypeError, match="params must be floating point"):
            function(torch.zeros(5, 3, dtype=torch.long), 3)


@pytest.mark.parametrize("which", [("reference", None), *IMPLEMENTATIONS], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("name", "d"), CASES)
def test_low_precision_is_computed_in_float32(which, dtype, name, d):
    params = parameters(7, d, dtype, scale=100.0)
    with implementation(*which):
        found = values_and_gradient(EVERY[name], params, d)
        expected = values_and_gradient(lambda p, d: EVERY[name](p, d).to(dtype), params.float(), d)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b.to(dtype))


@pytest.mark.parametrize("angle", [0.0, 1e-3, 9.9e-3, 1.01e-2, 1.0])
def test_exponential_of_a_quaternion_around_its_series(angle):
    v = torch.tensor([0.0, angle, 0.0], dtype=torch.float64, requires_grad=True)
    q = quaternions.exponential(v)
    wanted = torch.tensor([math.cos(angle), 0, math.sin(angle), 0], dtype=torch.float64)
    torch.testing.assert_close(q.detach(), wanted, rtol=0, atol=3e-16)
    for entry, slope in ((0, -math.sin(angle)), (2, math.cos(angle))):
        (grad,) = torch.autograd.grad(q[entry], v, retain_graph=True)
        assert float(grad[1]) == pytest.approx(slope, rel=1e-14, abs=0)
