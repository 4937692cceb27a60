"""Which explicit steps are stable, from the spectrum of the operator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import torch

from topodiff.operators import LinearOperator, lanczos
from topodiff.solvers.law import as_float
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


def _known_operator(problem: Problem, solver: str) -> LinearOperator | None:
    """The operator whose spectrum decides, if there is one."""
    system = problem.system
    if (system.order == 2) != (solver in OSCILLATORS):
        return None
    return system.operator(0.0)


def least_steps(problem: Problem, solver: str, order: int | None = None) -> int:
    """How many steps a linear law needs to be stable, 9/10 of the limit each; 1 if unknown."""
    operator = _known_operator(problem, solver)
    if operator is None or limit(solver, order) == math.inf:
        return 1
    allowed = 0.9 * _step(solver, order, _damping(problem), radius_bound(operator))
    needed = problem.end / allowed
    return max(1, math.ceil(needed)) if math.isfinite(needed) else 1


def _damping(problem: Problem) -> float:
    damping = problem.system.damping
    return float(damping.detach().max()) if isinstance(damping, torch.Tensor) else damping


def check_step(
    problem: Problem,
    solver: str,
    counts: Sequence[int],
    allow_unstable: bool,
    order: int | None = None,
) -> None:
    """ValueError for a step beyond the stability limit of a linear law; a warning if that is
    allowed, or if the law has more than a linear part.

    A symmetric operator is charged with the largest eigenvalue that Lanczos finds, which errs on
    the small side, any other with the bound.
    """
    operator = _known_operator(problem, solver)
    if operator is None or not counts or limit(solver, order) == math.inf:
        return
    times = [as_float(t) for t in problem.times]
    lengths = zip(times, times[1:], counts, strict=False)
    step = max((b - a) / count for a, b, count in lengths)
    damping = _damping(problem)
    safe = _step(solver, order, damping, radius_bound(operator))
    if step <= safe * (1 + 1e-6):
        return
    if operator.symmetric:
        largest = float(lanczos(operator, 40).max())
        if largest <= 0 or step <= _step(solver, order, damping, largest) * (1 + 1e-6):
            return
    needed = min(times[-1] / safe, MOST_STEPS) if safe else MOST_STEPS
    message = (
        f"{solver} with steps of {step:.4g} is unstable for {operator}: the largest step that is "
        f"certain to be stable is {safe:.4g} (num_steps={math.ceil(needed)}); take that, "
        "or an implicit solver, or chebyshev or krylov"
    )
    if problem.system.linear and not allow_unstable:
        raise ValueError(f"{message}; allow_unstable=True makes this a warning")
    warnings.warn(message, stacklevel=4)
