"""What a step of diffusion does at each vertex alone: residual and activation, the oscillator,
dropout.

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
    check_residual(x, z, factor, activation)
    return _residual(x, z, factor, activation)


def oscillator(
    x: Tensor,
    v: Tensor,
    z: Tensor,
    step: float,
    damping: float = 0.0,
    control: float = 0.0,
    activation: str = "identity",
) -> tuple[Tensor, Tensor]:
    """A step of symplectic Euler, ``v' = v + h (act(z) - gamma x - alpha v)``, ``x' = x + h v'``
    (Rusch et al., GraphCON, 2022, eq. 3).

    Args:
        x, v, z: position, velocity and coupling, of one shape.
        step, damping, control: h, alpha and gamma.
        activation: ``identity``, ``relu``, ``elu``, ``silu`` or ``tanh``.

    Returns:
        x' and v'.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes.
    """
    checks.check_values("x", x)
    checks.check_choice("activation", activation, ACTIVATIONS)
    if not (isinstance(v, Tensor) and isinstance(z, Tensor)):
        checks.check_tensors(v=v, z=z)
    if v.shape != x.shape or z.shape != x.shape:
        raise ValueError(
            f"x, v and z must share a shape, got {tuple(x.shape)}, {tuple(v.shape)} and "
            f"{tuple(z.shape)}"
        )
    if v.dtype is not x.dtype or z.dtype is not x.dtype:
        raise TypeError(f"x, v and z must share a dtype, got {x.dtype}, {v.dtype}, {z.dtype}")
    return _oscillator(x, v, z, step, damping, control, activation)


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
    check_probability(p)
    return _dropout(x, p, draw_seed(p, seed))


def check_probability(p: float) -> None:
    """ValueError unless 0 <= p < 1."""
    if not 0 <= p < 1:
        raise ValueError(f"p must lie in [0, 1), got {p}")


def draw_seed(p: float, seed: int | None = None) -> int:
    """``seed``, or one from torch's generator of the CPU; 0 if p is 0."""
    if seed is not None:
        return seed
    return int(torch.empty((), dtype=torch.int64).random_()) if p else 0


def threshold_of(p: float) -> tuple[int, float]:
    """The 32-bit number below which entries are dropped, and the factor of the others."""
    threshold = min(round(p * _RANGE), _RANGE - 1)
    return threshold, _RANGE / (_RANGE - threshold)


def check_residual(x: Tensor, z: Tensor, factor: Tensor, activation: str) -> None:
    """TypeError or ValueError where :func:`residual` cannot take its arguments."""
    checks.check_values("x", x)
    checks.check_choice("activation", activation, ACTIVATIONS)
    if not (isinstance(z, Tensor) and isinstance(factor, Tensor)):
        checks.check_tensors(z=z, factor=factor)
    if x.dim() != 3 or z.shape != x.shape or factor.shape != x.shape[1:2]:
        raise ValueError(
            f"x and z must share a shape (n, d, channels) and factor must have shape (d,), got "
            f"{tuple(x.shape)}, {tuple(z.shape)} and {tuple(factor.shape)}"
        )
    if z.dtype is not x.dtype or factor.dtype is not x.dtype:
        raise TypeError(
            f"x, z and factor must share a dtype, got {x.dtype}, {z.dtype}, {factor.dtype}"
        )


def residual_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _residual_backward
    if torch.is_grad_enabled():  # of the gradient: every step must be differentiable
        backward = step_reference.residual_backward
    return *backward(grad, *a), None


_residual = define(
    "residual",
    "(Tensor x, Tensor z, Tensor factor, str activation) -> Tensor",
    lambda x, *_: torch.empty_like(x, memory_format=torch.contiguous_format),
    residual_gradient,
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


def _oscillator_gradient(needed: Any, a: list, results: tuple, *grads: Tensor) -> tuple:
    backward: Any = _oscillator_backward
    if torch.is_grad_enabled():
        backward = step_reference.oscillator_backward
    return *backward(*grads, *a[2:]), *[None] * 4


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


_oscillator = define(
    "oscillator",
    "(Tensor x, Tensor v, Tensor z, float step, float damping, float control, str activation)"
    " -> (Tensor, Tensor)",
    lambda x, *_: (_like(x), _like(x)),
    _oscillator_gradient,
    saves=(2,),
    differentiable=2,
)
_oscillator_backward = define(
    "oscillator_backward",
    "(Tensor of_x, Tensor of_v, Tensor z, float step, float damping, float control,"
    " str activation) -> (Tensor, Tensor, Tensor)",
    lambda of_x, of_v, z, *_: (_like(z), _like(z), _like(z)),
)
