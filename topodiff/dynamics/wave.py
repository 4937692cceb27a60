"""Laws of second order: the wave equation, and controlled oscillators on a graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.dynamics.dirichlet import QuadraticEnergy
from topodiff.dynamics.law import Control, Law, at, rescaled
from topodiff.operators import LinearOperator


class Wave(Law):
    """``d2x/dt2 = - c^2 A x - damping dx/dt + s(t)`` on a graph, a complex or a sheaf.

    Undamped and without source it keeps ``H = 1/2 |v|^2 + c^2/2 <x, A x>``.

    Args:
        operator: A, symmetric; a Laplacian of any rank.
        speed: c, a number or a tensor with one entry.
        damping: a number or a tensor.
        source: s, of the shape of the state, or a function of t; or none.

    Raises:
        ValueError: for an operator that is not symmetric.
    """

    order = 2

    def __init__(
        self,
        operator: LinearOperator,
        *,
        speed: float | Tensor = 1.0,
        damping: float | Tensor = 0.0,
        source: Control | None = None,
    ) -> None:
        if not operator.symmetric:
            raise ValueError(f"a wave needs a symmetric operator, got {operator}")
        self.operator, self.speed, self.damping, self.source = operator, speed, damping, source
        self.autonomous = not callable(source)
        self.linear = source is None

    def acceleration(self, t: Tensor, x: Tensor, v: Tensor) -> Tensor:
        """``- c^2 A x - damping v + s(t)``."""
        return self.rest(t, x) - self.speed**2 * (self.operator @ x) - self.damping * v

    def linear_operator(self, t: Tensor) -> LinearOperator:
        return rescaled(self.speed**2, self.operator)

    def rest(self, t: Tensor, x: Tensor) -> Tensor:
        """s(t)."""
        source = at(self.source, t)
        return torch.zeros_like(x) if source is None else source

    def energy(self, x: Tensor, v: Tensor) -> Tensor:
        """H, a number."""
        potential = QuadraticEnergy(self.operator).value(x)
        return 0.5 * v.square().sum() + self.speed**2 * potential

    def __repr__(self) -> str:
        return f"Wave({self.operator})"


class ControlledOscillator(Law):
    """``d2x/dt2 = act(F(t, x)) - gamma x - alpha dx/dt``, a graph-coupled oscillator network (Rusch
    et al., GraphCON, ICML 2022, eq. 2).

    Its fixed points are ``x = act(F(x)) / gamma``. Published is the step ``symplectic_euler``.

    Args:
        coupling: F, a function of (t, x): a graph convolution, an attention layer, an operator.
        alpha: damping, a number or a tensor.
        gamma: control, a number or a tensor.
        activation: or none for the identity.
        autonomous: whether F does not depend on t.
    """

    order = 2

    def __init__(
        self,
        coupling: Callable[[Tensor, Tensor], Tensor],
        *,
        alpha: float | Tensor = 1.0,
        gamma: float | Tensor = 1.0,
        activation: Callable[[Tensor], Tensor] | None = torch.relu,
        autonomous: bool = True,
    ) -> None:
        self.coupling, self.activation = coupling, activation
        self.damping, self.gamma = alpha, gamma
        self.autonomous = autonomous

    def acceleration(self, t: Tensor, x: Tensor, v: Tensor) -> Tensor:
        """``act(F(t, x)) - gamma x - alpha v``."""
        force = self.coupling(t, x)
        if self.activation is not None:
            force = self.activation(force)
        return _less(_less(force, self.gamma, x), self.damping, v)

    def __repr__(self) -> str:
        return "ControlledOscillator()"


def _less(y: Tensor, factor: float | Tensor, x: Tensor) -> Tensor:
    """``y - factor x``, in one pass for a number."""
    if isinstance(factor, Tensor):
        return y - factor * x
    return torch.sub(y, x, alpha=factor) if factor else y
