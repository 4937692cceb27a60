"""``exp(-t L) x`` and constant sources for laws that mix states, symmetric or not.

Chebyshev and Lanczos need a symmetric operator; attention has none. But ``dx/dt = r (P x - x)``
with a matrix P of norm 1, such as one whose rows (or columns) are positive and sum to 1, is a
random walk that jumps at rate r, and averages over the number of its jumps, which is Poisson's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from topodiff.kernels.finite import is_finite
from topodiff.solvers.krylov.solve import default_tolerance
from topodiff.solvers.law import Mixing, Scalar, as_float
from topodiff.solvers.problem import Problem
from topodiff.solvers.solution import OK, Solution

# jumps for one series: its weights begin at exp(-mean)
_MEAN = 300.0
# powers of P held at once where they serve several times
_TOGETHER = 16


def solve(
    problem: Problem, solver: str, *, tol: float | None = None, max_terms: int = 20_000
) -> Solution:
    """The exact solution of a :class:`Mixing` law as a series of powers of P,

        ``x(t) = sum_k p_k P^k x(0) + 1/r sum_k q_k P^k s``,

    ``p_k`` Poisson's probabilities of mean r t and ``q_k = sum_{j > k} p_j`` (uniformisation,
    Jensen 1953): about ``r t + 5 sqrt(r t)`` products, all terms positive, so that features keep to
    their bounds and rounding does not grow. Times between cost no more products, unless there is a
    source other than x(0), which then costs as many again. Differentiable in x, P, s, r and t.

    Laws say what they mix by a method ``mixing(t) -> Mixing | None``; a linear law with a symmetric
    positive semidefinite operator L of bound rho is one: ``r = rho / 2`` and ``P = I - L / r``.

    Args:
        tol: on what the series leaves out, over ``|x| + t |s|`` in the norm in which P has norm 1;
            by default eps^(3/4).
        max_terms: of all series; where to give up, with status ``"max_steps"``.
    """
    mixing = _mixing(problem, solver)
    tol = default_tolerance(problem.x0.dtype) if tol is None else float(tol)
    if not tol > 0 or max_terms < 1:
        raise ValueError(f"tol must be positive and max_terms >= 1, got {tol} and {max_terms}")
    x, rate, terms = problem.x0, as_float(mixing.rate), 0
    if not math.isfinite(rate):
        return problem.solution(x, 0.0, "not_finite")
    if mixing.source is not None and mixing.source.shape != x.shape:
        raise ValueError(
            f"the source must have the shape of the state, {tuple(x.shape)}; got "
            f"{tuple(mixing.source.shape)}"
        )
    for first, last in _stretches(problem.times, rate):
        start, *ends = problem.times[first : last + 1]
        length = as_float(ends[-1]) - as_float(start)
        # each part has a term at least, so that more of them than max_terms are as good as infinite
        parts = max(1, math.ceil(min(rate * length / _MEAN, max_terms + 1)))
        count = _terms(rate * length / parts, tol / parts)
        passes = parts
        if len(ends) > 1 and mixing.source is not None and mixing.source is not x:
            passes = 2
        if terms + passes * count > max_terms:
            return problem.solution(x, start, "max_steps", iterations=terms, evaluations=terms)
        means = [mixing.rate * ((end - start) / parts) for end in ends]
        before = x
        between: Iterable[Tensor] = ()
        if len(means) > 1:
            between, x = _many(mixing, x, means, count, problem.chosen)
        else:
            for _ in range(parts):
                x = _series(mixing, x, means[0], count)
        terms += passes * count
        if not is_finite(x):
            return problem.solution(
                before, start, "not_finite", iterations=terms, evaluations=terms
            )
        for number, rows in enumerate(between, start=first + 1):
            problem.keep(number, rows)
        problem.save(last, x)
    return problem.solution(x, problem.times[-1], OK, iterations=terms, evaluations=terms)


def _stretches(times: Sequence[Scalar], rate: float) -> Iterator[tuple[int, int]]:
    """First and last time of each stretch: as many times as one series reaches, at least one."""
    first = last = 0
    for number in range(1, len(times)):
        if last > first and rate * (as_float(times[number]) - as_float(times[first])) > _MEAN:
            yield first, last
            first = last
        last = number
    if last > first:
        yield first, last


def _mixing(problem: Problem, solver: str) -> Mixing:
    system = problem.system
    if problem.callback is not None:
        raise ValueError(f"{solver} makes no steps and takes no callback; use save_at")
    if problem.backward == "checkpoint":
        raise ValueError(
            f"{solver} keeps its products for the backward pass, and has no checkpoints: take "
            "dormand_prince or an implicit solver with backward='checkpoint', or backward='direct'"
        )
    found = system.mixing
    if found is None:
        raise ValueError(
            f"{solver} needs a law dx/dt = rate (P x - x) + source with a matrix P of norm 1 that "
            "stays, or a linear one with a symmetric positive semidefinite operator; got "
            f"{system}: take dopri5 or an implicit solver"
        )
    if as_float(found.rate) <= 0:
        raise ValueError(f"{solver} needs a positive rate, got {as_float(found.rate)}")
    found.operator._check_state(problem.x0)
    return found


def _terms(mean: float, tol: float) -> int:
    """K with ``P(N > K) <= tol`` for Poisson's N. Beyond the terms 0..K both series hold no more:
    ``sum_{k > K} q_k = E max(N - K - 1, 0) <= E (N; N > K + 1) <= mean P(N > K)``."""
    p = math.exp(-mean)
    tail, k = 1 - p, 0
    # the sum of what rounding leaves of the tail may never fall below a tiny tol
    while tail > tol and k < mean + 12 * math.sqrt(mean + 1) + 30:
        k += 1
        p *= mean / k
        tail -= p
    return k


def _weights(mean: Scalar, count: int) -> tuple[Tensor, Tensor]:
    """p_0..p_count and q_0..q_count, float64, with gradients to the mean."""
    mean = torch.as_tensor(mean, dtype=torch.float64).reshape(()).cpu()
    k = torch.arange(count + 1, dtype=torch.float64)
    log = torch.where(k > 0, k * mean.clamp(min=1e-300).log(), 0.0)
    p = torch.exp(log - mean - torch.lgamma(k + 1))
    return p, 1 - p.cumsum(0)


def _series(mixing: Mixing, x: Tensor, mean: Scalar, count: int) -> Tensor:
    """By Horner's rule: one product for each term, source or not."""
    p, q = _weights(mean, count)
    s = mixing.source
    weights = p
    other: Tensor | None = None
    if s is not None:
        other = _of_source(mixing, q)
        if s is x:
            weights, other = p + other, None
    first = _numbers(weights, x)
    second = None if other is None else _numbers(other, x)
    y = first[count] * x
    for k in range(count, -1, -1):
        if k < count:
            y = _plus(mixing.operator @ y, first[k], x)
        if second is not None:
            assert s is not None
            y = _plus(y, second[k], s)
    return y


def _many(
    mixing: Mixing,
    x: Tensor,
    means: Sequence[Scalar],
    count: int,
    chosen: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Chosen rows of the states at all means but the last, and the state at the last."""
    p, q = (torch.stack(w) for w in zip(*(_weights(m, count) for m in means), strict=True))
    s = mixing.source
    if s is None:
        return _sums(mixing, x, p, chosen)
    q = _of_source(mixing, q)
    if s is x:
        return _sums(mixing, x, p + q, chosen)
    (rows, last), (more, rest) = _sums(mixing, x, p, chosen), _sums(mixing, s, q, chosen)
    return rows + more, last + rest


def _sums(
    mixing: Mixing, x: Tensor, weights: Tensor, chosen: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """``sum_k w_ik P^k x`` for each row i of the weights, from the same powers; whole for the last
    row of the weights alone."""
    numbers, weights = _numbers(weights[-1], x), weights[:-1].to(x.dtype).to(x.device)
    few = chosen(x)
    rows = few.new_zeros(len(weights), few.numel())
    last = numbers[0] * x
    for first in range(0, weights.shape[1], _TOGETHER):
        block = weights[:, first : first + _TOGETHER]
        powers = []
        for k in range(first, first + block.shape[1]):
            if k:
                x = mixing.operator @ x
                last = _plus(last, numbers[k], x)
            powers.append(chosen(x))
        rows.addmm_(block, torch.stack(powers).flatten(1))
    return rows.unflatten(1, few.shape), last


def _of_source(mixing: Mixing, q: Tensor) -> Tensor:
    """Weights of the powers of P on the source."""
    strength, rate = (
        torch.as_tensor(number, dtype=torch.float64).reshape(()).cpu()
        for number in (mixing.strength, mixing.rate)
    )
    return q * (strength / rate)


def _numbers(weights: Tensor, like: Tensor) -> Any:
    """Numbers, or tensors without dimensions where a gradient is to reach them."""
    if weights.requires_grad:
        return weights.to(like.dtype).to(like.device).unbind(0)
    return weights.tolist()


def _plus(y: Tensor, weight: Any, x: Tensor) -> Tensor:
    return y + weight * x if isinstance(weight, Tensor) else torch.add(y, x, alpha=weight)
