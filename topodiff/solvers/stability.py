"""Which explicit steps are stable, from the spectrum of the operator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from topodiff.operators import LinearOperator, lanczos
from topodiff.solvers.amplification import growth
from topodiff.solvers.law import as_float
from topodiff.solvers.march import DEFAULT_STEPS, step_counts
from topodiff.solvers.problem import MOST_STEPS, Problem

# Stability intervals on the negative real axis, h |lambda| <= limit (Hairer and Wanner, Solving
# ordinary differential equations II, sections IV.2 and V.1). Predictor-corrector pairs PECE: the
# largest z for which no root of the characteristic polynomial leaves the unit disk.
LIMITS = {
    "euler": 2.0,
    "midpoint": 2.0,
    "heun": 2.0,
    "rk4": 2.785293563405282,
    "adams_bashforth": {1: 2.0, 2: 1.0, 3: 6 / 11, 4: 3 / 10},
    "adams_moulton": {1: math.inf, 2: math.inf, 3: 6.0, 4: 3.0},
    "predictor_corrector": {1: 1.0, 2: 2.0, 3: 1.7287, 4: 1.2848},
    "heun2": 2.0,
    "heun3": 2.5127453266183286,
    # with max_order = 4 the predictor is that of order 3; corrected four times at most, measured
    "explicit_adams": 6 / 11,
    "implicit_adams": 1.59,
    "fixed_adams": 1.59,
    "implicit_euler": math.inf,
    "crank_nicolson": math.inf,
    "bdf2": math.inf,
    "imex": math.inf,
    "chebyshev": math.inf,
    "krylov": math.inf,
    "uniformization": math.inf,
}
# h sqrt(lambda) <= limit for d2x/dt2 = -A x
OSCILLATORS = {"leapfrog": 2.0, "verlet": 2.0, "symplectic_euler": 2.0}
# where laws that depend on time are looked at, besides their jumps
_SAMPLES = 17
# frequencies of waves that are looked at
_MODES = 65


def limit(solver: str, order: int | None = None) -> float:
    """The stability limit of a solver, of Adams methods that of the given order."""
    known: dict[str, Any] = {**LIMITS, **OSCILLATORS}
    if solver not in known:
        raise ValueError(
            f"no stability limit is known for {solver!r}, only for {', '.join(known)}; adaptive "
            "solvers find their steps themselves"
        )
    found = known[solver]
    if not isinstance(found, dict):
        return found
    order = 4 if order is None else order
    if order not in found:
        raise ValueError(f"{solver} has orders 1 to 4, got {order!r}")
    return found[order]


@torch.no_grad()
def radius_bound(operator: LinearOperator) -> float:
    """Upper bound of the spectral radius: that of the norm for symmetric operators; else the
    smaller of largest row sum and largest column sum of absolute values."""
    if operator.symmetric:
        return operator.spectral_bound()
    if 0 in operator.shape:
        return 0.0
    absolute = operator._absolute()
    dtype, device = operator._any_dtype(), operator.device
    rows = absolute._apply(torch.ones(*operator.col_shape, 1, dtype=dtype, device=device))
    ones = torch.ones(*operator.row_shape, 1, dtype=dtype, device=device)
    return min(float(rows.max()), float(absolute._apply_transpose(ones).max()))


def largest_stable_step(
    solver: str, operator: LinearOperator, *, order: int | None = None, damping: float = 0.0
) -> float:
    """A step that is certain to be stable for ``dx/dt = -A x`` (leapfrog and symplectic_euler:
    ``d2x/dt2 = -A x - damping dx/dt``) with real eigenvalues >= 0, the largest that
    ``A.spectral_bound()`` allows; infinite for solvers that are stable with every step.

    Args:
        solver: name of a solver that is not adaptive, or ``"predictor_corrector"``.
        operator: A.
        order: of Adams methods; 4 by default.
    """
    return _step(solver, order, damping, radius_bound(operator))


def _step(solver: str, order: int | None, damping: float, radius: float) -> float:
    allowed = limit(solver, order)
    if solver == "symplectic_euler" and damping > 0:
        # 1 - h a and 2 - h a - h^2 w^2 as in the triangle of Jury: h^2 w^2 + 2 h a <= 4
        return 4 / (damping + math.sqrt(damping**2 + 4 * radius))
    if radius == 0 or allowed == math.inf:
        return math.inf
    return allowed / (math.sqrt(radius) if solver in OSCILLATORS else radius)


class _Method(NamedTuple):
    """A solver and what decides on its steps besides the spectral radius.

    Attributes:
        damping: the least and the largest, of laws of second order.
        wave: whether it is a solver for first order that is to solve a law of second order.
        end: of time.
    """

    solver: str
    order: int | None
    damping: tuple[float, float]
    wave: bool
    end: float

    def step(self, radius: float) -> float:
        """The longest step that is stable up to this spectral radius. Waves lie on the imaginary
        axis, where many methods (euler, heun, ...) are stable with no step: there no mode may grow
        by more than e from the start to the end."""
        if not self.wave:
            return _step(self.solver, self.order, self.damping[1], radius)
        few, many = 0, 1
        while many < MOST_STEPS and not self._is_calm(self.end / many, radius):
            few, many = many, 2 * many
        while many - few > max(1, many // 1000):
            middle = (few + many) // 2
            if self._is_calm(self.end / middle, radius):
                many = middle
            else:
                few = middle
        return self.end / many

    def _is_calm(self, h: float, radius: float) -> bool:
        frequency = np.linspace(0, math.sqrt(radius), _MODES)
        for damping in set(self.damping):
            root = np.sqrt(damping**2 / 4 - frequency**2 + 0j)
            mu = np.concatenate([root, -root]) - damping / 2
            grown = np.log(growth(self.solver, self.order, h * mu)) - h * mu.real.clip(min=0)
            if not grown.max() * self.end / h <= 1:
                return False
        return True


def stable_counts(
    problem: Problem,
    solver: str,
    step_size: float | None,
    num_steps: int | None,
    allow_unstable: bool,
    order: int | None = None,
) -> list[int]:
    """Steps between consecutive times; by default 100, or as many as stability asks for, 9/10 of
    the limit each, if the law says what decides: by ``linear_operator(t)``, or that of
    ``frozen(t, x)`` at the start.

    Raises:
        ValueError: for a step beyond the stability limit of a linear law, which is a warning if
            that is allowed, or if the law has more than a linear part.
    """
    stiffest = _stiffest(problem) if limit(solver, order) < math.inf else None
    if stiffest is None:
        return step_counts(problem, step_size, num_steps, DEFAULT_STEPS)
    wave = problem.system.order == 2 and solver not in OSCILLATORS
    method = _Method(solver, order, _damping(problem), wave, problem.end)
    safe = method.step(stiffest.radius)
    needed = min(problem.end / (0.9 * safe), MOST_STEPS)
    counts = step_counts(problem, step_size, num_steps, max(DEFAULT_STEPS, math.ceil(needed)))
    times = pairwise(as_float(t) for t in problem.times)
    step = max((b - a) / count for (a, b), count in zip(times, counts, strict=True))
    if step > safe * (1 + 1e-6) and not _is_short(step, method, stiffest.operator):
        _complain(problem, solver, step, safe, allow_unstable)
    return counts


class _Stiffest(NamedTuple):
    """The operator of largest spectral bound among those at all times."""

    radius: float
    operator: LinearOperator


@torch.no_grad()
def _stiffest(problem: Problem) -> _Stiffest | None:
    """None if nothing is known, or there is no time to step through."""
    if problem.end == 0:
        return None
    bounds = [_Stiffest(radius_bound(a), a) for a in _operators(problem) if a is not None]
    found = max(bounds, key=lambda bound: bound.radius, default=None)
    # what is not finite shows on the way
    return found if found is not None and math.isfinite(found.radius) else None


def _operators(problem: Problem) -> Iterator[LinearOperator | None]:
    """The linear part: after each jump, and here and there if the law depends on time."""
    system = problem.system
    jumps = [0.0]
    for t, (before, after) in zip(problem.times[1:], pairwise(problem.systems), strict=False):
        if after is not before:
            jumps.append(as_float(t))
    if system.operator(0.0) is None:
        # neighbours of a graph that moves are not searched for once more
        if hasattr(system.law, "frozen") and getattr(system.law, "rewire", None) is None:
            for now in map(system.time, jumps):
                yield system.law.frozen(now, problem.x0).linear_operator(now)
        return
    samples = [] if system.autonomous else np.linspace(0, problem.end, _SAMPLES).tolist()
    for t in (*jumps, *samples):
        yield system.operator(t)


def _damping(problem: Problem) -> tuple[float, float]:
    damping = problem.system.damping
    if not isinstance(damping, torch.Tensor):
        return damping, damping
    return float(damping.detach().min()), float(damping.detach().max())


def _is_short(step: float, method: _Method, operator: LinearOperator) -> bool:
    """Whether the step is stable after all: a symmetric operator is charged with the largest
    eigenvalue that Lanczos finds, which errs on the small side, any other with the bound."""
    if not operator.symmetric:
        return False
    largest = float(lanczos(operator, 40).max())
    return largest <= 0 or step <= method.step(largest) * (1 + 1e-6)


def _complain(
    problem: Problem, solver: str, step: float, safe: float, allow_unstable: bool
) -> None:
    needed = min(problem.end / safe, MOST_STEPS)
    message = (
        f"{solver} with steps of {step:.4g} is unstable for {problem.system}: the largest "
        f"step that is certain to be stable is {safe:.4g} (num_steps={math.ceil(needed - 1e-6)}); "
        f"take that, or {_instead(problem, solver)}, or an implicit solver"
    )
    if problem.system.linear and not allow_unstable:
        raise ValueError(f"{message}; allow_unstable=True makes this a warning")
    warnings.warn(message, stacklevel=5)


def _instead(problem: Problem, solver: str) -> str:
    """A solver for the same law that finds its steps itself, or has none."""
    system = problem.system
    if system.order == 2:
        return "dopri5" if solver in OSCILLATORS else "leapfrog"
    operator = system.operator(0.0)
    if system.linear and system.autonomous and operator is not None and operator.symmetric:
        return "chebyshev or krylov"
    return "dopri5" if system.mixing is None else "uniformization"
