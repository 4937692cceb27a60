"""Linear multistep methods: Adams-Bashforth, and what the implicit ones share."""

from __future__ import annotations

from torch import Tensor

from topodiff.solvers.law import Scalar, System
from topodiff.solvers.march import Carry, march
from topodiff.solvers.problem import Problem
from topodiff.solvers.runge_kutta import combine, stages
from topodiff.solvers.solution import OK, Solution
from topodiff.solvers.stability import stable_counts
from topodiff.solvers.tableaus import ADAMS_BASHFORTH, ADAMS_MOULTON, RK4, Multistep


def check_order(solver: str, order: int) -> int:
    """ValueError unless order is 1 to 4."""
    if order not in ADAMS_BASHFORTH:
        raise ValueError(f"{solver} has orders 1 to 4, got {order!r}")
    return order


class Explicit:
    """Adams-Bashforth; with a corrector, one evaluation to predict and one to correct (PECE).

    The first steps, which have no past yet, are those of RK4.
    """

    def __init__(
        self, system: System, method: Multistep, corrector: Multistep | None = None
    ) -> None:
        self.system, self.method, self.corrector = system, method, corrector

    def step(self, t: Scalar, h: Scalar, x: Tensor, carry: Carry) -> tuple[Tensor, Carry, str]:
        slope = self.system(t, x)
        past = (slope, *carry)
        carry = past[: self.method.history]
        if len(past) <= self.method.history:
            return combine(x, RK4.b, stages(self.system, RK4, t, h, x, slope), h), carry, OK
        predicted = combine(x, self.method.slopes, past, h)
        if self.corrector is None:
            return predicted, carry, OK
        ahead = self.system(t + h, predicted)
        weights = (self.corrector.implicit, *self.corrector.slopes)
        return combine(x, weights, (ahead, *past), h), carry, OK


def adams_bashforth(
    problem: Problem,
    solver: str,
    *,
    order: int = 4,
    step_size: float | None = None,
    num_steps: int | None = None,
    allow_unstable: bool = False,
) -> Solution:
    """Adams and Bashforth, orders 1 to 4, one evaluation a step."""
    method = ADAMS_BASHFORTH[check_order(solver, order)]
    counts = stable_counts(problem, solver, step_size, num_steps, allow_unstable, order)
    return march(problem, lambda system: Explicit(system, method), counts)


def predictor_corrector(
    problem: Problem,
    *,
    order: int,
    step_size: float | None,
    num_steps: int | None,
    allow_unstable: bool,
) -> Solution:
    """Adams-Bashforth to predict, Adams-Moulton of the same order to correct."""
    name = "predictor_corrector"
    counts = stable_counts(problem, name, step_size, num_steps, allow_unstable, order)
    pair = ADAMS_BASHFORTH[order], ADAMS_MOULTON[order]
    return march(problem, lambda system: Explicit(system, *pair), counts)
