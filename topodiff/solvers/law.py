"""What solvers ask of a law, and the one form in which they see all laws."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from topodiff.operators import LinearOperator
from topodiff.solvers.assembled import assembled
from topodiff.solvers.held import is_constant

Scalar = float | Tensor


def as_float(t: Scalar) -> float:
    """The value of t."""
    return float(t.detach()) if isinstance(t, Tensor) else float(t)


class Law(Protocol):
    """A law of motion: ``dx/dt = law(t, x)``, or ``d2x/dt2 = law.acceleration(t, x, v)``.

    ``__call__`` alone is needed (for order 2 ``acceleration`` alone); t is a tensor without
    dimensions. Everything else is optional, read with the defaults given here, and lets more
    solvers in or makes them faster:

        order = 1                   2 for a law of second order; its state is a pair (x, v)
        autonomous = False          t does not matter
        linear = False              the law is -A x, nothing else, A = linear_operator(t)
        symmetric = False           the Jacobian of x -> law(t, x) is symmetric (gradient flows)
        linear_operator(t)          a LinearOperator A, the stiff part:
                                    law(t, x) = -A x + rest(t, x)
                                    (order 2: acceleration = -A x - damping v + rest(t, x))
        frozen(t, x)                a law near this one whose linear_operator(t) explicit steps are
                                    checked with, where this one has none
        rest(t, x)                  by default law(t, x) + A x
        mixing(t)                   a :class:`Mixing` that does not depend on time, or None
        jvp(t, x, v)                Jacobian times v; by default from two reverse passes
        acceleration(t, x, v)       order 2: force(t, x) - damping v
        damping = 0.0               order 2: number or tensor, the only dependence on v
        parameters()                for backward="adjoint": tensors that gradients are to reach
        breaks()                    times at which the law jumps, rising
        within(start, end)          the law between two of these times, as it is there up to both:
                                    what steps from one to the other are made with
    """

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        """dx/dt, of the shape of x."""
        ...


class Mixing(NamedTuple):
    """``dx/dt = rate (P x - x) + strength source`` with ``|P| <= 1`` in the norm of 1, 2 or
    infinity.

    Attributes:
        rate: r > 0, a number or a tensor with one entry.
        operator: P.
        source: of the shape of the state, or None.
        strength: number or tensor with one entry.
    """

    rate: Scalar
    operator: Any
    source: Tensor | None = None
    strength: Scalar = 1.0


class OperatorLaw:
    """``dx/dt = -A x`` for a constant operator."""

    order = 1
    autonomous = True
    linear = True

    def __init__(self, operator: LinearOperator) -> None:
        self.operator = self.product = operator
        self.symmetric = operator.symmetric

    def prepare(self, like: Tensor, evaluations: float) -> None:
        """Assemble the operator, which is constant, if that many evaluations repay it."""
        self.product = assembled(self.operator, like, evaluations)

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        return -(self.product @ x)

    def linear_operator(self, t: Tensor) -> LinearOperator:
        return self.operator

    def __repr__(self) -> str:
        return repr(self.operator)


@dataclass
class Work:
    """What a solution takes on the way; see :class:`topodiff.solvers.Stats`."""

    evaluations: int = 0
    iterations: int = 0
    residual: float = 0.0


class System:
    """A law with its defaults filled in and its evaluations counted.

    The state of a law of second order is (2, *shape), positions before velocities, so that solvers
    for first order take it as it is.
    """

    def __init__(self, law: Any, like: Tensor) -> None:
        self.law: Any = OperatorLaw(law) if isinstance(law, LinearOperator) else law
        self.like = like
        self.order: int = getattr(self.law, "order", 1)
        if self.order not in (1, 2):
            raise ValueError(f"a law has order 1 or 2 in time, got {self.order!r} from {law!r}")
        needed = self.law if self.order == 1 else getattr(self.law, "acceleration", None)
        if not callable(needed):
            raise TypeError(
                "a law is a LinearOperator L (dx/dt = -L x), a callable f(t, x) -> dx/dt, or has "
                f"order = 2 and acceleration(t, x, v); got {type(law).__name__}"
            )
        self.autonomous = bool(getattr(self.law, "autonomous", False))
        self.linear = bool(getattr(self.law, "linear", False))
        self.symmetric = bool(getattr(self.law, "symmetric", False)) and self.order == 1
        self.damping: Scalar = getattr(self.law, "damping", 0.0)
        self.constant = False
        self.work = Work()
        self._operator: LinearOperator | None = None

    def breaks(self) -> list[float]:
        """Times at which the law jumps."""
        found: Callable | None = getattr(self.law, "breaks", None)
        return [] if found is None else list(found())

    def within(self, start: float, end: float) -> System:
        """The law as it is between two breaks; work counts for both."""
        found = copy.copy(self)
        found.law = self.law.within(start, end)
        return found

    def prepare(self, evaluations: float) -> None:
        """Say that so many evaluations are to come, before the first of them."""
        # all this now, not inside a checkpoint that would do it again
        operator = self.operator(0.0) if self.autonomous else None
        self.constant = operator is not None and is_constant(operator)
        if isinstance(self.law, OperatorLaw) and self.constant:
            self.law.prepare(self.like, evaluations)

    def time(self, t: Scalar) -> Tensor:
        """t as a tensor beside the state."""
        return torch.as_tensor(t, dtype=self.like.dtype, device=self.like.device)

    def __call__(self, t: Scalar, z: Tensor) -> Tensor:
        if self.order == 2:
            x, v = z.unbind(0)
            return torch.stack([v, self.acceleration(t, x, v)])
        self.work.evaluations += 1
        return self._checked(self.law(self.time(t), z), z)

    def acceleration(self, t: Scalar, x: Tensor, v: Tensor) -> Tensor:
        self.work.evaluations += 1
        return self._checked(self.law.acceleration(self.time(t), x, v), x)

    def _checked(self, f: Any, x: Tensor) -> Tensor:
        if not isinstance(f, Tensor) or f.shape != x.shape or f.dtype != x.dtype:
            given = f"{tuple(f.shape)} of {f.dtype}" if isinstance(f, Tensor) else type(f).__name__
            raise ValueError(
                f"the law must return the derivative in the shape of the state, "
                f"{tuple(x.shape)} of {x.dtype}; it returned {given}"
            )
        return f

    def operator(self, t: Scalar) -> LinearOperator | None:
        """The linear part A, or None."""
        if self._operator is not None:
            return self._operator
        make: Callable | None = getattr(self.law, "linear_operator", None)
        found = None if make is None else make(self.time(t))
        if self.autonomous:
            self._operator = found
        return found

    def rest(self, t: Scalar, x: Tensor) -> Tensor:
        """``law(t, x) + A x`` for a law of first order."""
        if self.linear:
            return torch.zeros_like(x)
        rest = getattr(self.law, "rest", None)
        if rest is not None:
            self.work.evaluations += 1
            return self._checked(rest(self.time(t), x), x)
        operator = self.operator(t)
        assert operator is not None
        self.work.evaluations += 1
        return self(t, x) + operator @ x

    @cached_property
    def mixing(self) -> Mixing | None:
        """What the law mixes by, if it is one that can be solved so: it says so itself, or is
        linear with a symmetric positive semidefinite operator."""
        if self.order != 1 or not self.autonomous:
            return None
        make = getattr(self.law, "mixing", None)
        if make is not None:
            found: Mixing | None = make(self.time(0.0))
            return found
        operator = self.operator(0.0) if self.linear else None
        if operator is None or not (operator.symmetric and operator.positive_semidefinite):
            return None
        # a bound just above 0 stands for an operator of zeros
        rate = max(operator.spectral_bound() / 2, 1e-30)
        return Mixing(rate, operator.identity() - (1 / rate) * operator)

    @property
    def jvp(self) -> Callable | None:
        """``jvp(t, x, v)`` of the law itself, if it has one."""
        return getattr(self.law, "jvp", None) if self.order == 1 else None

    def __repr__(self) -> str:
        return repr(self.law)
