"""What an iteration for a linear system returned, and dot products by columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]


class LinearSolution(NamedTuple):
    """Solution of ``A x = b``.

    Attributes:
        x: the solution, or the last iterate.
        iterations: how many were made.
        products: with A.
        residual: largest relative residual over the channels, as the iteration computes it.
        status: ``"converged"``; ``"max_iterations"``; ``"indefinite"``: CG met a direction p with
            ``p^T A p <= 0``; ``"breakdown"``: GMRES no longer made progress, as on a singular
            matrix, or MINRES lost its preconditioner; ``"not_finite"``.
    """

    x: Tensor
    iterations: int
    products: int
    residual: float
    status: str


def dot(a: Tensor, b: Tensor) -> Tensor:
    """(channels,) of (n, channels)."""
    if a.shape[1] == 1:
        return torch.dot(a.reshape(-1), b.reshape(-1)).reshape(1)
    return torch.linalg.vecdot(a, b, dim=0)


def norm(a: Tensor) -> Tensor:
    """(channels,) Euclidean norms of (n, channels)."""
    return torch.linalg.vector_norm(a, dim=0)


def largest(a: Tensor) -> float:
    """The largest entry, 0 of none."""
    return float(a.max()) if a.numel() else 0.0
