"""The methods of torchdiffeq under their own names and tolerances."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from topodiff.kernels.finite import is_finite
from topodiff.solvers.adjoint import adjoint_parameters, check_reached
from topodiff.solvers.at_time import at_time
from topodiff.solvers.graphs import graph_norm
from topodiff.solvers.law import OperatorLaw, Scalar, System, as_float
from topodiff.solvers.march import DEFAULT_STEPS, step_counts
from topodiff.solvers.problem import Problem
from topodiff.solvers.refuse import first_only
from topodiff.solvers.solution import OK, Solution
from topodiff.solvers.stability import stable_counts
from topodiff.solvers.tolerances import tolerances

ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun")
METHODS = (*ADAPTIVE, "heun2", "heun3", "explicit_adams", "implicit_adams", "fixed_adams")
_MAX_ORDER = 4
Integrate = Callable[..., Tensor]


class _Stop(Exception):
    """Leaves torchdiffeq's loop: a status."""


class _Run:
    """What happens on the way, as torchdiffeq's callbacks tell it.

    Attributes:
        adaptive: whether steps may be rejected.
        steps, rejected: how many were made.
        last: time and state where the last of them ended.
        slope: the last derivative.
        params: with ``backward="adjoint"``, what gradients reach, if that is to be checked.
    """

    def __init__(self, problem: Problem, adaptive: bool, params: tuple[Tensor, ...] | None) -> None:
        self.problem, self.adaptive, self.params = problem, adaptive, params
        self.steps, self.rejected, self.reached = 0, 0, 0
        self.last: tuple[float, Tensor] = (0.0, problem.x0)
        self.slope = problem.x0

    def evaluate(self, system: System, t: Tensor, x: Tensor) -> Tensor:
        found = system(t, x)
        self.slope = found.detach()
        if self.params is not None and torch.is_grad_enabled():
            # in the backward pass, which meets what the law does on the way
            check_reached(found, self.params, (t, x, *self.params))
        return found

    def step(self, t: Tensor, x: Tensor, step: Tensor) -> None:
        """Called before every step, also one that is tried again."""
        if as_float(t) > self.last[0]:
            self.arrive(as_float(t), x)
        if self.steps + self.rejected >= self.problem.max_steps:
            raise _Stop("max_steps")

    def arrive(self, t: float, x: Tensor) -> None:
        """A step has ended here."""
        if not is_finite(x):
            raise _Stop("not_finite")
        self.steps += 1
        self.last = (t, x)
        times = self.problem.times
        # steps end at the times wanted
        while self.reached + 1 < len(times) and t >= as_float(times[self.reached + 1]):
            self.reached += 1
            self.problem.save(self.reached, x)
        if self.problem.stop_here(t, x.detach()):
            raise _Stop("stopped")

    def reject(self, t: Tensor, x: Tensor, step: Tensor) -> None:
        self.rejected += 1


class _Function:
    """The law between two jumps, with the callbacks that torchdiffeq asks for."""

    def __init__(self, run: _Run, system: System) -> None:
        self.run, self.system = run, system
        self.callback_step = run.step
        if run.adaptive:
            self.callback_reject_step = run.reject

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        return self.run.evaluate(self.system, t, x)


def solve(
    problem: Problem,
    solver: str,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    step_size: float | None = None,
    num_steps: int | None = None,
    allow_unstable: bool = False,
    ptr: Tensor | None = None,
    adjoint_params: Any = None,
    **options: Any,
) -> Solution:
    """torchdiffeq's solvers of that name.

    Args:
        rtol, atol: 1e-7 and 1e-9, or 1e-4 and 1e-6 for float32. ``implicit_adams`` corrects its
            steps until they change by less, four times at most, and warns where that is not enough:
            its order is 4 all the same.
        step_size, num_steps, allow_unstable: of the methods with fixed steps, as of rk4. Those of
            Adams start anew at each time of ``save_at``, and all methods where the law jumps.
        ptr: (graphs + 1,) rows of the graphs of a batch: the error is then the largest over the
            graphs of each graph's own norm, so that no graph hides another's error.
        adjoint_params: with ``backward="adjoint"``, the tensors that gradients are to reach.
        options: passed on. ``explicit_adams`` and ``implicit_adams`` get ``max_order=4``, since
            the default of torchdiffeq, 12, diverges; stability is checked for that one alone.
    """
    with torch.inference_mode(False):  # it makes its tableaus now, and keeps them
        import torchdiffeq

    more: dict[str, Any] = dict(zip(
        ("rtol", "atol"), tolerances(problem.x0.dtype, rtol, atol, options.get("first_step")),
        strict=True,
    ))  # fmt: skip
    options = _options(problem, solver, ptr, options)
    counts = None
    if solver in ADAPTIVE:
        if step_size is not None or num_steps is not None or allow_unstable:
            raise ValueError(
                f"{solver} chooses its steps: give rtol and atol, not step_size, num_steps or "
                "allow_unstable"
            )
    elif "grid_constructor" not in options:
        counts = _counts(problem, solver, step_size, num_steps, allow_unstable, options)
    if problem.backward == "checkpoint":
        raise ValueError(
            f"backward='checkpoint' needs a solver of ours (dormand_prince, rk4, ...), not {solver}"
        )
    if len(problem.times) == 1 or problem.x0.numel() == 0:
        for number in range(1, len(problem.times)):
            problem.save(number, problem.x0)
        return problem.solution(problem.x0, problem.times[-1], OK)
    problem.system.prepare(math.inf)
    integrate: Integrate = torchdiffeq.odeint
    checked: tuple[Tensor, ...] | None = None
    if problem.backward == "adjoint":
        integrate = torchdiffeq.odeint_adjoint
        params = more["adjoint_params"] = adjoint_parameters(problem, adjoint_params)
        checked = None if isinstance(problem.system.law, OperatorLaw) else params
        if "norm" in options:
            more["adjoint_options"] = {k: v for k, v in options.items() if k != "norm"}
    run = _Run(problem, solver in ADAPTIVE, checked)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "An adjoint parameter", UserWarning)
        return _integrate(problem, run, integrate, counts, method=solver, options=options, **more)


def _options(problem: Problem, solver: str, ptr: Any, options: dict[str, Any]) -> dict[str, Any]:
    """What goes into torchdiffeq's own dictionary of options."""
    allowed = {
        "first_step", "step_t", "jump_t", "safety", "ifactor", "dfactor", "max_num_steps", "dtype",
        "grid_constructor", "interp", "perturb", "max_order", "max_iters", "norm", "min_step",
        "max_step",
    }  # fmt: skip
    if set(options) - allowed:
        unknown = ", ".join(sorted(set(options) - allowed))
        raise TypeError(f"{solver} has no option {unknown}; it has {', '.join(sorted(allowed))}")
    found = dict(options)
    if ptr is not None:
        if solver not in ADAPTIVE:
            raise ValueError(f"ptr controls errors, and {solver} has fixed steps")
        found["norm"] = graph_norm(ptr, problem.x0, problem.system.order - 1)
    if solver in ADAPTIVE:
        # without a step that ends there, states at given times are interpolated, to low order
        found["step_t"] = _ends(problem, found.get("step_t", ()))
    elif problem.callback is not None:
        raise ValueError(f"{solver} takes no callback; the adaptive and our own solvers do")
    if "adams" in solver:
        found.setdefault("max_order", _MAX_ORDER)
    return found


def _ends(problem: Problem, given: Any) -> Tensor:
    given = torch.as_tensor(given, dtype=torch.float64).tolist()
    times = sorted({*map(as_float, problem.times[1:]), *given})
    return torch.tensor(times, dtype=torch.float64, device=problem.x0.device)


def _counts(
    problem: Problem,
    solver: str,
    step_size: Any,
    num_steps: Any,
    allow_unstable: bool,
    options: dict[str, Any],
) -> list[int]:
    """Steps between consecutive times, of the methods with fixed ones."""
    if options.get("max_order", _MAX_ORDER) == _MAX_ORDER:
        return stable_counts(problem, solver, step_size, num_steps, allow_unstable)
    return step_counts(problem, step_size, num_steps, DEFAULT_STEPS)


def _states(
    problem: Problem,
    run: _Run,
    integrate: Integrate,
    counts: list[int] | None,
    options: dict[str, Any],
    **more: Any,
) -> list[Tensor]:
    """The states at all times after the start; fixed steps go from each of these to the next."""
    values = [as_float(t) for t in problem.times]
    times = torch.tensor(values, dtype=torch.float64, device=problem.x0.device)
    found = [problem.x0]
    if counts is None:
        for first, last in _stretches(problem.systems):
            function, part = _Function(run, problem.systems[first]), times[first : last + 1]
            found += integrate(function, found[-1], part, options=options, **more)[1:]
            run.arrive(values[last], found[-1])
        return found[1:]
    for number, count in enumerate(counts, start=1):
        function = _Function(run, problem.systems[number - 1])
        left = problem.max_steps - run.steps
        grid = {"grid_constructor": _grid(count, left), **options}
        part = times[number - 1 : number + 1]
        found.append(integrate(function, found[-1], part, options=grid, **more)[-1])
        run.arrive(values[number], found[-1])
    return found[1:]


def _stretches(systems: Sequence[System]) -> Iterator[tuple[int, int]]:
    """First and last time of each stretch without a jump."""
    first = 0
    for _, stretch in groupby(systems, key=id):
        last = first + len(list(stretch))
        yield first, last
        first = last


def _grid(count: int, most: int) -> Callable[..., Tensor]:
    """That many equal steps, forward or backward; after ``most`` of them one that is not made."""

    def grid(function: Any, x: Tensor, t: Tensor) -> Tensor:
        start, end = float(t[0]), float(t[-1])
        if count <= most:
            return torch.linspace(start, end, count + 1, dtype=t.dtype, device=t.device)
        end = start + (end - start) * (most / count)
        made = torch.linspace(start, end, most + 1, dtype=t.dtype, device=t.device)
        return torch.cat([made, t[-1:]])

    return grid


def _integrate(
    problem: Problem,
    run: _Run,
    integrate: Integrate,
    counts: list[int] | None,
    **more: Any,
) -> Solution:
    status = OK
    try:
        states = _states(problem, run, integrate, counts, **more)
    except _Stop as stop:
        status = str(stop)
    except AssertionError as error:
        status = _reason(error, run)
    work = {"steps": run.steps, "rejected": run.rejected}
    if status != OK:
        return problem.solution(run.last[1], run.last[0], status, **work)
    t: Scalar = 0.0
    x = problem.x0
    problem.restart()
    for number, state in enumerate(states, start=1):
        if not is_finite(state):
            return problem.solution(x, t, "not_finite", **work)
        t = problem.times[number]
        if problem.backward == "adjoint":
            state = first_only(state, "backward='adjoint'")
        x = at_time(problem.systems[number - 1], t, state)
        problem.save(number, x)
    return problem.solution(x, t, OK, **work)


def _reason(error: AssertionError, run: _Run) -> str:
    """The status that one of torchdiffeq's assertions stands for."""
    reasons = {"underflow": "step_too_small", "non-finite": "not_finite"}
    reasons["max_num_steps"] = "max_steps"
    found = [name for text, name in reasons.items() if text in str(error)]
    if not found:
        raise error
    # steps shrink to nothing also where a derivative is not a number
    if found[0] == "step_too_small" and not is_finite(run.slope):
        return "not_finite"
    return found[0]
