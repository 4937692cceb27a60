"""Generalised minimal residuals, restarted."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.operators.krylov import ratio
from topodiff.solvers.krylov.result import LinearSolution, Product, dot, largest, norm

RESTART = 30
# a cycle that leaves more than this of the residual has stalled
_STALLED = 0.9999


def generalized_minimal_residual(
    apply: Product,
    b: Tensor,
    x: Tensor | None,
    tol: float,
    max_iterations: int,
    precondition: Product | None,
) -> LinearSolution:
    """GMRES(30) (Saad and Schultz 1986), preconditioned from the right, every channel on its own.

    For any square matrix. Holds 31 vectors besides the state.
    """
    inner = precondition or (lambda v: v)
    x = torch.zeros_like(b) if x is None else x.clone()
    size = norm(b)
    goal = tol * size
    products = iterations = 0
    previous = float("inf")
    while True:
        r = b - apply(x)
        products += 1
        left = norm(r)
        residual = largest(ratio(left, size))
        if not bool(left.isfinite().all()):
            return LinearSolution(x, iterations, products, residual, "not_finite")
        if not bool((left > goal).any()):
            return LinearSolution(x, iterations, products, residual, "converged")
        if iterations >= max_iterations:
            return LinearSolution(x, iterations, products, residual, "max_iterations")
        if residual > _STALLED * previous:
            return LinearSolution(x, iterations, products, residual, "breakdown")
        previous = residual
        steps = min(RESTART, max_iterations - iterations)
        update, made = _cycle(lambda v: apply(inner(v)), r, goal, steps)
        x = x + inner(update)
        products, iterations = products + made, iterations + made


def _cycle(apply: Product, r: Tensor, goal: Tensor, steps: int) -> tuple[Tensor, int]:
    """Arnoldi's process from r, and the combination of its basis that leaves least of r."""
    left = norm(r)
    basis = r.new_zeros(steps + 1, *r.shape)
    basis[0] = r * ratio(torch.ones_like(left), left)
    upper = r.new_zeros(steps, steps, r.shape[1])
    rhs = r.new_zeros(steps + 1, r.shape[1])
    rhs[0] = left
    rotations: list[tuple[Tensor, Tensor]] = []
    for j in range(steps):
        w = apply(basis[j])
        column = r.new_zeros(j + 1, r.shape[1])
        # Gram and Schmidt twice is enough
        for _ in range(2):
            part = _project(basis[: j + 1], w)
            w = w - _sum(basis[: j + 1], part)
            column += part
        length = norm(w)
        # what rounding has left of a vector in the space
        length = torch.where(length > 10 * torch.finfo(r.dtype).eps * norm(column), length, 0.0)
        basis[j + 1] = w * ratio(torch.ones_like(length), length)
        for i, (c, s) in enumerate(rotations):
            a, d = column[i].clone(), column[i + 1].clone()
            column[i], column[i + 1] = c * a + s * d, c * d - s * a
        diagonal = torch.hypot(column[j], length)
        c, s = ratio(column[j], diagonal), ratio(length, diagonal)
        rotations.append((c, s))
        column[j] = diagonal
        upper[: j + 1, j] = column
        rhs[j], rhs[j + 1] = c * rhs[j], -s * rhs[j]
        if not bool((rhs[j + 1].abs() > goal).any()):
            break
    made = j + 1
    return _combine(basis[:made], upper[:made, :made], rhs[:made]), made


def _project(basis: Tensor, w: Tensor) -> Tensor:
    """(k, channels) dot products of w with each vector."""
    if w.shape[1] == 1:
        return basis.squeeze(2) @ w
    return torch.stack([dot(v, w) for v in basis])


def _sum(basis: Tensor, weights: Tensor) -> Tensor:
    """``sum_k weights[k] v_k``."""
    if weights.shape[1] == 1:
        return basis.squeeze(2).mT @ weights
    out = basis[0] * weights[0]
    for v, weight in zip(basis[1:], weights[1:], strict=True):
        out.addcmul_(v, weight)
    return out


def _combine(basis: Tensor, upper: Tensor, rhs: Tensor) -> Tensor:
    """``sum_k y_k v_k`` with ``R y = g``; directions in which R is singular are left out."""
    matrix = upper.movedim(2, 0).clone()
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    empty = diagonal == 0
    diagonal[empty] = 1.0
    g = torch.where(empty, 0.0, rhs.mT)
    y = torch.linalg.solve_triangular(matrix, g.unsqueeze(2), upper=True).squeeze(2)
    return _sum(basis, y.mT)
