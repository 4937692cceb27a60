"""``exp(-t A) x`` for symmetric operators: by Chebyshev, by Lanczos, with gradients."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from topodiff.kernels.finite import is_finite
from topodiff.operators import LinearOperator
from topodiff.solvers import chebyshev, lanczos
from topodiff.solvers.assembled import assembled
from topodiff.solvers.at_time import at_time
from topodiff.solvers.held import with_aliases
from topodiff.solvers.krylov.solve import default_tolerance
from topodiff.solvers.law import as_float
from topodiff.solvers.problem import Problem
from topodiff.solvers.refuse import refuse_second
from topodiff.solvers.solution import OK, Solution

# for Lanczos, a quarter of a gigabyte of vectors
MEMORY = 1 << 28


def solve_chebyshev(
    problem: Problem, solver: str, *, tol: float | None = None, max_degree: int = 20_000
) -> Solution:
    """The exact heat kernel of a linear law by a Chebyshev expansion on the interval of
    ``spectral_bound()``: about sqrt(2 rho t log(1/tol)) products for all times together.

    Args:
        tol: on the error over ``|x0| max(1, |exp(-t A)|)``, by default eps^(3/4). The a-priori
            bound, over |x0|, of what the expansion leaves out is returned in ``stats.error_bound``,
            with what rounding leaves of terms that cancel where A is not known to be semidefinite:
            if that is beyond tol the status is ``"no_convergence"``. Rounding of products comes on
            top.
        max_degree: where to give up, with status ``"max_steps"`` and the bound reached.
    """
    operator, tol = _prepare(problem, solver, tol)
    if max_degree < 1:
        raise ValueError(f"max_degree must be >= 1, got {max_degree}")
    times = [as_float(t) for t in problem.times]
    with torch.no_grad():
        fast = assembled(operator, problem.x0)
        expansion = chebyshev.expand(fast, times, tol, max_degree)
    system = problem.system
    system.work.evaluations = system.work.iterations = expansion.degree

    def forward(fast: LinearOperator, x: Tensor) -> tuple[Tensor, tuple | None]:
        return chebyshev.propagate(fast, expansion, x)

    states = _propagate(problem, operator, fast, forward, lambda: expansion)
    status = "max_steps" if not expansion.complete else OK if expansion.sound else "no_convergence"
    return _solution(problem, states, status, max(expansion.bound))


def solve_krylov(
    problem: Problem,
    solver: str,
    *,
    tol: float | None = None,
    max_iterations: int = 2000,
    memory: int = MEMORY,
) -> Solution:
    """The exact heat kernel of a linear law in the Krylov space of x0 (Lanczos), which adapts to
    the state: fewer products than Chebyshev where x0 is smooth or the spectrum has outliers.

    Gradients are those of a Chebyshev expansion of the same tolerance, with a warning where
    rounding keeps it from that.

    Args:
        tol: on the error over ``|x0| max(1, |exp(-t A)|)`` (Frobenius norms over all channels), by
            default eps^(3/4); the a-posteriori bound reached, over |x0|, is returned in
            ``stats.error_bound``.
        max_iterations: where to give up, with status ``"max_steps"``.
        memory: bytes for vectors; more vectors are made twice instead of kept.
    """
    operator, tol = _prepare(problem, solver, tol)
    if max_iterations < 1:
        raise ValueError(f"max_iterations must be >= 1, got {max_iterations}")
    times = [as_float(t) for t in problem.times]
    with torch.no_grad():
        fast = assembled(operator, problem.x0)
    found: list[lanczos.Propagated] = []

    def forward(fast: LinearOperator, x: Tensor) -> tuple[Tensor, tuple | None]:
        found.append(lanczos.propagate(fast, times, x, tol, max_iterations, memory))
        return found[0].x, None

    def expansion() -> chebyshev.Expansion:
        found = chebyshev.expand(fast, times, tol, 20_000)
        if not (found.complete and found.sound):
            warnings.warn(
                "the expansion of a backward pass ended with an error of "
                f"{max(found.bound):.2g}: gradients are inexact", stacklevel=2,
            )  # fmt: skip
        return found

    states = _propagate(problem, operator, fast, forward, expansion)
    result = found[0]
    work = problem.system.work
    work.evaluations, work.iterations = result.products, result.iterations
    return _solution(problem, states, OK if result.complete else "max_steps", result.bound)


def _prepare(problem: Problem, solver: str, tol: float | None) -> tuple[LinearOperator, float]:
    system = problem.system
    operator = system.operator(0.0) if system.linear and system.autonomous else None
    if system.order != 1 or operator is None:
        raise ValueError(
            f"{solver} is the exact solution of dx/dt = -A x: it needs a LinearOperator, or a law "
            f"with linear = autonomous = True; got {system}"
        )
    if not operator.symmetric:
        raise ValueError(
            f"{solver} needs a symmetric operator, and {operator} is not known to be one "
            "(operator.symmetric is False): take dopri5 or an implicit solver"
        )
    if problem.callback is not None:
        raise ValueError(f"{solver} makes no steps and takes no callback; use save_at")
    tol = default_tolerance(problem.x0.dtype) if tol is None else float(tol)
    if not tol > 0:
        raise ValueError(f"tol must be positive, got {tol}")
    operator._check_state(problem.x0)
    return operator, tol


def _solution(problem: Problem, states: Tensor, status: str, bound: float) -> Solution:
    x, t = states[0], problem.times[0]
    for number, state in enumerate(states[1:], start=1):
        if not is_finite(state):
            status = "not_finite"
            break
        x, t = state, problem.times[number]
        problem.save(number, x)
    return problem.solution(x, t, status, error_bound=bound)


Forward = Callable[[LinearOperator, Tensor], tuple[Tensor, tuple | None]]


def _propagate(
    problem: Problem,
    operator: LinearOperator,
    fast: LinearOperator,
    forward: Forward,
    expansion: Callable[[], chebyshev.Expansion],
) -> Tensor:
    """The states at all times, connected to x0, to what the operator holds and to the times."""
    x0 = problem.x0
    aliased, held = with_aliases(operator)
    channels = x0.numel() // max(operator.shape[1], 1)
    flat = x0.reshape(operator.shape[1], channels)
    states = _Heat.apply(flat, forward, expansion, fast, aliased, *held)
    states = states.reshape(len(states), *x0.shape)
    rows = []
    for t, state in zip(problem.times, states, strict=True):
        if as_float(t) == 0:
            state = x0
        rows.append(at_time(problem.system, t, state))
    return torch.stack(rows)


class _Heat(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        forward: Forward,
        expansion: Callable[[], chebyshev.Expansion],
        fast: LinearOperator,
        aliased: LinearOperator,
        *held: Tensor,
    ) -> Tensor:
        states, last = forward(fast, x)
        ctx.expansion, ctx.fast, ctx.aliased = expansion, fast, aliased
        ctx.num_last = 0 if last is None or not held else 2
        ctx.save_for_backward(x, *(last or ())[: ctx.num_last], *held)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, *saved = ctx.saved_tensors
        last, held = saved[: ctx.num_last], saved[ctx.num_last :]
        expansion = ctx.expansion()
        if not held:
            return _Adjoint.apply(grads[0], expansion, ctx.fast), *[None] * 4
        refuse_second("an operator whose numbers require gradients")
        if not last:
            last = chebyshev.propagate(ctx.fast, expansion, x)[1]
        for_x, for_held = chebyshev.adjoint_with_parameters(
            ctx.aliased, held, expansion, tuple(last), grads[0]
        )
        return for_x, *[None] * 4, *for_held


class _Adjoint(torch.autograd.Function):
    """``sum_k exp(-t_k A) g_k`` for a constant A, whose own adjoint is the heat kernel again."""

    @staticmethod
    def forward(
        ctx: Any, grads: Tensor, expansion: chebyshev.Expansion, fast: LinearOperator
    ) -> Tensor:
        ctx.expansion, ctx.fast = expansion, fast
        return chebyshev.adjoint(fast, expansion, grads)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        expansion, fast = ctx.expansion, ctx.fast

        def forward(fast: LinearOperator, x: Tensor) -> tuple[Tensor, None]:
            return chebyshev.propagate(fast, expansion, x)[0], None

        return _Heat.apply(grads[0], forward, lambda: expansion, fast, fast), None, None
