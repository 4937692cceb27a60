"""The heat kernel as a Chebyshev expansion, with gradients at the cost of a second recurrence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special
import torch
from torch import Tensor

from topodiff.operators import LinearOperator
from topodiff.solvers.assembled import Assembled
from topodiff.solvers.held import check_held
from topodiff.solvers.lanczos import lower_end

# no kernel with that z has coefficients
_MOST = 1e30


@dataclass(frozen=True)
class Expansion:
    """``exp(-t A) ~ sum_k c_k(t) T_k((A - middle) / half)`` for a spectrum in middle +- half.

    ``c_k = (2 - [k = 0]) (-1)^k exp(-t lower) e^{-z} I_k(z)``, ``z = t half``, with the modified
    Bessel functions I_k (Druskin and Knizhnerman 1989; Tal-Ezer and Kosloff 1984).

    Attributes:
        coefficients: (times, terms) float64.
        middle, half: of the interval.
        bound: for each time, the sum of what was left out, which bounds the error over |x|:
            polynomials T_k are at most 1 on the interval; and rounding where terms of size
            exp(-t lower) cancel.
        complete: what was left out is within the tolerance.
        sound: so is rounding.
    """

    coefficients: np.ndarray
    middle: float
    half: float
    bound: tuple[float, ...]
    complete: bool
    sound: bool = True

    @property
    def degree(self) -> int:
        return self.coefficients.shape[1] - 1


def expand(
    operator: LinearOperator, times: Sequence[float], tol: float, max_degree: int
) -> Expansion:
    """The shortest expansion that leaves out less than ``tol max(1, |exp(-t A)|)`` at all times, or
    the one of ``max_degree``.

    An operator without the tag of a semidefinite one has its lower end from Lanczos's process:
    terms that cancel are no larger than the kernel itself where that has converged.

    Where the kernel overflows coefficients are not finite; where there are none, z being beyond
    2^30 or so, they are 0 and the bound is that of the kernel itself.
    """
    # a little more than the bound, which is rounded too
    upper = operator.spectral_bound() * (1 + 64 * torch.finfo(operator._any_dtype()).eps)
    found_end, lower = lower_end(operator, max(times, default=0.0))
    if not math.isfinite(upper - lower):
        return _not_finite(len(times))
    lower = min(lower, upper)
    middle, half = (upper + lower) / 2, (upper - lower) / 2
    with np.errstate(over="ignore"):
        z = np.asarray(times, dtype=np.float64) * half
    most = min(float(z.max(initial=0)), _MOST)
    # past this, coefficients are below exp(-700) or so
    last = int(most if most < 40 else 40 * np.sqrt(most)) + 100
    k = np.arange(min(last, max_degree + 1))
    found = scipy.special.ive(k, z[:, None])
    found[:, 1:] *= 2
    known = np.isfinite(found).all(1, keepdims=True)
    found = np.where(known, found, 0.0)
    # all of them together are 1
    rest = np.maximum(1 - found.sum(1, keepdims=True), 0) if len(k) < last else 1.0 - known
    left = np.concatenate([found[:, 1:], rest], 1)[:, ::-1].cumsum(1)[:, ::-1]
    with np.errstate(over="ignore", invalid="ignore"):
        t = np.asarray(times, dtype=np.float64)[:, None]
        growth, allowed = np.exp(-t * lower), tol * np.exp(-t * min(found_end, 0.0))
        found, left = growth * found, np.nan_to_num(growth * left, nan=np.inf, posinf=np.inf)
        # a few units in the last place, over the recurrence
        rounding = 8 * torch.finfo(operator._any_dtype()).eps * np.maximum(growth - 1, 0)
    needed = int((left > allowed).any(0).sum())
    degree = min(needed, len(k) - 1)
    found[:, 1::2] *= -1
    return Expansion(
        found[:, : degree + 1], middle, half,
        tuple(map(float, left[:, degree] + rounding[:, 0])), degree >= needed,
        bool((rounding <= allowed).all()),
    )  # fmt: skip


def _not_finite(times: int) -> Expansion:
    """Of an operator that is not: as its products are."""
    return Expansion(np.full((times, 1), np.nan), 0.0, 0.0, (math.inf,) * times, False)


class Recurrence:
    """``v_{k+1} = 2 B v_k - v_{k-1}`` for ``B = (A - middle) / half``."""

    def __init__(self, operator: LinearOperator, expansion: Expansion) -> None:
        self.operator, self.half = operator, expansion.half or 1.0
        self.shift = -expansion.middle / self.half

    def scaled(self, product: Tensor, v: Tensor) -> Tensor:
        """``B v`` from ``A v``, in memory of its own: ``A v`` may be v itself."""
        return product.mul(1 / self.half).add_(v, alpha=self.shift)

    def first(self, v: Tensor) -> Tensor:
        return self.scaled(self.operator @ v, v)

    def next(self, v: Tensor, before: Tensor) -> Tensor:
        """``2 B v - before``, which may be overwritten in ``before``."""
        before.neg_().add_(self.operator @ v, alpha=2 / self.half)
        return before.add_(v, alpha=2 * self.shift)


def propagate(
    operator: LinearOperator, expansion: Expansion, x: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """``sum_k c_k T_k x`` (times, *x.shape), and the last two terms ``T_K x, T_{K-1} x``."""
    c = expansion.coefficients
    step = Recurrence(operator, expansion)
    if isinstance(operator, Assembled) and operator.dtype_of_matrix is x.dtype and c.shape[1] > 1:
        sums, last, previous = operator.chebyshev_sum(x, c, 1 / step.half, step.shift)
        return sums, (last, previous)
    out = torch.stack([float(value) * x for value in c[:, 0]])
    before, v = torch.zeros_like(x), x.clone()
    for k in range(1, c.shape[1]):
        before, v = v, step.first(v) if k == 1 else step.next(v, before)
        for row, value in zip(out, c[:, k], strict=True):
            # what rounding would swallow
            if abs(value) > 1e-25:
                row.add_(v, alpha=float(value))
    return out, (v, before)


def adjoint(operator: LinearOperator, expansion: Expansion, gradient: Tensor) -> Tensor:
    """The gradient to x from that to all the states, for a symmetric operator: for one state its
    propagation, for several one recurrence from the last term to the first (Clenshaw)."""
    if len(gradient) == 1:
        return propagate(operator, expansion, gradient[0])[0][0]
    c = torch.from_numpy(expansion.coefficients).to(gradient)
    step = Recurrence(operator, expansion)
    bar = torch.tensordot(c[:, -1], gradient, 1)
    after = torch.zeros_like(bar)
    for k in range(expansion.degree - 1, -1, -1):
        new = step.next(bar, after) if k else step.first(bar).sub_(after)
        after, bar = bar, new.add_(torch.tensordot(c[:, k], gradient, 1))
    return bar


def adjoint_with_parameters(
    operator: LinearOperator,
    held: Sequence[Tensor],
    expansion: Expansion,
    last: tuple[Tensor, Tensor],
    gradient: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    """The gradients to x and to the tensors behind a symmetric operator.

    The terms of the expansion come back from the last two of them, as the recurrence runs both
    ways, so memory does not grow with their number; one product a term gives the term before, its
    derivative the rest.
    """
    c = torch.from_numpy(expansion.coefficients).to(gradient)
    step = Recurrence(operator, expansion)
    ahead, v = last
    bar = torch.tensordot(c[:, -1], gradient, 1)
    after = torch.zeros_like(bar)
    totals = [torch.zeros_like(t) for t in held]
    for k in range(expansion.degree - 1, -1, -1):
        twice = 2.0 if k else 1.0
        with torch.enable_grad():
            leaf = v.detach().requires_grad_()
            product = operator @ leaf
        if k == expansion.degree - 1:
            check_held(operator, product, (leaf, *held))
        back, *found = torch.autograd.grad(product, [leaf, *held], bar, allow_unused=True)
        for total, part in zip(totals, found, strict=True):
            if part is not None:
                total.add_(part, alpha=twice / step.half)
        new = twice * step.scaled(back, bar) - after
        after, bar = bar, new.add_(torch.tensordot(c[:, k], gradient, 1))
        if k:
            ahead, v = v, 2 * step.scaled(product.detach(), v) - ahead
    return bar, totals
