"""Fixed steps from the start to the end, with saves, checkpoints and early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from topodiff.complexes.integers import whole_number
from topodiff.kernels.finite import is_finite
from topodiff.solvers.law import Scalar, System, as_float
from topodiff.solvers.problem import MOST_STEPS, Problem
from topodiff.solvers.solution import OK, Solution

DEFAULT_STEPS = 100
Carry = tuple[Tensor, ...]


class Stepper(Protocol):
    """One method: how it makes a step.

    ``carry`` is what it remembers of earlier steps of the same size; () at the start, after a
    change of the step size, and where the law jumps.
    """

    def step(self, t: Scalar, h: Scalar, x: Tensor, carry: Carry) -> tuple[Tensor, Carry, str]:
        """The state at t + h, what to remember, and a status; not ``"ok"`` if the step failed."""
        ...


class Segment(NamedTuple):
    """Steps first, first + 1, ... of size h from the time ``start`` on."""

    start: Scalar
    h: Scalar
    first: int
    steps: int


def step_counts(problem: Problem, step_size: Any, num_steps: Any, at_least: int) -> list[int]:
    """Number of equal steps between consecutive times: those of size ``step_size`` at most, or
    about ``num_steps`` altogether, or ``at_least`` altogether.

    Raises:
        ValueError: for both, or for numbers that are not positive.
    """
    if step_size is not None and num_steps is not None:
        raise ValueError("give one of step_size and num_steps")
    times = [as_float(t) for t in problem.times]
    if step_size is not None:
        size = float(step_size)
        if not (size > 0 and math.isfinite(size)):
            raise ValueError(f"step_size must be positive, got {step_size}")
    else:
        number = at_least if num_steps is None else whole_number("num_steps", num_steps, 1)
        size = (times[-1] - times[0]) / number if times[-1] > times[0] else 1.0
    return steps_between(times, size)


def steps_between(times: Sequence[float], size: float) -> list[int]:
    """Number of equal steps of at most ``size`` from each time to the next."""
    # a step longer by rounding is not worth one more step
    parts = [(b - a) / size * (1 - 1e-12) - 1e-9 for a, b in pairwise(times)]
    return [max(1, math.ceil(min(part, MOST_STEPS))) for part in parts]


def march(problem: Problem, make: Callable[[System], Stepper], counts: list[int]) -> Solution:
    """Make ``counts[i]`` steps from ``times[i]`` to ``times[i + 1]``, for all i; where the law
    jumps, by a new stepper, which remembers nothing of the law before."""
    problem.system.prepare(sum(counts))
    stepper = make(problem.system)
    system = problem.system
    x, done, last = problem.x0, 0, math.nan
    carry: Carry = ()
    total = min(sum(counts), problem.max_steps)
    length = max(total, 1)
    if problem.backward == "checkpoint" and torch.is_grad_enabled():
        length = math.isqrt(length - 1) + 1
    for number, count in enumerate(counts, start=1):
        start, end = problem.times[number - 1], problem.times[number]
        h = (end - start) / count
        if system is not problem.systems[number - 1]:
            system = problem.systems[number - 1]
            stepper, carry = make(system), ()
        # steps of one size by chance have other derivatives to the times
        if isinstance(h, Tensor) or not math.isclose(h, last, rel_tol=1e-9):
            carry = ()
        last = math.nan if isinstance(h, Tensor) else h
        made = 0
        while made < count:
            size = min(length, count - made, problem.max_steps - done)
            if size == 0:
                return problem.solution(x, start + made * h, "max_steps", steps=done)
            segment = Segment(start, h, made, size)
            x, carry, steps, status = _run(problem, stepper, segment, x, carry)
            made, done = made + steps, done + steps
            if status != OK:
                if made == count and status == "stopped":
                    problem.save(number, x)
                t = end if made == count else start + made * h
                return problem.solution(x, t, status, steps=done)
        problem.save(number, x)
    return problem.solution(x, problem.times[-1], OK, steps=done)


def _run(
    problem: Problem, stepper: Stepper, segment: Segment, x: Tensor, carry: Carry
) -> tuple[Tensor, Carry, int, str]:
    """Up to ``segment.steps`` steps; the state after the last good one, how many were good, why it
    ended."""
    outcome: list[tuple[int, int, str]] = []

    def steps(x: Tensor, *carry: Tensor) -> tuple[Tensor, ...]:
        # a second call comes from the backward pass, and must repeat the first one to the letter
        again = bool(outcome)
        tried, good, status = outcome[0] if again else (segment.steps, 0, OK)
        last: tuple[Tensor, ...] = (x, *carry)
        for k in range(tried):
            t = segment.start + (segment.first + k) * segment.h
            x, carry, found = stepper.step(t, segment.h, last[0], last[1:])
            if again:
                last = (x, *carry) if k < good else last
                continue
            if found == OK and not is_finite(x):
                found = "not_finite"
            if found == OK:
                good, last = k + 1, (x, *carry)
                if problem.stop_here(t + segment.h, x.detach()):
                    found = "stopped"
            if found != OK:
                tried, status = k + 1, found
                break
        if not again:
            outcome.append((tried, good, status))
        return last

    if problem.backward == "checkpoint" and torch.is_grad_enabled():
        x, *rest = checkpoint(steps, x, *carry, use_reentrant=False)
    else:
        x, *rest = steps(x, *carry)
    _, good, status = outcome[0]
    return x, tuple(rest), good, status
