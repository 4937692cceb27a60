"""Residual with activation, the oscillator, and dropout: all implementations alike, and lawful."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import IMPLEMENTATIONS, implementation

from topodiff import kernels
from topodiff.dynamics import ControlledOscillator
from topodiff.kernels.activations import ACTIVATIONS, activate
from topodiff.solvers.symplectic import SymplecticEuler

EACH = pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")


@EACH
@pytest.mark.parametrize("shape", [(7, 3, 20), (0, 2, 3), (600, 1, 1), (300, 5, 33), (2, 1, 16)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_residual(which, shape, activation):
    g = torch.Generator().manual_seed(0)
    x, z = (torch.randn(shape, generator=g, dtype=torch.float64) * 3 for _ in range(2))
    factor = torch.randn(shape[1], generator=g, dtype=torch.float64)
    inputs = [t.requires_grad_() for t in (x, z, factor)]
    expected = (1 + factor[:, None]) * x - activate(z, activation)
    seed = torch.randn(shape, generator=g, dtype=torch.float64)
    wanted = torch.autograd.grad(expected, inputs, seed)
    with implementation(*which):
        found = kernels.residual(*inputs, activation)
        torch.testing.assert_close(found, expected)
        for a, b in zip(torch.autograd.grad(found, inputs, seed), wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        single = kernels.residual(*(t.float() for t in inputs), activation)
    torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=1e-5)


@EACH
def test_derivatives_of_gradients_of_the_residual(which):
    inputs = [torch.randn(s, dtype=torch.float64) for s in ((3, 2, 2), (3, 2, 2), (2,))]
    inputs = [t.requires_grad_() for t in inputs]
    with implementation(*which):
        assert torch.autograd.gradcheck(kernels.residual, inputs)
        assert torch.autograd.gradgradcheck(kernels.residual, inputs)


@EACH
@pytest.mark.parametrize("shape", [(7, 20), (0, 3), (600, 33), (1,)])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_oscillator(which, shape, activation):
    g = torch.Generator().manual_seed(0)
    inputs = [torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(3)]
    x, v, z = (t.requires_grad_() for t in inputs)
    law = ControlledOscillator(
        lambda t, x: z, alpha=0.3, gamma=1.7, activation=lambda y: activate(y, activation)
    )
    stepped, _, _ = SymplecticEuler(law).step(0.0, 0.7, torch.stack([x, v]), ())
    expected = tuple(stepped.unbind(0))
    seeds = [torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(2)]
    wanted = torch.autograd.grad(expected, inputs, seeds)

    def run(*inputs):
        return kernels.oscillator(*inputs, 0.7, 0.3, 1.7, activation)

    with implementation(*which):
        found = run(*inputs)
        torch.testing.assert_close(found, expected)
        gradients = torch.autograd.grad(found, inputs, seeds)
        single = run(*(t.float() for t in inputs))
        if shape == (1,):
            assert torch.autograd.gradcheck(run, inputs)
            assert torch.autograd.gradgradcheck(run, inputs)
    torch.testing.assert_close(gradients, wanted, rtol=1e-9, atol=1e-9)
    for a, b in zip(single, expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5)


@EACH
def test_residual_keeps_nan(which):
    x = torch.full((1, 1, 5), float("nan"))
    with implementation(*which):
        for activation in ACTIVATIONS:
            zero = torch.zeros_like(x)
            assert kernels.residual(zero, x, torch.zeros(1), activation).isnan().all()


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_is_the_same_everywhere_and_its_own_gradient(which, dtype):
    x = torch.randn(33, 7, 5, dtype=dtype).requires_grad_()
    with implementation("reference"):
        expected = kernels.dropout(x, 0.3, seed=2**40 + 17)
    with implementation(*which):
        found = kernels.dropout(x, 0.3, seed=2**40 + 17)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
        (gradient,) = torch.autograd.grad(found, x, torch.ones_like(x))
    kept = (found != 0).to(dtype)
    torch.testing.assert_close(gradient, kept / 0.7)
    torch.testing.assert_close(found, x * kept / 0.7)


@EACH
@pytest.mark.parametrize("p", [0.02, 0.5, 0.7276])
def test_dropout_has_the_law_that_it_says(which, p):
    n = 200_000
    with implementation(*which):
        draws = [kernels.dropout(torch.ones(n), p, seed=s) != 0 for s in (0, 1, 2**33, 12345)]
    spread = 5 * (p * (1 - p) / n) ** 0.5
    for kept in draws:
        assert abs(float(kept.double().mean()) - (1 - p)) < spread
        for lag in (1, 2, 3, 64):
            both = (kept[:-lag] & kept[lag:]).double().mean()
            assert abs(float(both) - (1 - p) ** 2) < 2 * spread
    for other in draws[1:]:
        both = (draws[0] & other).double().mean()
        assert abs(float(both) - (1 - p) ** 2) < 2 * spread


def test_dropout_follows_the_seed_of_torch():
    x = torch.ones(1000)
    torch.manual_seed(3)
    first, second = kernels.dropout(x, 0.5), kernels.dropout(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(kernels.dropout(x, 0.5), first)
    assert not torch.equal(first, second)
    assert torch.equal(kernels.dropout(x, 0.0), x)


def test_wrong_arguments():
    x = torch.ones(4, 2, 3)
    for z, factor in ((x[:3], torch.ones(2)), (x, torch.ones(3)), (x, torch.ones(2, 1))):
        with pytest.raises(ValueError, match="must share a shape"):
            kernels.residual(x, z, factor)
    with pytest.raises(TypeError, match="must share a dtype"):
        kernels.residual(x, x.double(), torch.ones(2))
    with pytest.raises(ValueError, match="activation must be one of"):
        kernels.residual(x, x, torch.ones(2), "gelu")
    with pytest.raises(ValueError, match="must share a shape"):
        kernels.oscillator(x, x[:3], x, 1.0)
    with pytest.raises(TypeError, match="must share a dtype"):
        kernels.oscillator(x, x, x.double(), 1.0)
    for p in (-0.1, 1.0):
        with pytest.raises(ValueError, match="p must lie in"):
            kernels.dropout(x, p)
    with pytest.raises(TypeError, match="floating point"):
        kernels.dropout(torch.ones(3, dtype=torch.long), 0.5)
