"""Gradient flows, and the heat flow of any operator."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.dynamics.energy import Energy
from topodiff.dynamics.law import Control, Law, at, rescaled, source_at
from topodiff.operators import LinearOperator


class GradientFlow(Law):
    """``dx/dt = - dE/dx``, along which ``dE/dt = - |dE/dx|^2``.

    Args:
        energy: E.
    """

    symmetric = True

    def __init__(self, energy: Energy) -> None:
        self.energy = energy
        self.linear = energy.quadratic

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        return -self.energy.gradient(x)

    def jvp(self, t: Tensor, x: Tensor, v: Tensor) -> Tensor:
        """Jacobian times v."""
        return -self.energy.hessian_product(x, v)

    def linear_operator(self, t: Tensor) -> LinearOperator | None:
        return self.energy.operator

    def rest(self, t: Tensor, x: Tensor) -> Tensor:
        """``law + A x``."""
        return -self.energy.rest_gradient(x)

    def __repr__(self) -> str:
        return f"GradientFlow({self.energy})"


class Heat(Law):
    """``dx/dt = - c(t) A x + s(t)``.

    Args:
        operator: A, a Laplacian of any kind.
        rate: the diffusivity c, one number: constant, piecewise constant or a function of t.
        source: s, of the shape of the state, or a function of t; or none.
    """

    def __init__(
        self, operator: LinearOperator, *, rate: Control = 1.0, source: Control | None = None
    ) -> None:
        self.operator, self.rate, self.source = operator, rate, source
        self.autonomous = not (callable(rate) or callable(source))
        self.linear = source is None
        self.symmetric = operator.symmetric

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        return self.rest(t, x) - at(self.rate, t) * (self.operator @ x)

    def jvp(self, t: Tensor, x: Tensor, v: Tensor) -> Tensor:
        """Jacobian times v."""
        return -at(self.rate, t) * (self.operator @ v)

    def linear_operator(self, t: Tensor) -> LinearOperator:
        return rescaled(at(self.rate, t), self.operator)

    def rest(self, t: Tensor, x: Tensor) -> Tensor:
        """s(t)."""
        return source_at(self.source, t, x)

    def __repr__(self) -> str:
        return f"Heat({self.operator}, source={self.source is not None})"


class MixedDiffusion(Law):
    """``dx/dt = - act(A(t, x) (I (x) W_1) x W_2)``: neural sheaf diffusion in continuous time for
    states (n, d, channels) (Bodnar et al. 2022, eq. 3), and with no W_1 diffusion of channels that
    mix for (n, channels).

    Args:
        operator: A, or a function of (t, x) that gives it.
        left: W_1 (d, d), or none for the identity; constant or depending on t.
        right: W_2 (channels, channels), likewise.
        activation: or none for the identity.
    """

    def __init__(
        self,
        operator: Any,
        *,
        left: Control | None = None,
        right: Control | None = None,
        activation: Any = None,
    ) -> None:
        self.operator, self.left, self.right, self.activation = operator, left, right, activation
        self.autonomous = not (callable(left) or callable(right) or callable(operator))

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        left, right = at(self.left, t), at(self.right, t)
        _check_mixing(left, right, x)
        operator = self.operator(t, x) if callable(self.operator) else self.operator
        mixed = x if right is None else x @ right
        if left is not None:
            mixed = torch.einsum("ab,nbc->nac", left, mixed)
        out = operator @ mixed
        return -out if self.activation is None else -self.activation(out)

    def __repr__(self) -> str:
        return f"MixedDiffusion({self.operator})"


def _check_mixing(left: Tensor | None, right: Tensor | None, x: Tensor) -> None:
    """ValueError unless ``(I (x) left) x right`` has the shape of x."""
    if left is not None and (x.dim() != 3 or left.shape != (x.shape[1],) * 2):
        raise ValueError(
            f"left mixes the stalks of states (n, d, channels), d = {left.shape[-1]}; got "
            f"{tuple(x.shape)}"
        )
    if right is not None and (x.dim() < 2 or right.shape != (x.shape[-1],) * 2):
        raise ValueError(
            f"right mixes the {right.shape[-1]} channels of a state; got {tuple(x.shape)}"
        )
