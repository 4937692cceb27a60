"""The heat kernel by Lanczos's process from the state itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from topodiff.operators import LinearOperator

_FIRST_CHECK = 6
# vectors for the lower end of the spectrum, the first time it is looked at and the last
_FEW, _MANY = 40, 1280


class Propagated(NamedTuple):
    """``exp(-t A) x`` at all times, (times, *x.shape), what it took and how good it is."""

    x: Tensor
    iterations: int
    products: int
    bound: float
    complete: bool


class _Tridiagonal:
    """The projection ``T = V^T A V`` on the space of the first m vectors."""

    def __init__(self, alpha: list[float], beta: list[float]) -> None:
        values, vectors = scipy.linalg.eigh_tridiagonal(alpha, beta[: len(alpha) - 1])
        self.values, self.vectors = values, vectors

    def exponential(self, t: float) -> np.ndarray:
        """``exp(-t T) e_1``."""
        return self.vectors @ (np.exp(-t * self.values) * self.vectors[0])

    def error(self, t: float, beta: float, lower: float) -> float:
        """``beta int_0^t |e_m^T exp(-s (T - lower)) e_1| ds``, a bound of the error over ``|x|
        exp(-t lower)`` for a spectrum that begins there (Hochbruck and Lubich 1997, theorem 1); the
        sign under the integral never changes, since T has positive numbers beside its diagonal."""
        rates = t * (self.values - lower)
        small = np.abs(rates) < 1e-8
        phi = np.where(small, 1 - rates / 2, -np.expm1(-rates) / np.where(small, 1.0, rates))
        found = beta * t * abs(float(self.vectors[-1] @ (phi * self.vectors[0])))
        return found if math.isfinite(found) else math.inf


def propagate(
    operator: LinearOperator,
    times: Sequence[float],
    x: Tensor,
    tol: float,
    max_iterations: int,
    memory: int,
) -> Propagated:
    """``|x| V exp(-t T) e_1`` in the Krylov space of x, all channels as one vector.

    Vectors are kept up to ``memory`` bytes; those beyond are made a second time.
    """
    largest = float(x.abs().max()) if x.numel() else 0.0
    if largest == 0:
        return Propagated(torch.stack([x] * len(times)), 0, 0, 0.0, True)
    # squares of the entries may underflow or overflow, those of this do not
    start = x / largest
    size = float(start.double().norm())
    keep = max(memory // (x.numel() * x.element_size()), 2)
    process = _Process(operator, start.div_(size), keep)
    with np.errstate(over="ignore", invalid="ignore"):
        try:
            projection, bound, complete = _project(process, operator, times, tol, max_iterations)
        except FloatingPointError:
            m, nan = len(process.alpha), torch.full_like(x, math.nan)
            return Propagated(torch.stack([nan] * len(times)), m, m, math.inf, False)
        weights = np.stack([size * projection.exponential(t) for t in times])
    out, products = process.combine(weights)
    m = len(process.alpha)
    return Propagated(out.mul_(largest), m, products, bound, complete)


def _project(
    process: _Process,
    operator: LinearOperator,
    times: Sequence[float],
    tol: float,
    max_iterations: int,
) -> tuple[_Tridiagonal, float, bool]:
    """Extend the space until the bound at all times is in order; the projection, the bound, and
    whether it is."""
    found, lower = lower_end(operator, max(times))
    t = np.asarray(times, dtype=np.float64)
    growth, allowed = np.exp(-t * lower), tol * np.exp(-t * min(found, 0.0))
    check = _FIRST_CHECK
    while True:
        invariant = process.extend(min(check, max_iterations))
        projection = _Tridiagonal(process.alpha, process.beta)
        errors = [0.0 if invariant else projection.error(s, process.beta[-1], lower) for s in t]
        bounds = np.nan_to_num(growth * errors, nan=np.inf, posinf=np.inf)
        complete = bool((bounds <= allowed).all())
        if complete or invariant or len(process.alpha) >= max_iterations:
            return projection, float(bounds.max()), complete
        check = len(process.alpha) + max(len(process.alpha) // 4, 4)


class _Process:
    """Lanczos's three-term recurrence, without reorthogonalisation: the error bound above holds all
    the same (Druskin, Greenbaum and Knizhnerman 1998)."""

    def __init__(self, operator: LinearOperator, start: Tensor, keep: int) -> None:
        self.operator, self.keep = operator, keep
        self.alpha: list[float] = []
        self.beta: list[float] = []
        self.basis: list[Tensor] = []
        self.v, self.before = start, torch.zeros_like(start)

    def _advance(self, v: Tensor, before: Tensor, k: int) -> Tensor:
        """``A v - beta_{k-1} v_{k-1} - alpha_k v``; alpha_k is found if it is not known."""
        w = self.operator @ v
        if w.data_ptr() == v.data_ptr():
            # an identity returns what it is given, and w is overwritten here
            w = w.clone()
        if k:
            w = w.sub_(before, alpha=self.beta[k - 1])
        if k == len(self.alpha):
            self.alpha.append(_dot(w, v))
        return w.sub_(v, alpha=self.alpha[k])

    def extend(self, m: int) -> bool:
        """Up to m vectors; whether their space is invariant."""
        while len(self.alpha) < m:
            k = len(self.alpha)
            if k < self.keep:
                self.basis.append(self.v)
            w = self._advance(self.v, self.before, k)
            self.beta.append(float(w.norm()))
            if not math.isfinite(self.beta[-1]):
                raise FloatingPointError(f"a product with {self.operator} is not finite")
            scale = max(abs(a) for a in self.alpha) + max(self.beta)
            if self.beta[-1] <= 4 * torch.finfo(w.dtype).eps * scale:
                return True
            self.before, self.v = self.v, w.div_(self.beta[-1])
        return False

    def combine(self, weights: np.ndarray) -> tuple[Tensor, int]:
        """``sum_k weights[:, k] v_k`` and the number of products since the start."""
        out = torch.zeros(len(weights), *self.basis[0].shape).to(self.basis[0])
        for column, v in zip(weights.T, self.basis, strict=False):
            _add(out, column, v)
        m, kept = len(self.alpha), len(self.basis)
        if m > kept:
            v, before = self.basis[-1], self.basis[-2]
            for k in range(kept - 1, m - 1):
                w = self._advance(v, before, k).div_(self.beta[k])
                before, v = v, w
                _add(out, weights[:, k + 1], v)
            return out, m + m - kept
        return out, m


class LowerEnd(NamedTuple):
    """Where the spectrum of a symmetric operator begins: its smallest eigenvalue is no larger than
    ``found``, and no smaller than ``bound`` unless a random vector has next to none of it."""

    found: float
    bound: float


@torch.no_grad()
def lower_end(operator: LinearOperator, t: float) -> LowerEnd:
    """From the tag of a semidefinite operator; of any other symmetric one the smallest Ritz value,
    and that less four times the norm of its residual, so near, if it can be had, that ``exp(-t
    bound)`` is hardly more than ``exp(-t found)``. NaN for numbers that are not finite."""
    if operator.positive_semidefinite or 0 in operator.shape:
        return LowerEnd(0.0, 0.0)
    dtype, upper = operator._any_dtype(), operator.spectral_bound()
    rounding = 64 * torch.finfo(dtype).eps * upper
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(*operator.col_shape, 1, dtype=dtype, generator=generator)
    process = _Process(operator, start.div_(start.norm()).to(operator.device), 0)
    count = _FEW
    while True:
        try:
            invariant = process.extend(count)
        except FloatingPointError:
            return LowerEnd(math.nan, math.nan)
        (found,), vector = scipy.linalg.eigh_tridiagonal(
            process.alpha, process.beta[:-1], select="i", select_range=(0, 0)
        )
        # where eigenvalues crowd the residual may be less than the error
        margin = 4 * process.beta[-1] * abs(float(vector[-1, 0])) + rounding
        if invariant or margin * t <= 1 or count >= _MANY:
            return LowerEnd(float(found), max(float(found) - margin, -upper))
        count *= 2


def _add(out: Tensor, column: np.ndarray, v: Tensor) -> None:
    for row, weight in zip(out, column, strict=True):
        row.add_(v, alpha=float(weight))


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.reshape(-1), b.reshape(-1)))
