"""What a solver returns."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

OK = "ok"


@dataclass(frozen=True)
class Stats:
    """What a solution took, gradients not included.

    Attributes:
        evaluations: of the law, plus applications of operators in linear solves and heat kernels,
            without those that look for the ends of a spectrum.
        steps: accepted steps (for graphs with their own steps: of the graph that made most).
        rejected: steps that were tried and given up.
        iterations: of Krylov methods, restarts included; terms of a Chebyshev expansion.
        residual: largest relative residual that a linear or Newton solve ended with.
        error_bound: bound on ``|x - exact| / |x0|`` (Frobenius norms), where the solver has one:
            in exact arithmetic, but with what rounding leaves of terms of a Chebyshev expansion
            that cancel.
    """

    evaluations: int = 0
    steps: int = 0
    rejected: int = 0
    iterations: int = 0
    residual: float = 0.0
    error_bound: float | None = None


@dataclass(frozen=True)
class Solution:
    """States that a solver reached.

    Attributes:
        x: the state at the end, shaped as x0; with ``save_at``, the states (times, *x0.shape), or
            those rows of them that were asked for. Of a law of second order: the positions.
        ts: the times of x: one number, or (times,). If the status is not ``"ok"`` this is how far
            the solver came: the time of the last good state, or only the saved times before it.
        stats: the work.
        status: ``"ok"``; ``"stopped"`` by the callback; ``"max_steps"``: steps, terms or iterations
            ran out; ``"not_finite"``; ``"no_convergence"`` of a linear or Newton solve, or of a
            heat kernel that rounding keeps from its tolerance; ``"indefinite"``: CG met a direction
            that is not positive; ``"breakdown"``; ``"step_too_small"`` of an adaptive solver.
        v: the velocities, of a law of second order.
    """

    x: Tensor
    ts: Tensor
    stats: Stats
    status: str
    v: Tensor | None = None
