"""Linear maps fused with the normalisation before them and the statistics after them.

A network of (linear map, batch normalisation, activation) reads and writes every array several
times between two products. Here normalisation and activation are applied to a block of rows as the
next product reads it, and means and variances are gathered as it is written, both ways.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from topodiff.kernels import checks, norm_reference
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.library import define


class Norm(NamedTuple):
    """``z = (x - mean) / sqrt(var + eps) * weight + bias``, one value per channel each."""

    mean: Tensor
    var: Tensor
    weight: Tensor
    bias: Tensor
    eps: float = 1e-5


_ABSENT = (None, None, None, None, 0.0)


def norm_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    norm: Norm | None = None,
    activation: str = "identity",
    statistics: bool = False,
    count: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """``y_g = act(norm(x))_g W_g^T + b_g`` for every group g of channels, with statistics of y.

    Differentiable in everything, the statistics included: used as ``mean`` and ``var`` of the next
    :class:`Norm` they make up batch normalisation.

    Args:
        x: ``(rows, groups * in)``.
        weight: ``(groups, out, in)``.
        bias: ``(groups * out,)`` or none.
        norm: of the input, with vectors of ``groups * in`` values; or none.
        activation: of the input after the normalisation.
        statistics: whether mean and (biased) variance of the columns of y are wanted.
        count: ``(rows,)``, how many equal rows each one stands for in the statistics; or none for
            one each. Not differentiable.

    Returns:
        y ``(rows, groups * out)``, its mean and variance ``(groups * out,)``: empty if not wanted,
        0 where there are no rows or all counts are 0.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes.
    """
    checks.check_values("x", x)
    _check_alike("weight", weight, x)
    if weight.dim() != 3 or x.dim() != 2 or x.shape[1] != weight.shape[0] * weight.shape[2]:
        raise ValueError(
            f"x must be (rows, groups * in) and weight (groups, out, in); got {tuple(x.shape)} "
            f"and {tuple(weight.shape)}"
        )
    if bias is not None:
        _check_vector("bias", bias, x, weight.shape[0] * weight.shape[1])
    if count is not None:
        _check_vector("count", count, x, x.shape[0])
    _check_norm(x, norm)
    checks.check_choice("activation", activation, ACTIVATIONS)
    *vectors, eps = _ABSENT if norm is None else norm
    return _norm_linear(x, *vectors, weight, bias, eps, activation, statistics, count)


def norm_activation(x: Tensor, norm: Norm | None = None, activation: str = "identity") -> Tensor:
    """``act(norm(x))`` of ``(rows, channels)``; arguments as for :func:`norm_linear`."""
    checks.check_values("x", x)
    if x.dim() != 2:
        raise ValueError(f"x must be (rows, channels), got {tuple(x.shape)}")
    _check_norm(x, norm)
    checks.check_choice("activation", activation, ACTIVATIONS)
    *vectors, eps = _ABSENT if norm is None else norm
    return _norm_activation(x, *vectors, eps, activation)


def _check_norm(x: Tensor, norm: Norm | None) -> None:
    if norm is not None:
        for name, vector in zip(Norm._fields, norm[:4], strict=False):
            _check_vector(name, vector, x, x.shape[1])


def _check_vector(name: str, vector: Tensor, x: Tensor, size: int) -> None:
    _check_alike(name, vector, x)
    if vector.shape != (size,):
        raise ValueError(f"{name} must have shape ({size},), got {tuple(vector.shape)}")


def _check_alike(name: str, tensor: Tensor, x: Tensor) -> None:
    if not isinstance(tensor, Tensor) or tensor.dtype is not x.dtype:
        checks.check_tensors(**{name: tensor})
        raise TypeError(f"{name} must be {x.dtype} as x, got {tensor.dtype}")


def _or_none(needed: Any, gradients: tuple) -> list[Tensor | None]:
    pairs = zip(needed, gradients, strict=True)
    return [g if wanted else None for wanted, g in pairs]


def _norm_activation_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _norm_activation_backward
    if torch.is_grad_enabled():
        backward = norm_reference.norm_activation_backward
    return *_or_none(needed[:5], backward(grad, *a)), None, None


def _norm_linear_gradient(needed: Any, a: list, results: tuple, *grads: Tensor) -> tuple:
    backward: Any = _norm_linear_backward
    if torch.is_grad_enabled():
        backward = norm_reference.norm_linear_backward
    *inputs, weight, _, eps, activation, _, count = a
    y, y_mean, _ = results
    found = backward(
        *grads, *inputs, weight, y, y_mean, eps, activation, any(needed[:5]), needed[5], count
    )
    return *_or_none(needed[:7], found), None, None, None, None


_VECTORS = "Tensor x, Tensor? mean, Tensor? var, Tensor? gamma, Tensor? beta"


def _like(x: Tensor, present: bool, *shape: Any) -> Tensor:
    return x.new_empty(shape if present else (0,))


_norm_activation = define(
    "norm_activation",
    f"({_VECTORS}, float eps, str activation) -> Tensor",
    lambda x, *_: torch.empty_like(x, memory_format=torch.contiguous_format),
    _norm_activation_gradient,
    saves=(0, 1, 2, 3, 4),
)
_norm_activation_backward = define(
    "norm_activation_backward",
    f"(Tensor grad, {_VECTORS}, float eps, str activation)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    lambda grad, x, mean, *_: (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        *(_like(x, mean is not None, x.shape[1]) for _ in range(4)),
    ),
)


def _fake_norm_linear(  # type: ignore[no-untyped-def]
    x, mean, var, gamma, beta, weight, bias, eps, activation, statistics, count
):  # fmt: skip
    columns = weight.shape[0] * weight.shape[1]
    vectors = (_like(x, statistics, columns) for _ in range(2))
    return x.new_empty(x.shape[0], columns), *vectors


def _fake_norm_linear_backward(  # type: ignore[no-untyped-def]
    grad, grad_mean, grad_var, x, mean, var, gamma, beta, weight, y, y_mean, eps, activation,
    need_x, need_weight, count,
):  # fmt: skip
    vectors = (_like(x, need_x and mean is not None, x.shape[1]) for _ in range(4))
    return (
        _like(x, need_x, *x.shape),
        *vectors,
        _like(x, need_weight, *weight.shape),
        x.new_empty(grad.shape[1]),
    )


_norm_linear = define(
    "norm_linear",
    f"({_VECTORS}, Tensor weight, Tensor? bias, float eps, str activation, bool statistics,"
    " Tensor? count) -> (Tensor, Tensor, Tensor)",
    _fake_norm_linear,
    _norm_linear_gradient,
    saves=(0, 1, 2, 3, 4, 5, 10),
    saves_results=True,
    differentiable=3,
)
_norm_linear_backward = define(
    "norm_linear_backward",
    f"(Tensor grad, Tensor grad_mean, Tensor grad_var, {_VECTORS}, Tensor weight, Tensor y,"
    " Tensor y_mean, float eps, str activation, bool need_x, bool need_weight, Tensor? count)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _fake_norm_linear_backward,
)
