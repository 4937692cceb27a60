"""Conjugate gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.operators.krylov import ratio
from topodiff.solvers.krylov.result import LinearSolution, Product, dot, largest, norm


def conjugate_gradients(
    apply: Product,
    b: Tensor,
    x: Tensor | None,
    tol: float,
    max_iterations: int,
    precondition: Product | None,
) -> LinearSolution:
    """Hestenes and Stiefel 1952, with a preconditioner; every channel on its own.

    ``|b - A x| <= tol |b|`` ends a channel; b: (n, channels), x: first guess or None.
    """
    products = 0 if x is None else 1
    r = b.clone() if x is None else b - apply(x)
    x = torch.zeros_like(b) if x is None else x.clone()
    z = r if precondition is None else precondition(r)
    p = z.clone()
    rz = dot(r, z)
    size = norm(b)
    for k in range(max_iterations + 1):
        left = norm(r)
        residual = largest(ratio(left, size))
        open_ = left > tol * size
        if not bool(left.isfinite().all()):
            return LinearSolution(x, k, products, residual, "not_finite")
        if not bool(open_.any()):
            return LinearSolution(x, k, products, residual, "converged")
        if k == max_iterations:
            break
        q = apply(p)
        products += 1
        curvature = dot(p, q)
        if bool((open_ & ((curvature <= 0) | (rz <= 0))).any()):
            return LinearSolution(x, k, products, residual, "indefinite")
        # channels that have converged stand still
        alpha = torch.where(open_, ratio(rz, curvature), 0.0)
        x.addcmul_(p, alpha)
        r.addcmul_(q, -alpha)
        z = r if precondition is None else precondition(r)
        previous, rz = rz, dot(r, z)
        p.mul_(ratio(rz, previous)).add_(z)
    return LinearSolution(x, max_iterations, products, residual, "max_iterations")
