"""Krylov least squares."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from topodiff.complexes.integers import whole_number
from topodiff.kernels.finite import is_finite
from topodiff.operators.base import LinearOperator


class KrylovResult(NamedTuple):
    """What an iteration returned.

    Attributes:
        x: the solution, or the last iterate.
        iterations: how many were made.
        residual: largest ``|A^T (b - A x)| / |A^T b|`` over the channels; 0 for those where the
            numerator is what rounding makes of 0, as for b orthogonal to the range of A.
        status: ``"converged"`` or ``"max_iterations"``.
    """

    x: Tensor
    iterations: int
    residual: float
    status: str


def least_squares(
    operator: LinearOperator, b: Tensor, *, tol: float | None = None, max_iterations: int = 1000
) -> KrylovResult:
    """The smallest x that minimises ``|A x - b|``, ``x = A^+ b``, channel by channel, with
    gradients to b and A.

    Conjugate gradients on the normal equations without forming them: CGLS (Björck, Numerical
    methods for least squares problems, 1996, algorithm 7.4.1). A need not have full rank.

    The backward pass solves again, and nothing of the iteration is kept. Gradients to A are those
    of the pseudo-inverse where the rank of A stays as it is (Golub and Pereyra, The differentiation
    of pseudo-inverses, 1973). They cannot be differentiated once more.

    Args:
        operator: A.
        b: (*row_shape, *channels), or flat.
        tol: on the relative residual of the normal equations; by default eps^(3/4).
        max_iterations: where to give up, with status ``"max_iterations"`` and the last iterate.

    Raises:
        TypeError, ValueError: for b of another shape, dtype or device, and for b or numbers in A
            that are not finite.
    """
    whole_number("max_iterations", max_iterations, 0)
    lead = operator.T._check_state(b)
    _check_finite(b, "b is")
    channels = b.shape[lead:]
    state = b.reshape(*operator.row_shape, math.prod(channels))
    tol = torch.finfo(b.dtype).eps ** 0.75 if tol is None else tol
    found = _cgls(operator, state.detach(), tol, max_iterations)
    x = found.x
    if torch.is_grad_enabled():
        x = _implicit(operator, state, x, partial(_solve, tol=tol, max_iterations=max_iterations))
    shape = operator.col_shape if lead == len(operator.row_shape) else operator.shape[1:]
    return found._replace(x=x.reshape(*shape, *channels))


@torch.no_grad()
def _cgls(operator: LinearOperator, b: Tensor, tol: float, max_iterations: int) -> KrylovResult:
    """For b with one channel dimension, without gradients."""
    dims = tuple(range(b.dim() - 1))
    rounding = (8 * torch.finfo(b.dtype).eps) ** 2 * (b * b).sum(dims)
    r = b
    s = p = operator._apply_transpose(r)
    _check_finite(s, f"products with {operator} are")
    x = torch.zeros_like(s)
    start = gamma = (s * s).sum(dims)
    norm = torch.zeros_like(start)  # of A, squared, from below
    for k in range(max_iterations + 1):
        left = torch.where(gamma > rounding * norm, ratio(gamma, start).sqrt(), 0.0)
        residual = float(left.max()) if left.numel() else 0.0
        if residual <= tol or k == max_iterations:
            break
        q = operator._apply(p)
        stretched = (q * q).sum(dims)
        norm = torch.maximum(norm, ratio(stretched, (p * p).sum(dims)))
        # channels that have converged stand still
        alpha = torch.where(left > tol, ratio(gamma, stretched), 0.0)
        x = x + alpha * p
        r = r - alpha * q
        s = operator._apply_transpose(r)
        previous, gamma = gamma, (s * s).sum(dims)
        p = s + ratio(gamma, previous) * p
    return KrylovResult(x, k, residual, "converged" if residual <= tol else "max_iterations")


def _check_finite(x: Tensor, what: str) -> None:
    if not is_finite(x):
        raise ValueError(f"{what} not finite: check the numbers in the operator and in the state")


Solve = Callable[[LinearOperator, Tensor], Tensor]


def _solve(operator: LinearOperator, b: Tensor, tol: float, max_iterations: int) -> Tensor:
    """``A^+ b`` for a gradient, with a warning if that fails."""
    found = _cgls(operator, b, tol, max_iterations)
    if found.status != "converged":
        warnings.warn(
            f"a least-squares problem for gradients ended with status {found.status!r} and "
            f"relative residual {found.residual:.2g}: gradients are inexact", stacklevel=2,
        )  # fmt: skip
    return found.x


def _implicit(operator: LinearOperator, b: Tensor, x: Tensor, solve: Solve) -> Tensor:
    """The constant x with the gradient of ``A^+ b``.

    With ``r = b - A x`` and ``z = A^+^T x`` (Golub and Pereyra)

        dx = A^+ (db - dA x) + (A^T A)^+ dA^T r + (I - A^+ A) dA^T z,

    where the three increments come from autograd, with x, r and z constant.
    """
    residual = b - operator._apply(x)
    normal = operator._apply_transpose(residual.detach())
    if not normal.requires_grad:
        return _PseudoInverse.apply(x, operator, solve, residual) if residual.requires_grad else x
    null = operator._apply_transpose(solve(operator.T, x))
    return _PseudoInverse.apply(x, operator, solve, residual, normal, null)


class _PseudoInverse(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, operator: LinearOperator, solve: Solve, *increments: Tensor
    ) -> Tensor:
        ctx.operator, ctx.solve, ctx.to_operator = operator, solve, len(increments) == 3
        return x.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        operator = ctx.operator
        y = ctx.solve(operator.T, grads[0])
        if not ctx.to_operator:
            return None, None, None, y
        null = grads[0] - operator._apply_transpose(y)
        return None, None, None, y, ctx.solve(operator, y), null


def ratio(a: Tensor, b: Tensor) -> Tensor:
    """``a / b``, and 0 for b = 0."""
    zero = b == 0
    return torch.where(zero, 0.0, a / torch.where(zero, 1.0, b))
