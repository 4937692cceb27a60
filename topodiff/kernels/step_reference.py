"""The vertex-wise part of a diffusion step in plain PyTorch: the oracle of the tests."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels.activations import activate, derivative

_MASK = (1 << 32) - 1


def residual(x: Tensor, z: Tensor, factor: Tensor, activation: str) -> Tensor:
    return (1 + factor[:, None]) * x - activate(z, activation)


def residual_backward(
    grad: Tensor, x: Tensor, z: Tensor, factor: Tensor, activation: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, z and factor."""
    dz = -grad * derivative(z, activation)
    return (1 + factor[:, None]) * grad, dz, (grad * x).sum((0, 2))


def _scramble(h: Tensor) -> Tensor:
    """A permutation of 32-bit numbers (Wellons, hash-prospector, "lowbias32"), held in 64 bits."""
    h = ((h ^ (h >> 16)) * 0x21F0AAAD) & _MASK
    h = ((h ^ (h >> 15)) * 0xD35A2D97) & _MASK
    return h ^ (h >> 15)


def dropout(x: Tensor, p: float, seed: int) -> Tensor:
    from topodiff.kernels.step import threshold_of

    threshold, scale = threshold_of(p)
    place = torch.arange(x.numel(), device=x.device) & _MASK
    first = _scramble(place ^ (seed & _MASK))
    random = _scramble((first + (seed >> 32 & _MASK)) & _MASK)
    return torch.where(random < threshold, 0.0, x.reshape(-1) * scale).view(x.shape)


def oscillator(
    x: Tensor, v: Tensor, z: Tensor, step: float, damping: float, control: float, activation: str
) -> tuple[Tensor, Tensor]:
    v = v + step * (activate(z, activation) - control * x - damping * v)
    return x + step * v, v


def oscillator_backward(
    of_x: Tensor, of_v: Tensor, z: Tensor, step: float, damping: float, control: float,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of x, v and z."""
    total = of_v + step * of_x
    change = step * total
    return of_x - control * change, total - damping * change, change * derivative(z, activation)


OPERATIONS = (residual, residual_backward, dropout, oscillator, oscillator_backward)
