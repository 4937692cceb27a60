"""The question put to a solver, checked before any work."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from topodiff.complexes.integers import whole_number
from topodiff.kernels.checks import check_choice
from topodiff.kernels.finite import is_finite
from topodiff.operators import LinearOperator
from topodiff.solvers.at_time import at_time
from topodiff.solvers.law import Scalar, System, as_float
from topodiff.solvers.refuse import refuse_transforms
from topodiff.solvers.solution import Solution, Stats

# as near as float32 brings a last time to be saved and the end
_NEAR = 4 * torch.finfo(torch.float32).eps
# more than will ever be made, for quotients that overflow
MOST_STEPS = 1e18
BACKWARD = ("direct", "checkpoint", "adjoint")
State = Tensor | tuple[Tensor, Tensor]


@dataclass
class Problem:
    """``x(0) = x0``; wanted are the states at the last times, or at those of ``save_at``.

    Attributes:
        system: the law.
        systems: the law from each time to the next; the same one but where it jumps.
        x0: the state, (2, *shape) for a law of second order.
        times: 0, the times to stop at (saves, and where the law jumps), the end; rising.
        start: the first of these, a tensor if a gradient to it is wanted.
        wanted: whether the state at each of them is to be returned.
        single: one state at the end is wanted, without a dimension for times.
        rows: which rows of these states are returned, all if None.
        callback: called with (t, state) after each step; a true result stops.
        backward: direct, checkpoint or adjoint.
        max_steps: where to give up.
    """

    system: System
    systems: list[System]
    x0: Tensor
    times: list[Scalar]
    start: Scalar
    wanted: list[bool]
    single: bool
    rows: Tensor | None = None
    callback: Callable[[float, State], Any] | None = None
    backward: str = "direct"
    max_steps: int = 100_000
    saved: list[Tensor] = field(default_factory=list)
    saved_at: list[Scalar] = field(default_factory=list)

    @property
    def end(self) -> float:
        return as_float(self.times[-1])

    def save(self, number: int, x: Tensor) -> None:
        """Keep the state at ``times[number]`` if it is wanted."""
        if self.wanted[number]:
            self.keep(number, self.chosen(x))

    def keep(self, number: int, rows: Tensor) -> None:
        """Keep the chosen rows of the state at ``times[number]`` if it is wanted."""
        if self.wanted[number]:
            self.saved.append(rows)
            self.saved_at.append(self.times[number])

    def chosen(self, x: Tensor) -> Tensor:
        """The rows that are to be returned."""
        return x if self.rows is None else x.index_select(self.system.order - 1, self.rows)

    def restart(self) -> None:
        """Forget all states but the first."""
        self.saved.clear()
        self.saved_at.clear()
        self.save(0, at_time(self.system, self.start, self.x0))

    def stop_here(self, t: Scalar, x: Tensor) -> bool:
        """Ask the callback."""
        if self.callback is None:
            return False
        state: State = x if self.system.order == 1 else (x[0], x[1])
        return bool(self.callback(as_float(t), state))

    def solution(self, x: Tensor, t: Scalar, status: str, **stats: Any) -> Solution:
        """The answer, with x and t the last good state and its time."""
        system = self.system
        found = Stats(**{**vars(system.work), **stats})
        dim = 0
        if self.single:
            x = at_time(system, self.start, x) if len(self.times) == 1 else x
            ts = self._times([t])[0]
        else:
            ts = self._times(self.saved_at)
            x = self.chosen(x)
            x = torch.stack(self.saved) if self.saved else x.new_empty(0, *x.shape)
            dim = 1
        if system.order == 1:
            return Solution(x, ts, found, status)
        # the gradient of unbind is one stack, those of two selects are two arrays of zeros
        position, velocity = x.unbind(dim)
        return Solution(position, ts, found, status, velocity)

    def _times(self, times: Sequence[Scalar]) -> Tensor:
        return torch.tensor(
            [as_float(t) for t in times], dtype=torch.float64, device=self.x0.device
        )


def make_problem(
    law: Any,
    x0: Any,
    t: Any,
    save_at: Any,
    save_rows: Any,
    backward: str,
    callback: Any,
    max_steps: int,
) -> Problem:
    """Check everything that does not depend on the solver."""
    check_choice("backward", backward, BACKWARD)
    whole_number("max_steps", max_steps, 1)
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {type(callback).__name__}")
    first, second = x0 if isinstance(x0, (tuple, list)) and len(x0) == 2 else (x0, None)
    _check_state("x0", first)
    system = System(law, first)
    if system.order == 2:
        second = torch.zeros_like(first) if second is None else second
        _check_state("the velocity in x0 = (x, v)", second)
        if second.shape != first.shape or second.dtype != first.dtype:
            raise ValueError(
                f"x0 = (x, v) must be alike, got {tuple(first.shape)} of {first.dtype} and "
                f"{tuple(second.shape)} of {second.dtype}"
            )
        first = torch.stack([first, second])
    elif second is not None:
        raise ValueError(f"the state of a law of first order is one tensor, got a pair for {law!r}")
    if isinstance(law, LinearOperator) or hasattr(law, "linear_operator"):
        refuse_transforms()
    if isinstance(law, LinearOperator):
        law._check_square()
        law._check_state(first)
    times, wanted, single = _check_times(t, save_at)
    rows = None if save_rows is None else _check_rows(save_rows, single, first, system.order)
    # steps count from 0, whose derivative is that of the state there alone
    start, times[0] = times[0], 0.0
    breaks = system.breaks()
    _stop_at(breaks, times, wanted)
    systems = _between(system, breaks, times)
    problem = Problem(
        system, systems, first, times, start, wanted, single, rows, callback, backward, max_steps
    )
    problem.restart()
    return problem


def _stop_at(breaks: list[float], times: list[Scalar], wanted: list[bool]) -> None:
    """Add breaks to the times, unless they are among them up to rounding."""
    end = as_float(times[-1])
    for t in breaks:
        values = [as_float(s) for s in times]
        if 0 < t < end and min(abs(s - t) for s in values) > _NEAR * end:
            number = bisect(values, t)
            times.insert(number, t)
            wanted.insert(number, False)


def _between(system: System, breaks: list[float], times: list[Scalar]) -> list[System]:
    """The law from each time to the next."""
    if not breaks:
        return [system] * (len(times) - 1)
    found: dict[int, System] = {}
    parts = []
    for start, end in pairwise(map(as_float, times)):
        part = bisect(breaks, (start + end) / 2)
        if part not in found:
            found[part] = system.within(start, end)
        parts.append(found[part])
    return parts


def _check_state(name: str, x: Any) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        given = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"{name} must be a floating-point tensor, got {given}")
    if x.dim() == 0:
        raise ValueError(f"{name} must have a dimension for cells, (n, *channels); got a number")
    if not is_finite(x):
        where = tuple((~x.detach().isfinite()).nonzero()[0].tolist())
        raise ValueError(f"{name} is not finite: entry {where} is {float(x[where])}")


def _check_rows(rows: Any, single: bool, x: Tensor, order: int) -> Tensor:
    if single:
        raise ValueError("save_rows goes with save_at: the state at the end has all its rows")
    n = x.shape[order - 1]
    if not isinstance(rows, Tensor) or rows.dtype != torch.int64 or rows.dim() != 1:
        raise TypeError("save_rows must be a tensor (rows,) of int64, the numbers of rows")
    if rows.numel() and not (int(rows.min()) >= 0 and int(rows.max()) < n):
        raise ValueError(
            f"save_rows must be rows 0 to {n - 1} of the state, got {int(rows.min())} to "
            f"{int(rows.max())}"
        )
    return rows.to(x.device)


def _check_times(t: Any, save_at: Any) -> tuple[list[Scalar], list[bool], bool]:
    end = _scalar("t", t)
    if as_float(end) < 0:
        raise ValueError(
            f"t is {as_float(end)}, but time runs forward from 0; to go back, solve -f(-t, x)"
        )
    if save_at is None:
        return ([end], [True], True) if as_float(end) == 0 else ([0.0, end], [False, True], True)
    saves = _saves(save_at)
    times = [_scalar(f"save_at[{i}]", s) for i, s in enumerate(saves)]
    values = [as_float(s) for s in times]
    for i, (a, b) in enumerate(pairwise(values)):
        if not a < b:
            raise ValueError(
                f"save_at must rise: save_at[{i + 1}] = {b} comes after {a}; use sorted(set(...))"
            )
    if values and abs(values[-1] - as_float(end)) <= _NEAR * as_float(end):
        end = times[-1]
    if values and (values[0] < 0 or values[-1] > as_float(end)):
        raise ValueError(
            f"save_at must lie between 0 and t = {as_float(end)}, got {values[0]} to {values[-1]}"
        )
    wanted = [True] * len(times)
    if not values or values[0] > 0:
        times, wanted = [0.0, *times], [False, *wanted]
    if as_float(times[-1]) < as_float(end):
        times, wanted = [*times, end], [*wanted, False]
    return times, wanted, False


def _saves(save_at: Any) -> list[Any]:
    if isinstance(save_at, Tensor) and save_at.dim():
        return list(save_at.unbind(0))
    if isinstance(save_at, Tensor) or not hasattr(save_at, "__iter__"):
        raise TypeError(
            f"save_at must be rising times, a list or a tensor (times,), got {save_at!r}"
        )
    return list(save_at)


def _scalar(name: str, t: Any) -> Scalar:
    """A number, or a tensor without dimensions that requires a gradient."""
    if isinstance(t, Tensor):
        if t.numel() != 1 or not (t.is_floating_point() or t.dtype == torch.int64):
            raise TypeError(f"{name} must be one real number, got a tensor {tuple(t.shape)}")
        value: Scalar = t.reshape(()).double() if t.requires_grad else as_float(t)
    elif isinstance(t, (int, float)) and not isinstance(t, bool):
        value = as_float(t)
    else:
        try:
            value = float(t.item())
        except (AttributeError, ValueError, TypeError):
            raise TypeError(f"{name} must be one real number, got {t!r}") from None
    if not math.isfinite(as_float(value)):
        raise ValueError(f"{name} must be finite, got {as_float(value)}")
    return value
