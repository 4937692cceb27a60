"""What a step of diffusion does at each vertex alone: products with the stalk, the residual with
its activation, dropout.

Written as one operation each, since on small graphs the number of calls is the cost, and on large
ones the number of passes over the state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import checks, step_reference
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.library import Operation, define

_RANGE = 1 << 32


def residual(x: Tensor, z: Tensor, factor: Tensor, activation: str = "elu") -> Tensor:
    """``(1 + factor) x - act(z)``, with one factor for each coordinate of a stalk.

    Args:
        x, z: ``(n, d, channels)``.
        factor: ``(d,)``.
        activation: ``identity``, ``relu``, ``elu``, ``silu`` or ``tanh``.

    Returns:
        ``(n, d, channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes.
    """
    checks.check_values("x", x)
    checks.check_choice("activation", activation, ACTIVATIONS)
    if x.dim() != 3 or z.shape != x.shape or factor.shape != x.shape[1:2]:
        raise ValueError(
            f"x and z must share a shape (n, d, channels) and factor must have shape (d,), got "
            f"{tuple(x.shape)}, {tuple(z.shape)} and {tuple(factor.shape)}"
        )
    if z.dtype is not x.dtype or factor.dtype is not x.dtype:
        raise TypeError(
            f"x, z and factor must share a dtype, got {x.dtype}, {z.dtype}, {factor.dtype}"
        )
    return _residual(x, z, factor, activation)


def dropout(x: Tensor, p: float, seed: int | None = None) -> Tensor:
    """Zeroes entries with probability ``p``, to within 2^-32, and divides the others by ``1 - p``.

    Whether an entry stays is computed from its position and the seed, forward and backward, so
    there is neither an array of random numbers nor one of what was kept.

    Args:
        x: any shape.
        p: 0 <= p < 1.
        seed: 0 to 2^63 - 1; by default from torch's generator of the CPU.

    Raises:
        TypeError, ValueError: x is not floating point, or p out of range.
    """
    checks.check_values("x", x)
    if not 0 <= p < 1:
        raise ValueError(f"p must lie in [0, 1), got {p}")
    if seed is None:
        seed = int(torch.empty((), dtype=torch.int64).random_())
    return _dropout(x, p, seed)


def stalk_matmul(w: Tensor, x: Tensor) -> Tensor:
    """``out_v = W x_v``, one matrix for all stalks.

    Args:
        w: ``(d, d)``.
        x: ``(n, d, channels)``.

    Returns:
        ``(n, d, channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes.
    """
    checks.check_values("x", x)
    if x.dim() != 3 or w.shape != (x.shape[1], x.shape[1]):
        raise ValueError(
            f"x must have shape (n, d, channels) and w (d, d), got {tuple(x.shape)} and "
            f"{tuple(w.shape)}"
        )
    if w.dtype is not x.dtype:
        raise TypeError(f"w and x must share a dtype, got {w.dtype} and {x.dtype}")
    return _stalk_matmul(w, x, False)


def threshold_of(p: float) -> tuple[int, float]:
    """The 32-bit number below which entries are dropped, and the factor of the others."""
    threshold = min(round(p * _RANGE), _RANGE - 1)
    return threshold, _RANGE / (_RANGE - threshold)


def _residual_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _residual_backward
    if torch.is_grad_enabled():  # of the gradient: every step must be differentiable
        backward = step_reference.residual_backward
    return *backward(grad, *a), None


_residual = define(
    "residual",
    "(Tensor x, Tensor z, Tensor factor, str activation) -> Tensor",
    lambda x, *_: torch.empty_like(x, memory_format=torch.contiguous_format),
    _residual_gradient,
    saves=(0, 1, 2),
)
_residual_backward = define(
    "residual_backward",
    "(Tensor grad, Tensor x, Tensor z, Tensor factor, str activation) -> (Tensor, Tensor, Tensor)",
    lambda grad, x, z, factor, activation: (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty_like(factor),
    ),
)
_dropout: Operation = define(
    "dropout",
    "(Tensor x, float p, int seed) -> Tensor",
    lambda x, *_: torch.empty_like(x, memory_format=torch.contiguous_format),
    lambda needed, a, results, grad: (_dropout(grad, a[1], a[2]), None, None),
)


def _stalk_matmul_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    w, x, transpose = a
    dw = None
    if needed[0]:
        dw = _stalk_outer(x, grad) if transpose else _stalk_outer(grad, x)
    dx = _stalk_matmul(w, grad, not transpose) if needed[1] else None
    return dw, dx, None


def _stalk_outer_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    g, x = a
    dg = _stalk_matmul(grad, x, False) if needed[0] else None
    dx = _stalk_matmul(grad, g, True) if needed[1] else None
    return dg, dx


_stalk_matmul = define(
    "stalk_matmul",
    "(Tensor w, Tensor x, bool transpose) -> Tensor",
    lambda w, x, transpose: torch.empty_like(x, memory_format=torch.contiguous_format),
    _stalk_matmul_gradient,
    saves=(0, 1),
)
_stalk_outer = define(
    "stalk_outer",
    "(Tensor g, Tensor x) -> Tensor",
    lambda g, x: x.new_empty(x.shape[1], x.shape[1]),
    _stalk_outer_gradient,
    saves=(0, 1),
)
