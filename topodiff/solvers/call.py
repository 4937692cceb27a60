"""One call for all solvers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import Tensor

from topodiff.solvers.law import as_float
from topodiff.solvers.problem import Problem, make_problem
from topodiff.solvers.solution import Solution

# name -> module and function, imported when it is first used
_SOLVERS = {
    **dict.fromkeys(("euler", "midpoint", "heun", "rk4"), ("runge_kutta", "solve")),
    "adams_bashforth": ("multistep", "adams_bashforth"),
    "adams_moulton": ("implicit", "adams_moulton"),
    **dict.fromkeys(("implicit_euler", "crank_nicolson", "bdf2"), ("implicit", "solve")),
    "imex": ("imex", "solve"),
    **dict.fromkeys(("leapfrog", "verlet", "symplectic_euler"), ("symplectic", "solve")),
    **dict.fromkeys(("bogacki_shampine", "dormand_prince"), ("adaptive", "solve")),
    "chebyshev": ("heat", "solve_chebyshev"),
    "krylov": ("heat", "solve_krylov"),
    "uniformization": ("uniformization", "solve"),
    **dict.fromkeys(
        (
            "dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun", "heun2", "heun3",
            "explicit_adams", "implicit_adams", "fixed_adams",
        ),
        ("torchdiffeq_methods", "solve"),
    ),
}  # fmt: skip
SOLVERS = tuple(_SOLVERS)


def diffuse(
    law: Any,
    x0: Tensor | tuple[Tensor, Tensor],
    t: float | Tensor,
    solver: str = "auto",
    *,
    save_at: Any = None,
    save_rows: Tensor | None = None,
    backward: str = "direct",
    callback: Callable[[float, Any], Any] | None = None,
    max_steps: int = 100_000,
    **options: Any,
) -> Solution:
    """The state at time t of ``dx/dt = law(t, x)``, ``x(0) = x0``.

    ============================================  ==================================================
    solver                                        options
    ============================================  ==================================================
    euler, midpoint, heun, rk4                    step_size or num_steps, allow_unstable
    adams_bashforth (order 1-4)                   the same, order
    adams_moulton (order 1-4)                     the same, mode, and those of implicit_euler
    heun3, explicit_adams, implicit_adams         those of rk4, and of torchdiffeq
    dopri5, dopri8, bosh3, adaptive_heun          those of torchdiffeq: rtol, atol, ...; ptr
    dormand_prince, bogacki_shampine              rtol, atol, ptr: steps of their own for each graph
    implicit_euler, crank_nicolson, bdf2          step_size or num_steps, method, preconditioner,
                                                  tol, max_iterations, newton_iterations
    imex (order 1-2)                              the same, without Newton's
    leapfrog, symplectic_euler                    those of rk4; for laws of second order
    chebyshev, krylov                             tol: exact for symmetric linear laws
    uniformization                                tol: exact for linear attention diffusion
    ============================================  ==================================================

    dopri5 and bosh3 are torchdiffeq's forms of dormand_prince and bogacki_shampine, which have the
    continuous adjoint; ours have checkpoints. Other names of torchdiffeq and the literature are
    taken too: heun2 (heun), fixed_adams (implicit_adams), verlet (leapfrog), and fehlberg2, whose
    estimates are so small that errors are hundreds of times the tolerance.

    Steps that are neither sized nor counted are 100, or as many as stability asks for. Explicit
    steps that are unstable for the linear part of a law are refused, or warned about if the law has
    more than that.

    Args:
        law: a LinearOperator L for ``dx/dt = -L x``, a function f(t, x), or a
            :class:`topodiff.solvers.Law`.
        x0: (n, *channels), (n, d, *channels) for stalks; (x, v) for a law of second order, where v
            is 0 if x is given alone.
        t: end of time >= 0, a number or a tensor with gradient.
        solver: a name of the table; ``"auto"`` is chebyshev for linear laws whose operator is
            known to be positive semidefinite, uniformization for other laws that say what they mix
            by (linear attention diffusion), krylov for other symmetric linear ones, and dopri5
            (dormand_prince with checkpoints) for all others, for ``callback`` and for the adjoint.
        save_at: rising times in [0, t]; then the solution holds the states at these.
        save_rows: (rows,) with save_at: the numbers of the rows of x0 that the solution is to hold.
        backward: ``"direct"``: autograd through the steps, implicit ones by implicit
            differentiation, heat kernels by a recurrence of constant memory. ``"checkpoint"``: the
            same gradients with the square root of the memory, for our own stepping solvers.
            ``"adjoint"``: the continuous adjoint of torchdiffeq, for its methods; inexact by the
            tolerances, refused where it is unstable.
            Second derivatives (create_graph=True) go through explicit steps and uniformization,
            and for an operator without gradients through all ``"direct"`` ones that have no
            Newton's method inside; where they do not, the backward pass is a RuntimeError.
        callback: ``callback(t, state)`` after every step; if it returns something true, the
            solution ends there with status ``"stopped"``.
        max_steps: bound on the number of steps, after which the status is ``"max_steps"``.
        options: of the solver.

    Raises:
        TypeError, ValueError: for wrong shapes, dtypes, times or options, a state that is not
            finite, and a law that the solver cannot solve. What happens on the way is a status.
    """
    if solver != "auto" and solver not in _SOLVERS:
        raise ValueError(f"no solver is called {solver!r}; there are auto, {', '.join(SOLVERS)}")
    problem = make_problem(law, x0, t, save_at, save_rows, backward, callback, max_steps)
    name = _choose(problem) if solver == "auto" else solver
    solve = _function(name)
    _check_options(name, solve, options)
    if backward == "adjoint" and _SOLVERS[name][0] != "torchdiffeq_methods":
        raise ValueError(
            f"backward='adjoint' is for torchdiffeq's methods (dopri5, ...), not {name}: 'direct' "
            "differentiates its steps, in constant memory for chebyshev and krylov"
        )
    return solve(problem, name, **options)


def _choose(problem: Problem) -> str:
    system, backward = problem.system, problem.backward
    if problem.callback is None and backward != "adjoint":
        symmetric = system.linear and system.autonomous and system.symmetric
        operator = system.operator(0.0) if symmetric else None
        if operator is not None and operator.positive_semidefinite:
            return "chebyshev"
        if backward == "direct" and system.mixing is not None and as_float(system.mixing.rate) > 0:
            return "uniformization"
        if operator is not None:
            return "krylov"
    return "dormand_prince" if backward == "checkpoint" else "dopri5"


def _function(name: str) -> Callable[..., Solution]:
    module, function = _SOLVERS[name]
    return getattr(import_module(f"topodiff.solvers.{module}"), function)


def _check_options(name: str, solve: Callable, options: dict[str, Any]) -> None:
    parameters = inspect.signature(solve).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TypeError(
            f"{name} has no option {', '.join(unknown)}; it has {', '.join(known)}, besides "
            "save_at, save_rows, backward, callback and max_steps"
        )
