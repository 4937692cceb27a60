"""Implicit in the linear part, explicit in the rest."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from topodiff.solvers.law import Scalar, System
from topodiff.solvers.march import DEFAULT_STEPS, Carry, march, step_counts
from topodiff.solvers.problem import Problem
from topodiff.solvers.runge_kutta import combine
from topodiff.solvers.solution import Solution
from topodiff.solvers.stage import Stage


class Imex:
    """``dx/dt = -A x + r(t, x)``. Order 1: ``(I + h A) x' = x + h r``. Order 2, SBDF2 (Ascher,
    Ruuth and Wetton 1995): ``(3/2 I + h A) x' = 2 x - x_{-1}/2 + h (2 r - r_{-1})``."""

    def __init__(self, system: System, stage: Stage, order: int) -> None:
        self.system, self.stage, self.order = system, stage, order

    def step(self, t: Scalar, h: Scalar, x: Tensor, carry: Carry) -> tuple[Tensor, Carry, str]:
        rest = self.system.rest(t, x)
        if self.order == 1 or not carry:
            b, c = combine(x, (1.0,), (rest,), h), 1.0
        else:
            before, rest_before = carry
            b = combine(4 / 3 * x - before / 3, (4 / 3, -2 / 3), (rest, rest_before), h)
            c = 2 / 3
        new, status = self.stage.solve_linear(t + h, c * h, b, x)
        return new, (x, rest) if self.order == 2 else (), status


def solve(
    problem: Problem,
    solver: str,
    *,
    order: int = 2,
    step_size: float | None = None,
    num_steps: int | None = None,
    method: str = "auto",
    preconditioner: Any = "auto",
    tol: float | None = None,
    max_iterations: int = 1000,
) -> Solution:
    """Steps that are implicit in ``linear_operator(t)`` and explicit in ``rest(t, x)``.

    Args:
        order: 1 or 2.
        method, preconditioner, tol, max_iterations: of the linear solves.
    """
    system = problem.system
    if order not in (1, 2):
        raise ValueError(f"imex has orders 1 and 2, got {order!r}")
    if system.order != 1 or system.operator(0.0) is None:
        raise ValueError(
            f"imex needs a law of first order with linear_operator(t), and {system} is not one: "
            "take an implicit or an explicit solver"
        )
    counts = step_counts(problem, step_size, num_steps, DEFAULT_STEPS)

    def make(system: System) -> Imex:
        return Imex(system, Stage(system, method, preconditioner, tol, max_iterations), order)

    return march(problem, make, counts)
