"""Linear maps with normalisation, compiled: allocate results, hand over addresses."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import cpu
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.cpu import _cpu


def _address(x: Tensor | None) -> int:
    return 0 if x is None or x.numel() == 0 else x.data_ptr()


def _call(  # type: ignore[no-untyped-def]
    kernel, x: Tensor, norm: tuple, weight: Tensor | None, bias: Tensor | None, eps: float,
    activation: str, *others: Tensor | None,
) -> None:  # fmt: skip
    """Everything contiguous; ``others`` in the order of the compiled function."""
    groups, out, width = (1, 0, x.shape[1]) if weight is None else weight.shape
    kernel(
        x.dtype is torch.float64, torch.get_num_threads(), x.shape[0], groups, width, out,
        x.data_ptr(), *map(_address, norm), eps, ACTIVATIONS.index(activation),
        _address(weight), _address(bias), *map(_address, others),
    )  # fmt: skip


def _contiguous(*tensors: Tensor | None) -> tuple:
    return tuple(None if t is None else t.contiguous() for t in tensors)


def norm_activation(
    x: Tensor, mean: Tensor | None, var: Tensor | None, gamma: Tensor | None, beta: Tensor | None,
    eps: float, activation: str,
) -> Tensor:  # fmt: skip
    x, *norm = _contiguous(x, mean, var, gamma, beta)
    y = cpu._empty(x, *x.shape)
    _call(_cpu.norm_linear, x, tuple(norm), None, None, eps, activation, None, y, None, None)
    return y


def _norm_gradients(x: Tensor, mean: Tensor | None) -> tuple[Tensor, ...]:
    """Room for the gradients of mean, var, gamma, beta."""
    return tuple(cpu._empty(x, 0 if mean is None else x.shape[1]) for _ in range(4))


def norm_activation_backward(
    grad: Tensor, x: Tensor, mean: Tensor | None, var: Tensor | None, gamma: Tensor | None,
    beta: Tensor | None, eps: float, activation: str,
) -> tuple[Tensor, ...]:  # fmt: skip
    grad, x, *norm = _contiguous(grad, x, mean, var, gamma, beta)
    results = (cpu._empty(x, *x.shape), *_norm_gradients(x, mean))
    others = (None, None, None, grad, None, None, *results, None, None)
    _call(_cpu.norm_linear_backward, x, tuple(norm), None, None, eps, activation, *others)
    return results


def norm_linear(
    x: Tensor, mean: Tensor | None, var: Tensor | None, gamma: Tensor | None, beta: Tensor | None,
    weight: Tensor, bias: Tensor | None, eps: float, activation: str, statistics: bool,
    count: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    x, weight, bias, count, *norm = _contiguous(x, weight, bias, count, mean, var, gamma, beta)
    columns = weight.shape[0] * weight.shape[1]
    y = cpu._empty(x, x.shape[0], columns)
    y_mean, y_var = (cpu._empty(x, columns if statistics else 0) for _ in range(2))
    others = (count, y, y_mean, y_var)
    _call(_cpu.norm_linear, x, tuple(norm), weight, bias, eps, activation, *others)
    return y, y_mean, y_var


def norm_linear_backward(
    grad: Tensor, grad_mean: Tensor, grad_var: Tensor, x: Tensor, mean: Tensor | None,
    var: Tensor | None, gamma: Tensor | None, beta: Tensor | None, weight: Tensor,
    y: Tensor, y_mean: Tensor, eps: float, activation: str, need_x: bool, need_weight: bool,
    count: Tensor | None,
) -> tuple[Tensor, ...]:  # fmt: skip
    grad, grad_mean, grad_var, x, weight, y = _contiguous(grad, grad_mean, grad_var, x, weight, y)
    if count is not None and not count.any():  # no row counts, and none gets a gradient by these
        count = None
        grad_mean, grad_var = torch.zeros_like(grad_mean), torch.zeros_like(grad_var)
    count, *norm = _contiguous(count, mean, var, gamma, beta)
    dx = cpu._empty(x, *x.shape) if need_x else cpu._empty(x, 0)
    dnorm = _norm_gradients(x, mean if need_x else None)
    dweight = cpu._empty(x, *weight.shape) if need_weight else cpu._empty(x, 0)
    dbias = cpu._empty(x, grad.shape[1])
    others = (count, y, y_mean, grad, grad_mean, grad_var, dx, *dnorm, dweight, dbias)
    _call(_cpu.norm_linear_backward, x, tuple(norm), weight, None, eps, activation, *others)
    return dx, *dnorm, dweight, dbias


OPERATIONS = (norm_activation, norm_activation_backward, norm_linear, norm_linear_backward)
