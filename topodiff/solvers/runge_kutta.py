"""Explicit Runge-Kutta methods."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from topodiff.solvers.law import Scalar, System
from topodiff.solvers.march import Carry, march
from topodiff.solvers.problem import Problem
from topodiff.solvers.solution import OK, Solution
from topodiff.solvers.stability import stable_counts
from topodiff.solvers.tableaus import EULER, HEUN, MIDPOINT, RK4, Tableau

TABLEAUS = {"euler": EULER, "midpoint": MIDPOINT, "heun": HEUN, "rk4": RK4}


def combine(x: Tensor, weights: Sequence[float], slopes: Sequence[Tensor], h: Scalar) -> Tensor:
    """``x + h sum_i w_i k_i``; h a number, or a tensor that broadcasts."""
    total: Tensor | None = None
    for weight, slope in zip(weights, slopes, strict=False):
        if weight:
            total = weight * slope if total is None else torch.add(total, slope, alpha=weight)
    if total is None:
        return x
    return torch.add(x, total, alpha=h) if isinstance(h, float) else x + h * total


def stages(
    system: System, tableau: Tableau, t: Scalar, h: Scalar, x: Tensor, first: Tensor | None = None
) -> list[Tensor]:
    """The derivatives k_i of one step; ``first`` is k_0 where it is known."""
    slopes = [system(t, x) if first is None else first]
    for row, c in zip(tableau.a, tableau.c[1:], strict=True):
        # steps that differ between rows belong to laws that do not depend on t
        now = t if isinstance(h, Tensor) and h.dim() else t + c * h
        slopes.append(system(now, combine(x, row, slopes, h)))
    return slopes


class RungeKutta:
    """Steps by a tableau."""

    def __init__(self, system: System, tableau: Tableau) -> None:
        self.system, self.tableau = system, tableau

    def step(self, t: Scalar, h: Scalar, x: Tensor, carry: Carry) -> tuple[Tensor, Carry, str]:
        slopes = stages(self.system, self.tableau, t, h, x)
        return combine(x, self.tableau.b, slopes, h), (), OK


def solve(
    problem: Problem,
    solver: str,
    *,
    step_size: float | None = None,
    num_steps: int | None = None,
    allow_unstable: bool = False,
) -> Solution:
    """Euler (order 1), midpoint, Heun (2) and the classical method of Runge and Kutta (4)."""
    counts = stable_counts(problem, solver, step_size, num_steps, allow_unstable)
    return march(problem, lambda system: RungeKutta(system, TABLEAUS[solver]), counts)
