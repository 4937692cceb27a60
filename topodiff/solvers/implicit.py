"""Implicit methods: backward Euler, Crank-Nicolson, BDF2, Adams-Moulton."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from topodiff.kernels.checks import check_choice
from topodiff.solvers.law import Scalar, System
from topodiff.solvers.march import DEFAULT_STEPS, Carry, march, step_counts
from topodiff.solvers.multistep import check_order, predictor_corrector
from topodiff.solvers.problem import Problem
from topodiff.solvers.runge_kutta import combine
from topodiff.solvers.solution import OK, Solution
from topodiff.solvers.stability import stable_counts
from topodiff.solvers.stage import Stage
from topodiff.solvers.tableaus import (
    ADAMS_MOULTON,
    BACKWARD_EULER,
    BDF2,
    TRAPEZOID,
    Multistep,
)

_G = (3 + math.sqrt(3)) / 6
METHODS = {"implicit_euler": BACKWARD_EULER, "crank_nicolson": TRAPEZOID, "bdf2": BDF2}


class Implicit:
    """``x' - h implicit f(t + h, x') = sum of past states and derivatives``.

    Missing past: BDF2 starts with backward Euler, Adams-Moulton of order 3 and 4 with a method
    that is stable for all steps, as these may start anew at many times.
    """

    def __init__(self, system: System, method: Multistep, stage: Stage) -> None:
        self.system, self.method, self.stage = system, method, stage

    def step(self, t: Scalar, h: Scalar, x: Tensor, carry: Carry) -> tuple[Tensor, Carry, str]:
        method, history = self.method, self.method.history
        if not method.slopes:
            past = (x, *carry)
            if len(past) <= history:
                method = BACKWARD_EULER
            b = method.states[0] * x
            for weight, state in zip(method.states[1:], past[1:], strict=False):
                b = b + weight * state
        else:
            past = (self.system(t, x), *carry)
            if len(past) <= history:
                new, status = self._start(t, h, x)
                return new, past[:history], status
            b = combine(x, method.slopes, past, h)
        new, status = self.stage.solve(t + h, method.implicit * h, b, x)
        return new, past[:history], status

    def _start(self, t: Scalar, h: Scalar, x: Tensor) -> tuple[Tensor, str]:
        """A-stable, of order 3 (Crouzeix 1975): ``k_1 = f(x + g h k_1)``, ``k_2 = f(x + (1 - 2 g) h
        k_1 + g h k_2)``, ``x' = x + h (k_1 + k_2) / 2``."""
        first, status = self.stage.solve(t + _G * h, _G * h, x, x)
        if status != OK:
            return x, status
        moved = (first - x) / _G
        b = x + (1 - 2 * _G) * moved
        second, status = self.stage.solve(t + (1 - _G) * h, _G * h, b, first)
        return x + (moved + (second - b) / _G) / 2, status


def solve(
    problem: Problem,
    solver: str,
    *,
    step_size: float | None = None,
    num_steps: int | None = None,
    method: str = "auto",
    preconditioner: Any = "auto",
    tol: float | None = None,
    max_iterations: int = 1000,
    newton_iterations: int = 20,
) -> Solution:
    """Backward Euler (order 1, L-stable, energies fall whatever the step), Crank-Nicolson (2,
    A-stable: fast modes oscillate for large steps) and BDF2 (2, L-stable).

    Args:
        method: of the linear solves: cg, minres, gmres; auto goes by the operator.
        preconditioner: of linear laws: jacobi (block Jacobi), chebyshev, None, a callable; auto.
        tol: relative residual of each solve, by default eps^(3/4).
        max_iterations: of a linear solve; newton_iterations: of Newton's method, for laws that are
            not linear.
    """
    options = method, preconditioner, tol, max_iterations, newton_iterations
    counts = step_counts(problem, step_size, num_steps, DEFAULT_STEPS)
    return march(problem, _make(METHODS[solver], options), counts)


def _make(method: Multistep, options: tuple[Any, ...]) -> Callable[[System], Implicit]:
    """Steps of a law, with the options of :class:`Stage`."""
    return lambda system: Implicit(system, method, Stage(system, *options))


def adams_moulton(
    problem: Problem,
    solver: str,
    *,
    order: int = 4,
    mode: str = "auto",
    step_size: float | None = None,
    num_steps: int | None = None,
    allow_unstable: bool = False,
    method: str = "auto",
    preconditioner: Any = "auto",
    tol: float | None = None,
    max_iterations: int = 1000,
    newton_iterations: int = 20,
) -> Solution:
    """Adams and Moulton, orders 1 to 4.

    Args:
        mode: ``"implicit"``: each step solves its equation; ``"predictor_corrector"``:
            Adams-Bashforth predicts, one evaluation corrects; ``"auto"``: implicit for linear laws.
    """
    formula = ADAMS_MOULTON[check_order(solver, order)]
    check_choice("mode", mode, ("auto", "implicit", "predictor_corrector"))
    linear = problem.system.linear and problem.system.order == 1
    if mode == "predictor_corrector" or (mode == "auto" and not linear):
        return predictor_corrector(
            problem, order=order, step_size=step_size, num_steps=num_steps,
            allow_unstable=allow_unstable,
        )  # fmt: skip
    options = method, preconditioner, tol, max_iterations, newton_iterations
    counts = stable_counts(problem, solver, step_size, num_steps, allow_unstable, order)
    return march(problem, _make(formula, options), counts)
