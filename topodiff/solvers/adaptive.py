"""Adaptive Runge-Kutta pairs with steps of their own for each graph of a batch.

What was tried and rejected leaves no trace in the graph of derivatives. Where graphs have steps of
their own, or the backward pass is checkpointed, steps are found without one and made again with it,
if any of them has met a tensor that requires a gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from topodiff.solvers.at_time import at_time
from topodiff.solvers.graphs import check_ptr, mean_squares
from topodiff.solvers.law import Scalar, System, as_float
from topodiff.solvers.problem import Problem
from topodiff.solvers.runge_kutta import combine, stages
from topodiff.solvers.solution import OK, Solution
from topodiff.solvers.tableaus import BOGACKI_SHAMPINE, DORMAND_PRINCE, Tableau
from topodiff.solvers.tolerances import tolerances

TABLEAUS = {"bogacki_shampine": BOGACKI_SHAMPINE, "dormand_prince": DORMAND_PRINCE}
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0
# h below this part of the whole time is none
_LEAST = 1e-14


@dataclass
class _Control:
    """Error and step of each graph."""

    ptr: Tensor
    dim: int
    rtol: float
    atol: float
    order: int
    together: bool
    graph: bool

    @torch.no_grad()
    def error(self, e: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """(graphs,) root mean square of ``e / (atol + rtol max(|x|, |y|))``, infinite for NaN."""
        scale = self.atol + self.rtol * torch.maximum(x.abs(), y.abs())
        found = mean_squares(e / scale, self.ptr, self.dim).sqrt().double()
        found = torch.where(found.isfinite(), found, math.inf)
        return found.max().expand_as(found) if self.together else found

    def rows(self, h: Tensor, like: Tensor) -> Tensor:
        """(graphs,) -> one entry for each row, shaped to broadcast against states."""
        shape = [1] * like.dim()
        shape[self.dim] = -1
        return h.repeat_interleave(self.ptr.diff()).reshape(shape)

    def size(self, h: Tensor, like: Tensor) -> Scalar:
        """The steps as :func:`combine` takes them: one number if they are one."""
        return float(h[0]) if self.together else self.rows(h, like).to(like.dtype)

    def factor(self, error: Tensor, before: Tensor) -> Tensor:
        """Growth of the step by the PI controller (Hairer and Wanner II, section IV.2), with the
        exponents of their DOPRI5."""
        found = _SAFETY * error.clamp(1e-10, 1e10) ** (-0.85 / self.order)
        return (found * before ** (0.2 / self.order)).clamp(_SHRINK, _GROW)

    @torch.no_grad()
    def first_step(self, system: System, x: Tensor, slope: Tensor) -> Tensor:
        """Hairer, Nørsett and Wanner I, section II.4: as far as the state changes by a hundredth,
        and then, from the change of the derivative over that step, as far as the tolerance goes."""
        scale = self.atol + self.rtol * x.abs()

        def norm(z: Tensor) -> Tensor:
            return mean_squares(z / scale, self.ptr, self.dim).sqrt().double()

        def one(h: Tensor) -> Tensor:
            return h.min().expand_as(h).clone() if self.together else h

        size, speed = norm(x), norm(slope)
        small = (size < 1e-5) | (speed < 1e-5)
        h = one(torch.where(small, 1e-6, 0.01 * size / torch.where(small, 1.0, speed)))
        after = system(float(h.min()), combine(x, (1.0,), (slope,), self.size(h, x)))
        most = torch.maximum(speed, norm(after - slope) / h)
        second = (0.01 / most.clamp(min=1e-15)) ** (1 / self.order)
        second = torch.where(most > 1e-15, second, (1e-3 * h).clamp(min=1e-6))
        return one(torch.where(second.isfinite(), torch.minimum(100 * h, second), h))


@dataclass
class _Search:
    """Where the search stands.

    Attributes:
        x, slope: state and derivative, of each graph at its own time.
        h, before, steps: (graphs,) next step, last error, steps made.
        found: for each interval between saved times, the steps made: a time and (graphs,) sizes, 0
            for a graph that waits.
        saved: state and derivative at the times reached.
        wanted: a gradient is to reach something that a step has met.
    """

    x: Tensor
    slope: Tensor
    h: Tensor
    before: Tensor
    steps: Tensor
    t: float = 0.0
    status: str = OK
    rounds: int = 0
    rejected: int = 0
    found: list[list[tuple[float, Tensor]]] = field(default_factory=list)
    saved: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    wanted: bool = False


def solve(
    problem: Problem,
    solver: str,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    first_step: float | None = None,
    ptr: Tensor | None = None,
) -> Solution:
    """Bogacki-Shampine 3(2) and Dormand-Prince 5(4).

    With ``ptr`` each graph has its own error, and if the law is autonomous its own steps as well:
    graphs do not touch, so each may be at a time of its own between two saved times. A law that
    depends on t has one step for all, accepted if the error of every graph is in order.

    Args:
        rtol, atol: 1e-7 and 1e-9, or 1e-4 and 1e-6 for float32.
        first_step: by default from the size of state and derivative.
        ptr: (graphs + 1,) rows of the graphs, ``complex.ptr[0]`` for example.
    """
    rtol, atol = tolerances(problem.x0.dtype, rtol, atol, first_step)
    dim = problem.system.order - 1
    whole = torch.tensor([0, problem.x0.shape[dim]])
    ptr = check_ptr(whole if ptr is None else ptr, problem.x0, dim)
    tableau = TABLEAUS[solver]
    together = ptr.numel() == 2 or not problem.system.autonomous
    graph = together and problem.backward == "direct"
    control = _Control(ptr, dim, rtol, atol, tableau.order, together, graph)
    if len(problem.times) == 1:
        return problem.solution(problem.x0, 0.0, OK)
    problem.system.prepare(math.inf)
    slope = problem.systems[0](0.0, problem.x0)
    known = torch.is_grad_enabled() and (slope.requires_grad or problem.x0.requires_grad)
    with torch.set_grad_enabled(torch.is_grad_enabled() and (graph or not known)):
        search = _search(problem, tableau, control, slope, first_step)
    again = not graph and (known or search.wanted)
    evaluations = problem.system.work.evaluations
    states = _again(problem, tableau, control, search, slope) if again else search.saved
    problem.system.work.evaluations = evaluations
    for number, (x, _) in enumerate(states[: len(problem.times) - 1], start=1):
        if number <= len(search.saved):
            problem.save(number, at_time(problem.systems[number - 1], problem.times[number], x))
    x, _ = states[-1] if states else (search.x, search.slope)
    if search.status == OK:
        x = at_time(problem.systems[-1], problem.times[-1], x)
    elif not again:
        x = search.x
    work = {"steps": int(search.steps.max()), "rejected": search.rejected}
    return problem.solution(x, search.t, search.status, **work)


def _search(
    problem: Problem, tableau: Tableau, control: _Control, slope: Tensor, first_step: float | None
) -> _Search:
    """Find the steps to all times, or as far as they go; in the graph of derivatives if it is
    on."""
    x = problem.x0
    if first_step is None:
        h = control.first_step(problem.systems[0], x, slope)
    else:
        h = torch.full((control.ptr.numel() - 1,), float(first_step), dtype=torch.float64)
        h = h.to(control.ptr.device)
    made = torch.zeros_like(h, dtype=torch.int64)
    search = _Search(x, slope, h, torch.full_like(h, 1e-4), made)
    if not bool(slope.isfinite().all()):
        search.status = "not_finite"
        return search
    for number, system in enumerate(problem.systems, start=1):
        search.found.append([])
        if _jumps(problem, number):
            search.slope = system(problem.times[number - 1], search.x)
        if _interval(problem, number, tableau, control, search):
            search.saved.append((search.x, search.slope))
        if search.status != OK:
            break
    return search


def _jumps(problem: Problem, number: int) -> bool:
    """Whether the law before ``times[number]`` is another than the one before that."""
    return number > 1 and problem.systems[number - 1] is not problem.systems[number - 2]


def _interval(
    problem: Problem, number: int, tableau: Tableau, control: _Control, s: _Search
) -> bool:
    """From one time to the next, ``times[number]``, where all graphs meet; whether they came so
    far."""
    start, end = (as_float(t) for t in problem.times[number - 1 : number + 1])
    system, length = problem.systems[number - 1], end - start
    done = torch.zeros_like(s.h)
    while s.status == OK and bool((done < length).any()):
        if s.rounds == problem.max_steps:
            s.status = "max_steps"
            break
        s.rounds += 1
        left = length - done
        active = left > 0
        step = torch.where(active, torch.minimum(s.h, left), 0.0)
        step = torch.where(step > left * (1 - 1e-9), left, step)
        now = start + float(done.min())
        size = control.size(step, s.x)
        slopes = stages(system, tableau, now, size, s.x, s.slope)
        new = combine(s.x, tableau.b, slopes, size)
        with torch.no_grad():
            e = combine(torch.zeros_like(new), tableau.error, slopes, size)
        error = control.error(e, s.x, new)
        ok = active & (error <= 1)
        done = torch.where(ok, torch.where(step == left, length, done + step), done)
        _accept(control, s, ok, active, step, new, slopes[-1], error)
        s.t = start + float(done.min())
        if bool((active & (s.h < _LEAST * problem.end)).any()):
            s.status = "step_too_small" if bool(error.isfinite().all()) else "not_finite"
        elif bool(ok.any()):
            s.found[-1].append((now, torch.where(ok, step, 0.0)))
            if problem.stop_here(s.t, s.x.detach()):
                s.status = "stopped"
    return bool((done >= length).all())


def _accept(
    control: _Control,
    s: _Search,
    ok: Tensor,
    active: Tensor,
    step: Tensor,
    new: Tensor,
    slope: Tensor,
    error: Tensor,
) -> None:
    """Move the graphs that are in order on, and set the next step of all that are not done."""
    if not control.graph:
        s.wanted |= new.requires_grad
        new, slope = new.detach(), slope.detach()
    if control.together:
        s.x, s.slope = (new, slope) if bool(ok[0]) else (s.x, s.slope)
    else:
        rows = control.rows(ok, s.x)
        s.x, s.slope = torch.where(rows, new, s.x), torch.where(rows, slope, s.slope)
    s.steps += ok
    s.rejected += int((active & ~ok).any())
    factor = control.factor(error, s.before)
    grown = step * torch.where(ok, factor, factor.clamp(max=_SAFETY))
    # a step cut short by the end of the interval says nothing against the old one
    grown = torch.where(ok & (step < s.h), torch.maximum(grown, s.h), grown)
    s.h = torch.where(active, grown, s.h)
    s.before = torch.where(ok, error.clamp(min=1e-4), s.before)


def _again(
    problem: Problem, tableau: Tableau, control: _Control, search: _Search, slope: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """The steps once more, with derivatives: the states at the times reached, and the last."""
    x = problem.x0
    total = sum(map(len, search.found))
    length = max(total, 1)
    if problem.backward == "checkpoint":
        length = math.isqrt(length - 1) + 1

    def steps(
        system: System, x: Tensor, slope: Tensor, part: list[tuple[float, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        for t, h in part:
            size = control.size(h, x)
            slopes = stages(system, tableau, t, size, x, slope)
            x, slope = combine(x, tableau.b, slopes, size), slopes[-1]
        return x, slope

    states = []
    for number, interval in enumerate(search.found, start=1):
        system = problem.systems[number - 1]
        if _jumps(problem, number):
            slope = system(problem.times[number - 1], x)
        for first in range(0, len(interval), length):
            part = interval[first : first + length]
            if problem.backward == "checkpoint":
                x, slope = checkpoint(steps, system, x, slope, part, use_reentrant=False)
            else:
                x, slope = steps(system, x, slope, part)
        states.append((x, slope))
    return states
