"""Linear maps with normalisation in plain PyTorch: the oracle, and the gradient of the gradient.

``x`` is ``(rows, groups * in)``, ``weight`` ``(groups, out, in)``, ``y`` ``(rows, groups * out)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels.activations import activate, derivative
from topodiff.kernels.precision import at_least_single


def _normalised(
    x: Tensor, mean: Tensor | None, var: Tensor | None, gamma: Tensor | None, beta: Tensor | None,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Values before the activation, without scale and shift, and 1 / standard deviation."""
    if mean is None or var is None or gamma is None or beta is None:
        return x, x, torch.ones_like(x[:1])
    rstd = (var + eps).rsqrt()
    hat = (x - mean) * rstd
    return hat * gamma + beta, hat, rstd


def norm_activation(
    x: Tensor, mean: Tensor | None, var: Tensor | None, gamma: Tensor | None, beta: Tensor | None,
    eps: float, activation: str,
) -> Tensor:  # fmt: skip
    z, _, _ = _normalised(x, mean, var, gamma, beta, eps)
    return activate(z, activation) if z is not x or activation != "identity" else x.clone()


def norm_activation_backward(
    grad: Tensor, x: Tensor, mean: Tensor | None, var: Tensor | None, gamma: Tensor | None,
    beta: Tensor | None, eps: float, activation: str,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients of x, mean, var, gamma, beta; empty for those that are absent."""
    z, hat, rstd = _normalised(x, mean, var, gamma, beta, eps)
    dz = grad * derivative(z, activation)
    if gamma is None:
        return dz, *[x.new_empty(0) for _ in range(4)]
    dbeta, dgamma = dz.sum(0), (dz * hat).sum(0)
    scale = gamma * rstd
    return dz * scale, -scale * dbeta, -0.5 * rstd**2 * gamma * dgamma, dgamma, dbeta


def norm_linear(
    x: Tensor, mean: Tensor | None, var: Tensor | None, gamma: Tensor | None, beta: Tensor | None,
    weight: Tensor, bias: Tensor | None, eps: float, activation: str, statistics: bool,
    count: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    groups, out, width = weight.shape
    h = norm_activation(x, mean, var, gamma, beta, eps, activation)
    y = torch.einsum("ngi,goi->ngo", h.reshape(-1, groups, width), weight)
    y = y.reshape(-1, groups * out)
    if bias is not None:
        y = y + bias
    if not statistics:
        return y, y.new_empty(0), y.new_empty(0)
    return y, *_moments(y, count)


def _moments(y: Tensor, count: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and variance of the columns; 0 where there are no rows."""
    wide = at_least_single(y)
    if count is None and len(y):
        var, mean = torch.var_mean(wide, 0, correction=0)
    else:
        share = _shares(wide, count)
        mean = (share * wide).sum(0)
        var = (share * (wide - mean) ** 2).sum(0)
    return mean.to(y.dtype), var.to(y.dtype)


def _shares(y: Tensor, count: Tensor | None) -> Tensor | float:
    """What part of the whole each row is."""
    if count is None:
        return 1 / max(len(y), 1)
    count = at_least_single(count)
    total = count.sum()
    return (count / torch.where(total == 0, 1, total)).unsqueeze(1)


def norm_linear_backward(
    grad: Tensor, grad_mean: Tensor, grad_var: Tensor, x: Tensor, mean: Tensor | None,
    var: Tensor | None, gamma: Tensor | None, beta: Tensor | None, weight: Tensor,
    y: Tensor, y_mean: Tensor, eps: float, activation: str, need_x: bool, need_weight: bool,
    count: Tensor | None,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Gradients of x, mean, var, gamma, beta, weight, bias; empty for those that are absent."""
    groups, out, width = weight.shape
    if y_mean.numel():
        through = (grad_mean + 2 * (y - y_mean) * grad_var) * _shares(y, count)
        grad = grad + through.to(grad.dtype)
    per_group = grad.reshape(-1, groups, out)
    dweight, of_norm = x.new_empty(0), tuple(x.new_empty(0) for _ in range(5))
    if need_weight:
        h = norm_activation(x, mean, var, gamma, beta, eps, activation)
        dweight = torch.einsum("ngo,ngi->goi", per_group, h.reshape(-1, groups, width))
    if need_x:
        dh = torch.einsum("ngo,goi->ngi", per_group, weight).reshape(x.shape)
        of_norm = norm_activation_backward(dh, x, mean, var, gamma, beta, eps, activation)
    return *of_norm, dweight, grad.sum(0)


OPERATIONS = (norm_activation, norm_activation_backward, norm_linear, norm_linear_backward)
