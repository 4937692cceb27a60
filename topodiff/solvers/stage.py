"""The equation of an implicit step, ``x - c f(t, x) = b``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.operators import LinearOperator
from topodiff.solvers.assembled import Assembled, assembled
from topodiff.solvers.krylov.solve import LinearSystem, check_options, implicit
from topodiff.solvers.law import Scalar, System, as_float
from topodiff.solvers.newton import NewtonKrylov
from topodiff.solvers.refuse import refuse_transforms
from topodiff.solvers.solution import OK

STATUS = {"converged": OK, "max_iterations": "no_convergence"}


class Stage:
    """Solves ``x - c f(t, x) = b`` and ``x + c A x = b``, with implicit differentiation.

    A linear law takes a Krylov method, any other one Newton's with a Krylov method inside.

    Args:
        system: the law.
        method: cg, minres, gmres, or auto.
        preconditioner: of linear parts: auto, jacobi, chebyshev, None, or a callable.
        tol: relative residual; by default eps^(3/4).
        max_iterations: of one linear solve.
        newton_iterations: of one nonlinear solve.
    """

    def __init__(
        self,
        system: System,
        method: str = "auto",
        preconditioner: Any = "auto",
        tol: float | None = None,
        max_iterations: int = 1000,
        newton_iterations: int = 20,
    ) -> None:
        refuse_transforms()
        check_options(system.like.dtype, method, preconditioner, tol, max_iterations)
        self.system = system
        self.method, self.preconditioner = method, preconditioner
        self.tol, self.max_iterations = tol, max_iterations
        self._known: tuple[LinearOperator, float, LinearSystem] | None = None
        self.newton = NewtonKrylov(system, method, tol, max_iterations, newton_iterations)

    def solve(self, t: Scalar, c: Scalar, b: Tensor, guess: Tensor) -> tuple[Tensor, str]:
        """x and a status; c > 0, a tensor if a gradient to it is wanted."""
        system = self.system
        if system.linear and system.order == 1:
            return self.solve_linear(t, c, b, guess)
        uniform = not isinstance(system.damping, Tensor) or system.damping.numel() == 1
        if system.linear and uniform:
            return self._solve_wave(t, c, b, guess)
        return self.newton.solve(t, c, b, guess)

    def _solve_wave(self, t: Scalar, c: Scalar, b: Tensor, guess: Tensor) -> tuple[Tensor, str]:
        """``x - c v = b_x`` and ``v + c (A x + damping v) = b_v``, with x eliminated: a symmetric
        system where A is symmetric."""
        operator = self.system.operator(t)
        if operator is None:
            return self.newton.solve(t, c, b, guess)
        inverse = 1 / (1 + c * self.system.damping)
        for_v = (b[1] - c * (operator @ b[0])) * inverse
        self.system.work.evaluations += 1
        v, status = self.solve_linear(t, c * c * inverse, for_v, guess[1])
        return torch.stack([b[0] + c * v, v]), status

    def solve_linear(self, t: Scalar, c: Scalar, b: Tensor, guess: Tensor) -> tuple[Tensor, str]:
        """The same with the linear part ``-A x`` in place of f."""
        operator = self.system.operator(t)
        if operator is None:
            raise ValueError(
                f"this solver needs the linear part of the law, and {self.system} has no "
                "linear_operator(t)"
            )
        shifted = self._shifted(operator, as_float(c), b)
        found = shifted.solve(b.detach(), guess.detach())
        self.system.work.evaluations += found.products
        self.system.work.iterations += found.iterations
        self.system.work.residual = max(self.system.work.residual, found.residual)
        x = found.x
        if torch.is_grad_enabled():
            residual, constant = self._residual(operator, c, b, x)
            x = implicit(residual, x, shifted.adjoint, shifted.inverse if constant else None)
        return x, STATUS.get(found.status, found.status)

    def _shifted(self, operator: LinearOperator, c: float, like: Tensor) -> LinearSystem:
        """``I + c A``, made once for each A and c."""
        if self._known is not None and self._known[:2] == (operator, c):
            return self._known[2]
        with torch.no_grad():
            matrix = assembled(operator, like)
            if isinstance(matrix, Assembled):
                shifted: LinearOperator = matrix.affine(c, 1.0)
            else:
                shifted = matrix.identity() + c * matrix
            # I + c A is positive definite where A is semidefinite, and 1 bounds its spectrum
            system = LinearSystem(
                shifted, like.dtype, self.method, self.preconditioner, self.tol,
                self.max_iterations, 1.0 if shifted.positive_semidefinite else None,
            )  # fmt: skip
        self._known = (operator, c, system)
        return system

    def _residual(
        self, operator: LinearOperator, c: Scalar, b: Tensor, x: Tensor
    ) -> tuple[Tensor, bool]:
        """``b - x - c A x``, with its graph, and whether b alone has one; what is constant in it
        does not matter."""
        if not isinstance(c, Tensor) and self.system.constant:
            return b, True
        return b - x - c * (operator @ x), False
