"""Symplectic steps for laws of second order, ``d2x/dt2 = force(t, x) - damping v``."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from topodiff.solvers.law import Scalar, System
from topodiff.solvers.march import Carry, march
from topodiff.solvers.problem import Problem
from topodiff.solvers.runge_kutta import combine
from topodiff.solvers.solution import OK, Solution
from topodiff.solvers.stability import stable_counts


class SymplecticEuler:
    """``v' = v + h a(t, x, v)``, ``x' = x + h v'``: order 1, the IMEX step of GraphCON (Rusch et
    al., Graph-coupled oscillator networks, 2022, eq. 3)."""

    def __init__(self, system: System) -> None:
        self.system = system

    def step(self, t: Scalar, h: Scalar, z: Tensor, carry: Carry) -> tuple[Tensor, Carry, str]:
        x, v = z.unbind(0)
        v = combine(v, (1.0,), (self.system.acceleration(t, x, v),), h)
        return torch.stack([combine(x, (1.0,), (v,), h), v]), (), OK


class Leapfrog:
    """Velocity Verlet, ``v = v + h/2 a(x)``, ``x' = x + h v``, ``v' = v + h/2 a(x')``: order 2 and
    one evaluation a step.

    Damping enters explicitly in the first half and implicitly in the second, which keeps the order
    (Hairer, Lubich and Wanner, Geometric numerical integration, 2006, section VI.3).
    """

    def __init__(self, system: System) -> None:
        self.system = system

    def step(self, t: Scalar, h: Scalar, z: Tensor, carry: Carry) -> tuple[Tensor, Carry, str]:
        x, v = z.unbind(0)
        still = torch.zeros_like(v)
        damping = self.system.damping
        force = carry[0] if carry else self.system.acceleration(t, x, still)
        v = v + h / 2 * (force - damping * v)
        x = x + h * v
        force = self.system.acceleration(t + h, x, still)
        v = (v + h / 2 * force) / (1 + h / 2 * damping)
        return torch.stack([x, v]), (force,), OK


def solve(
    problem: Problem,
    solver: str,
    *,
    step_size: float | None = None,
    num_steps: int | None = None,
    allow_unstable: bool = False,
) -> Solution:
    """Leapfrog (verlet) or symplectic Euler.

    Raises:
        ValueError: for leapfrog, if the acceleration depends on velocities by more than the
            damping that the law declares.
    """
    if problem.system.order != 2:
        raise ValueError(
            f"{solver} steps laws of second order (order = 2, acceleration(t, x, v)); "
            f"{problem.system} has order 1: take rk4, dopri5 or an implicit solver"
        )
    counts = stable_counts(problem, solver, step_size, num_steps, allow_unstable)
    if solver == "symplectic_euler":
        return march(problem, SymplecticEuler, counts)
    if counts and not problem.system.linear:
        _check_damping(problem)
    return march(problem, Leapfrog, counts)


@torch.no_grad()
def _check_damping(problem: Problem) -> None:
    """Leapfrog asks for forces at rest, and would lose all other terms in v in silence."""
    system = problem.systems[0]
    x, v = problem.x0.unbind(0)
    v = v + torch.linspace(-1, 1, v.numel(), dtype=v.dtype, device=v.device).reshape(v.shape)
    moving = system.acceleration(0.0, x, v)
    resting = system.acceleration(0.0, x, torch.zeros_like(v)) - system.damping * v
    error, size = (moving - resting).norm(), moving.norm() + resting.norm()
    if error > math.sqrt(torch.finfo(v.dtype).eps) * size:
        raise ValueError(
            f"leapfrog needs acceleration(t, x, v) = force(t, x) - damping v, and {system} depends "
            "on v otherwise: declare its attribute damping, or take dopri5 or an implicit solver"
        )
