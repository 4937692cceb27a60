"""Krylov least squares."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from topodiff.operators.base import LinearOperator


class KrylovResult(NamedTuple):
    """What an iteration returned.

    Attributes:
        x: the solution, or the last iterate.
        iterations: how many were made.
        residual: largest ``|A^T (b - A x)| / |A^T b|`` over the channels.
        status: ``"converged"`` or ``"max_iterations"``.
    """

    x: Tensor
    iterations: int
    residual: float
    status: str


def least_squares(
    operator: LinearOperator, b: Tensor, *, tol: float | None = None, max_iterations: int = 1000
) -> KrylovResult:
    """The smallest x that minimises ``|A x - b|``, channel by channel, with gradients to b and A.

    Conjugate gradients on the normal equations without forming them: CGLS (Björck, Numerical
    methods for least squares problems, 1996, algorithm 7.4.1). A need not have full rank.

    Args:
        operator: A.
        b: (*row_shape, *channels).
        tol: on the relative residual of the normal equations; by default eps^(3/4).
        max_iterations: where to give up, with status ``"max_iterations"`` and the last iterate.
    """
    if tol is None:
        tol = torch.finfo(b.dtype).eps ** 0.75
    dims = tuple(range(len(operator.row_shape)))
    transpose = operator.T
    r = b
    s = p = transpose @ r
    x = torch.zeros_like(s)
    gamma = (s * s).sum(dims)
    start = gamma.detach()
    for k in range(max_iterations + 1):
        left = _ratio(gamma.detach(), start).sqrt()
        residual = float(left.max()) if left.numel() else 0.0
        if residual <= tol or k == max_iterations:
            break
        q = operator @ p
        # channels that have converged stand still
        alpha = torch.where(left > tol, _ratio(gamma, (q * q).sum(dims)), 0.0)
        x = x + alpha * p
        r = r - alpha * q
        s = transpose @ r
        previous, gamma = gamma, (s * s).sum(dims)
        p = s + _ratio(gamma, previous) * p
    return KrylovResult(x, k, residual, "converged" if residual <= tol else "max_iterations")


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """``a / b``, and 0 for b = 0."""
    return torch.where(b > 0, a / torch.where(b > 0, b, 1.0), 0.0)
