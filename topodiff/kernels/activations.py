"""Activations that kernels can fuse, with first derivatives; plain PyTorch, differentiable."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

ACTIVATIONS = ("identity", "relu", "elu", "silu", "tanh")
SQUASHES = ("softmax", "squareplus", "shifted_squareplus")


def activate(z: Tensor, name: str) -> Tensor:
    """``act(z)`` for one of :data:`ACTIVATIONS`."""
    if name == "identity":
        return z
    if name == "relu":
        return z.relu()
    if name == "elu":
        return functional.elu(z)
    if name == "silu":
        return functional.silu(z)
    return z.tanh()


def squareplus(z: Tensor) -> Tensor:
    """``(z + sqrt(z^2 + 4)) / 2 > 0`` (Barron, Squareplus, 2021), exact to rounding."""
    low = z < 0
    # of z < 0 it is the reciprocal, since the sum cancels: at -50, in float32, a ten-thousandth of
    # it would be noise, which an adaptive solver takes for stiffness
    size = squareplus_root(z) + torch.where(low, -z, z)
    return torch.where(low, 2 / size, size / 2)


def squareplus_root(z: Tensor) -> Tensor:
    """``sqrt(z^2 + 4)``, though the square may overflow."""
    return torch.hypot(z, z.new_full((), 2.0))


def derivative(z: Tensor, name: str) -> Tensor:
    """``act'(z)``; zero at the kink of relu, as PyTorch."""
    if name == "identity":
        return torch.ones_like(z)
    if name == "relu":
        return (z > 0).to(z.dtype)
    if name == "elu":
        return torch.where(z > 0, 1.0, z.clamp(max=0).exp())
    if name == "silu":
        s = z.sigmoid()
        return s * (1 + z * (1 - s))
    return 1 - z.tanh() ** 2
