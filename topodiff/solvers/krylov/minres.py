"""Minimal residuals for symmetric, possibly indefinite systems."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.operators.krylov import ratio
from topodiff.solvers.krylov.result import LinearSolution, Product, dot, largest


def minimal_residual(
    apply: Product,
    b: Tensor,
    x: Tensor | None,
    tol: float,
    max_iterations: int,
    precondition: Product | None,
) -> LinearSolution:
    """MINRES (Paige and Saunders 1975; Elman, Silvester and Wathen, Finite elements and fast
    iterative solvers, 2014, algorithm 4.1), every channel on its own.

    Residuals are measured in the norm of the preconditioner, which must be positive definite.
    """
    inner = precondition or (lambda v: v)
    size = dot(b, inner(b)).clamp(min=0).sqrt()
    products = 0 if x is None else 1
    v = b.clone() if x is None else b - apply(x)
    x = torch.zeros_like(b) if x is None else x.clone()
    z = inner(v)
    v_old, w, w_old = (torch.zeros_like(b) for _ in range(3))
    gamma = dot(z, v)
    if bool((gamma < 0).any()):
        return LinearSolution(x, 0, products, largest(ratio(v.norm(dim=0), size)), "breakdown")
    gamma = gamma.sqrt()
    eta, gamma_old = gamma, torch.ones_like(gamma)
    s, s_old = torch.zeros_like(gamma), torch.zeros_like(gamma)
    c, c_old = torch.ones_like(gamma), torch.ones_like(gamma)
    for k in range(max_iterations + 1):
        residual = largest(ratio(eta.abs(), size))
        open_ = eta.abs() > tol * size
        if not bool(eta.isfinite().all()):
            return LinearSolution(x, k, products, residual, "not_finite")
        if not bool(open_.any()):
            return LinearSolution(x, k, products, residual, "converged")
        if k == max_iterations:
            break
        z = z * ratio(torch.ones_like(gamma), gamma)
        q = apply(z)
        products += 1
        delta = dot(q, z)
        v_new = q - ratio(delta, gamma) * v - ratio(gamma, gamma_old) * v_old
        z_new = inner(v_new)
        gamma_new = dot(z_new, v_new).clamp(min=0).sqrt()
        a0 = c * delta - c_old * s * gamma
        a1 = torch.hypot(a0, gamma_new)
        a2 = s * delta + c_old * c * gamma
        a3 = s_old * gamma
        if bool((open_ & (a1 == 0)).any()):
            return LinearSolution(x, k, products, residual, "breakdown")
        c_old, c, s_old, s = c, ratio(a0, a1), s, ratio(gamma_new, a1)
        w_old, w = w, (z - a3 * w_old - a2 * w) * ratio(torch.ones_like(a1), a1)
        x = x + torch.where(open_, c * eta, 0.0) * w
        eta = torch.where(open_, -s * eta, eta)
        v_old, v, z = v, v_new, z_new
        gamma_old, gamma = gamma, gamma_new
    return LinearSolution(x, max_iterations, products, residual, "max_iterations")
