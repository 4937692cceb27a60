"""Laws of second order: the wave equation, and controlled oscillators on a graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.dynamics.dirichlet import QuadraticEnergy
from topodiff.dynamics.law import Control, Law, at, rescaled, source_at
from topodiff.operators import LinearOperator


class Wave(Law):
    """``d2x/dt2 = - c(t)^2 A x - damping dx/dt + s(t)`` on a graph, a complex or a sheaf.

    Undamped, with a constant speed and without source it keeps ``H = 1/2 |v|^2 + c^2/2 <x, A x>``.

    Args:
        operator: A, symmetric; a Laplacian of any rank.
        speed: c, one number: constant, piecewise constant or a function of t.
        damping: a number or a tensor.
        source: s, of the shape of the state, or a function of t; or none.

    Raises:
        ValueError: for an operator that is not symmetric.
        TypeError: for a damping that depends on time.
    """

    order = 2

    def __init__(
        self,
        operator: LinearOperator,
        *,
        speed: Control = 1.0,
        damping: float | Tensor = 0.0,
        source: Control | None = None,
    ) -> None:
        if not operator.symmetric:
            raise ValueError(f"a wave needs a symmetric operator, got {operator}")
        _check_constant("damping", damping)
        self.operator, self.speed, self.damping, self.source = operator, speed, damping, source
        self.autonomous = not (callable(speed) or callable(source))
        self.linear = source is None

    def acceleration(self, t: Tensor, x: Tensor, v: Tensor) -> Tensor:
        """``- c(t)^2 A x - damping v + s(t)``.

        Raises:
            ValueError: for a source of another shape than the state, a damping that does not fit
                it, or a speed that is not one number.
        """
        _check_factor("damping", self.damping, v)
        return self.rest(t, x) - self._stiffness(t) * (self.operator @ x) - self.damping * v

    def linear_operator(self, t: Tensor) -> LinearOperator:
        return rescaled(self._stiffness(t), self.operator)

    def rest(self, t: Tensor, x: Tensor) -> Tensor:
        """s(t)."""
        return source_at(self.source, t, x)

    def energy(self, x: Tensor, v: Tensor, t: float | Tensor = 0.0) -> Tensor:
        """H, a number; with the speed at time t."""
        potential = QuadraticEnergy(self.operator).value(x)
        stiffness = self._stiffness(torch.as_tensor(t, dtype=v.dtype))
        return 0.5 * v.square().sum() + stiffness * potential

    def _stiffness(self, t: Tensor) -> float | Tensor:
        """``c(t)^2``."""
        speed = at(self.speed, t)
        if not isinstance(speed, Tensor):
            return speed**2
        if speed.numel() != 1:
            raise ValueError(f"the speed must be one number, got {tuple(speed.shape)}")
        return speed.reshape(()) ** 2

    def __repr__(self) -> str:
        return f"Wave({self.operator})"


class ControlledOscillator(Law):
    """``d2x/dt2 = act(F(t, x)) - gamma(t) x - alpha dx/dt``, a graph-coupled oscillator network
    (Rusch et al., GraphCON, ICML 2022, eq. 2).

    Its fixed points are ``x = act(F(x)) / gamma``. Published is the step ``symplectic_euler``.

    Args:
        coupling: F, a function of (t, x): a graph convolution, an attention layer; or an operator A
            for ``F = A x``.
        alpha: the damping, as the paper names it, a number or a tensor; the attribute is
            ``damping``, as of :class:`Wave`.
        gamma: control, a number or a tensor, or depending on t.
        activation: or none for the identity.
        autonomous: whether F does not depend on t.

    Raises:
        TypeError: for a damping that depends on time.
    """

    order = 2

    def __init__(
        self,
        coupling: Callable[[Tensor, Tensor], Tensor] | LinearOperator,
        *,
        alpha: float | Tensor = 1.0,
        gamma: Control = 1.0,
        activation: Callable[[Tensor], Tensor] | None = torch.relu,
        autonomous: bool = True,
    ) -> None:
        _check_constant("alpha", alpha)
        self.coupling, self.activation = coupling, activation
        self.damping, self.gamma = alpha, gamma
        self.autonomous = autonomous and not callable(gamma)

    def acceleration(self, t: Tensor, x: Tensor, v: Tensor) -> Tensor:
        """``act(F(t, x)) - gamma(t) x - alpha v``.

        Raises:
            ValueError: for an alpha or a gamma that does not fit the state.
        """
        coupling, gamma = self.coupling, at(self.gamma, t)
        _check_factor("alpha", self.damping, v)
        _check_factor("gamma", gamma, x)
        force = coupling @ x if isinstance(coupling, LinearOperator) else coupling(t, x)
        if self.activation is not None:
            force = self.activation(force)
        return _less(_less(force, gamma, x), self.damping, v)

    def __repr__(self) -> str:
        return "ControlledOscillator()"


def _check_constant(name: str, damping: object) -> None:
    """TypeError for one that depends on time, which solvers for laws of second order do not
    know."""
    if callable(damping):
        raise TypeError(
            f"{name} is a number or a tensor, which stays: got {type(damping).__name__}"
        )


def _check_factor(name: str, factor: float | Tensor, x: Tensor) -> None:
    """ValueError unless ``factor * x`` has the shape of x."""
    if not isinstance(factor, Tensor) or factor.dim() == 0:
        return
    sizes = zip(reversed(factor.shape), reversed(x.shape), strict=False)
    if factor.dim() > x.dim() or any(k not in (1, n) for k, n in sizes):
        raise ValueError(
            f"{name} must be one number, or broadcast to the shape of the state, "
            f"{tuple(x.shape)}; got {tuple(factor.shape)}"
        )


def _less(y: Tensor, factor: float | Tensor, x: Tensor) -> Tensor:
    """``y - factor x``, in one pass for a number."""
    if isinstance(factor, Tensor):
        return y - factor * x
    return torch.sub(y, x, alpha=factor) if factor else y
