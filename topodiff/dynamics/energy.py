"""Energies: functions of a cochain with a gradient, and what can be made of them."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.operators import LinearOperator


class Energy:
    """``E(x)`` of a cochain x (n, *channels), or (n, d, *channels) on a sheaf.

    Energies of channels that do not mix add up. ``a + b`` and ``2.0 * a`` are energies, also for a
    factor that is learnt: a tensor without dimensions.

    Attributes:
        operator: a symmetric operator A with ``gradient(x) = A x + rest_gradient(x)``, which
            implicit solvers treat as the stiff part; None if there is none.
        quadratic: the rest vanishes.
    """

    operator: LinearOperator | None = None
    quadratic = False

    def value(self, x: Tensor) -> Tensor:
        """E(x), a number."""
        raise NotImplementedError

    def gradient(self, x: Tensor) -> Tensor:
        """``dE/dx``, of the shape of x."""
        raise NotImplementedError

    def hessian_product(self, x: Tensor, v: Tensor) -> Tensor:
        """``d/ds gradient(x + s v)`` at s = 0, of the shape of x."""
        recorded = torch.is_grad_enabled()
        with torch.enable_grad():
            at = x if x.requires_grad else x.detach().requires_grad_()
            gradient = self.gradient(at)
            if not gradient.requires_grad:
                return torch.zeros_like(v)
            # the Hessian is symmetric, so that one reverse pass gives its product
            (found,) = torch.autograd.grad(
                gradient, at, v, create_graph=recorded, allow_unused=True, materialize_grads=True
            )
        return found

    def rest_gradient(self, x: Tensor) -> Tensor:
        """``gradient(x) - operator x``."""
        if self.quadratic:
            return torch.zeros_like(x)
        gradient = self.gradient(x)
        return gradient if self.operator is None else gradient - self.operator @ x

    def __call__(self, x: Tensor, *more: Tensor) -> Tensor:
        if more:
            raise TypeError(
                "an energy is a function of the state alone, and no law of motion f(t, x): its "
                "flow is topodiff.dynamics.GradientFlow(energy)"
            )
        return self.value(x)

    def __add__(self, other: Energy) -> Energy:
        return SumEnergy(self, other) if isinstance(other, Energy) else NotImplemented

    def __mul__(self, factor: float | Tensor) -> Energy:
        return ScaledEnergy(factor, self) if _is_number(factor) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> Energy:
        return -1.0 * self

    def __sub__(self, other: Energy) -> Energy:
        return self + (-other) if isinstance(other, Energy) else NotImplemented


def _is_number(factor: object) -> bool:
    if isinstance(factor, Tensor):
        return factor.dim() == 0 and factor.is_floating_point()
    return isinstance(factor, (int, float)) and not isinstance(factor, bool)


class SumEnergy(Energy):
    """``A(x) + B(x)``."""

    def __init__(self, a: Energy, b: Energy) -> None:
        self.a, self.b = a, b
        self.quadratic = a.quadratic and b.quadratic
        if a.operator is None or b.operator is None:
            self.operator = a.operator if b.operator is None else b.operator
        else:
            self.operator = a.operator + b.operator

    def value(self, x: Tensor) -> Tensor:
        return self.a.value(x) + self.b.value(x)

    def gradient(self, x: Tensor) -> Tensor:
        return self.a.gradient(x) + self.b.gradient(x)

    def hessian_product(self, x: Tensor, v: Tensor) -> Tensor:
        return self.a.hessian_product(x, v) + self.b.hessian_product(x, v)

    def rest_gradient(self, x: Tensor) -> Tensor:
        return self.a.rest_gradient(x) + self.b.rest_gradient(x)

    def __repr__(self) -> str:
        return f"{self.a} + {self.b}"


class ScaledEnergy(Energy):
    """``s E(x)`` for a number s, or a tensor without dimensions, which has a gradient."""

    def __init__(self, factor: float | Tensor, energy: Energy) -> None:
        self.factor, self.energy = factor, energy
        self.quadratic = energy.quadratic
        self.operator = None if energy.operator is None else factor * energy.operator

    def value(self, x: Tensor) -> Tensor:
        return self.factor * self.energy.value(x)

    def gradient(self, x: Tensor) -> Tensor:
        return self.factor * self.energy.gradient(x)

    def hessian_product(self, x: Tensor, v: Tensor) -> Tensor:
        return self.factor * self.energy.hessian_product(x, v)

    def rest_gradient(self, x: Tensor) -> Tensor:
        return self.factor * self.energy.rest_gradient(x)

    def __repr__(self) -> str:
        return f"{self.factor:g} * ({self.energy})"
