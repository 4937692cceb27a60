"""The methods of torchdiffeq under their own names and tolerances."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from topodiff.solvers.adjoint import adjoint_parameters
from topodiff.solvers.graphs import graph_norm
from topodiff.solvers.law import Scalar, as_float
from topodiff.solvers.problem import Problem, is_finite
from topodiff.solvers.solution import OK, Solution

ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun")
METHODS = (*ADAPTIVE, "heun2", "heun3", "explicit_adams", "implicit_adams", "fixed_adams")
_EVALUATIONS_A_STEP = 16


class _Stop(Exception):
    """Leaves torchdiffeq's loop: a status."""


class _Function(torch.nn.Module):
    """The law with the counts and callbacks that torchdiffeq asks for."""

    def __init__(self, problem: Problem, method: str) -> None:
        super().__init__()
        self.problem, self.method = problem, method
        self.accepted, self.rejected = 0, 0
        self.last: tuple[float, Tensor] = (0.0, problem.x0)
        self.reached = 0
        self.limit = problem.system.evaluations + _EVALUATIONS_A_STEP * problem.max_steps
        self.forward_pass = True
        if method in ADAPTIVE:
            self.callback_accept_step = self._accept
            self.callback_reject_step = self._reject

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        if self.forward_pass and self.problem.system.evaluations >= self.limit:
            raise _Stop("max_steps")
        return self.problem.system(t, x)

    def _accept(self, t: Tensor, x: Tensor, step: Tensor) -> None:
        """Called before the state moves on: x and t are those of the step's start."""
        self.accepted += 1
        self.last = (as_float(t), x)
        times = self.problem.times
        # steps end at the times wanted, so a state wanted is the start of a step
        while self.reached + 1 < len(times) and as_float(t) >= as_float(times[self.reached + 1]):
            self.reached += 1
            self.problem.save(self.reached, x)
        if self.accepted > self.problem.max_steps:
            raise _Stop("max_steps")
        if self.accepted > 1 and self.problem.stop_here(as_float(t), x.detach()):
            raise _Stop("stopped")

    def _reject(self, t: Tensor, x: Tensor, step: Tensor) -> None:
        self.rejected += 1
        if self.accepted + self.rejected > self.problem.max_steps:
            raise _Stop("max_steps")


def solve(
    problem: Problem,
    solver: str,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    step_size: float | None = None,
    ptr: Tensor | None = None,
    adjoint_params: Any = None,
    **options: Any,
) -> Solution:
    """torchdiffeq's solvers of that name.

    Args:
        rtol, atol: 1e-7 and 1e-9, or 1e-4 and 1e-6 for float32.
        step_size: of the methods with fixed steps; a hundredth of the time by default.
        ptr: (graphs + 1,) rows of the graphs of a batch: the error is then the largest over the
            graphs of each graph's own norm, so that no graph hides another's error.
        adjoint_params: with ``backward="adjoint"``, the tensors that gradients are to reach.
        options: passed on. ``explicit_adams`` and ``implicit_adams`` get ``max_order=4``, since
            the default of torchdiffeq, 12, diverges.
    """
    with torch.inference_mode(False):  # it makes its tableaus now, and keeps them
        import torchdiffeq

    if len(problem.times) == 1 or problem.x0.numel() == 0:
        for number in range(1, len(problem.times)):
            problem.save(number, problem.x0)
        return problem.solution(problem.x0, problem.times[-1], OK)
    single = problem.x0.dtype != torch.float64
    tolerances: dict[str, Any] = {
        "rtol": (1e-4 if single else 1e-7) if rtol is None else rtol,
        "atol": (1e-6 if single else 1e-9) if atol is None else atol,
    }
    options = _options(problem, solver, step_size, ptr, options)
    function = _Function(problem, solver)
    problem.system.prepare(math.inf)
    integrate: Callable[..., Tensor] = torchdiffeq.odeint
    if problem.backward == "checkpoint":
        raise ValueError(
            f"backward='checkpoint' needs a solver of ours (dormand_prince, rk4, ...), not {solver}"
        )
    if problem.backward == "adjoint":
        integrate = torchdiffeq.odeint_adjoint
        tolerances["adjoint_params"] = adjoint_parameters(problem, adjoint_params)
        if "norm" in options:
            tolerances["adjoint_options"] = {k: v for k, v in options.items() if k != "norm"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "An adjoint parameter", UserWarning)
        return _integrate(problem, function, integrate, solver, options, tolerances)


def _options(
    problem: Problem, solver: str, step_size: Any, ptr: Any, options: dict[str, Any]
) -> dict[str, Any]:
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
        if step_size is not None:
            raise ValueError(f"{solver} chooses its steps: give rtol and atol, not step_size")
        # without a step that ends there, states at given times are interpolated, to low order
        found.setdefault("step_t", _ends(problem))
        found.setdefault("max_num_steps", problem.max_steps)
        return found
    if problem.callback is not None:
        raise ValueError(f"{solver} takes no callback; the adaptive and our own solvers do")
    found.setdefault("step_size", problem.end / 100 if step_size is None else float(step_size))
    if problem.end / found["step_size"] > problem.max_steps:
        raise ValueError(
            f"steps of {found['step_size']:.3g} to t = {problem.end:.3g} are more than "
            f"max_steps = {problem.max_steps}"
        )
    if "adams" in solver:
        found.setdefault("max_order", 4)
    return found


def _ends(problem: Problem) -> Tensor:
    times = [as_float(t) for t in problem.times[1:]]
    return torch.tensor(times, dtype=torch.float64, device=problem.x0.device)


def _integrate(
    problem: Problem,
    function: _Function,
    integrate: Callable[..., Tensor],
    solver: str,
    options: dict[str, Any],
    more: dict[str, Any],
) -> Solution:
    times = torch.stack([torch.as_tensor(t, dtype=torch.float64) for t in problem.times])
    times = times.to(problem.x0.device)
    status = OK
    try:
        xs = integrate(function, problem.x0, times, method=solver, options=options, **more)
    except _Stop as stop:
        status = str(stop)
    except AssertionError as error:
        reasons = {"underflow": "step_too_small", "non-finite": "not_finite"}
        reasons["max_num_steps"] = "max_steps"
        found = [name for text, name in reasons.items() if text in str(error)]
        if not found:
            raise
        status = found[0]
    function.forward_pass = False
    work = {"steps": function.accepted, "rejected": function.rejected}
    if status != OK:
        return problem.solution(function.last[1], function.last[0], status, **work)
    t: Scalar = 0.0
    x = problem.x0
    problem.restart()
    for number, state in enumerate(xs[1:], start=1):
        if not is_finite(state):
            return problem.solution(x, t, "not_finite", **work)
        t, x = problem.times[number], state
        problem.save(number, x)
    return problem.solution(x, t, OK, **work)
