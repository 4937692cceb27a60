"""The vertex-wise part of a diffusion step, compiled."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import cpu
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.cpu import _cpu
from topodiff.kernels.step import threshold_of


def residual(x: Tensor, z: Tensor, factor: Tensor, activation: str) -> Tensor:
    x, z, factor = x.contiguous(), z.contiguous(), factor.contiguous()
    out = cpu._empty(x, *x.shape)
    _cpu.residual(
        x.dtype is torch.float64, torch.get_num_threads(), *x.shape, ACTIVATIONS.index(activation),
        x.data_ptr(), z.data_ptr(), factor.data_ptr(), out.data_ptr(),
    )  # fmt: skip
    return out


def residual_backward(
    grad: Tensor, x: Tensor, z: Tensor, factor: Tensor, activation: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, z and factor."""
    grad, x, z, factor = grad.contiguous(), x.contiguous(), z.contiguous(), factor.contiguous()
    n, d, _ = x.shape
    dx, dz = cpu._empty(x, *x.shape), cpu._empty(x, *x.shape)
    partial = cpu._empty(x, -(-n // _cpu.step_block), d)
    _cpu.residual_backward(
        x.dtype is torch.float64, torch.get_num_threads(), *x.shape, ACTIVATIONS.index(activation),
        grad.data_ptr(), x.data_ptr(), z.data_ptr(), factor.data_ptr(), dx.data_ptr(),
        dz.data_ptr(), partial.data_ptr(),
    )  # fmt: skip
    return dx, dz, partial[0] if len(partial) == 1 else partial.sum(0)


def dropout(x: Tensor, p: float, seed: int) -> Tensor:
    x = x.contiguous()
    out = cpu._empty(x, *x.shape)
    threshold, scale = threshold_of(p)
    _cpu.dropout(
        x.dtype is torch.float64, torch.get_num_threads(), x.numel(), seed, threshold, scale,
        x.data_ptr(), out.data_ptr(),
    )  # fmt: skip
    return out


def oscillator(
    x: Tensor, v: Tensor, z: Tensor, step: float, damping: float, control: float, activation: str
) -> tuple[Tensor, Tensor]:
    x, v, z = x.contiguous(), v.contiguous(), z.contiguous()
    out_x, out_v = cpu._empty(x, *x.shape), cpu._empty(x, *x.shape)
    _cpu.oscillator(
        x.dtype is torch.float64, torch.get_num_threads(), x.numel(), step, damping, control,
        ACTIVATIONS.index(activation), x.data_ptr(), v.data_ptr(), z.data_ptr(), out_x.data_ptr(),
        out_v.data_ptr(),
    )  # fmt: skip
    return out_x, out_v


def oscillator_backward(
    of_x: Tensor, of_v: Tensor, z: Tensor, step: float, damping: float, control: float,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of x, v and z."""
    of_x, of_v, z = of_x.contiguous(), of_v.contiguous(), z.contiguous()
    dx, dv, dz = (cpu._empty(z, *z.shape) for _ in range(3))
    _cpu.oscillator_backward(
        z.dtype is torch.float64, torch.get_num_threads(), z.numel(), step, damping, control,
        ACTIVATIONS.index(activation), of_x.data_ptr(), of_v.data_ptr(), z.data_ptr(),
        dx.data_ptr(), dv.data_ptr(), dz.data_ptr(),
    )  # fmt: skip
    return dx, dv, dz


OPERATIONS = (residual, residual_backward, dropout, oscillator, oscillator_backward)
