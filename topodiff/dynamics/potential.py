"""Energies of each cell on its own: sources, attractors, wells."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.dynamics.energy import Energy


class SourceEnergy(Energy):
    """``E(x) = - <b, x>``: its flow has the source b.

    Args:
        b: of the shape of x.
    """

    def __init__(self, b: Tensor) -> None:
        self.b = b

    def value(self, x: Tensor) -> Tensor:
        _check_like("b", self.b, x)
        return -(self.b * x).sum()

    def gradient(self, x: Tensor) -> Tensor:
        _check_like("b", self.b, x)
        return -self.b

    def hessian_product(self, x: Tensor, v: Tensor) -> Tensor:
        return torch.zeros_like(v)

    def __repr__(self) -> str:
        return f"SourceEnergy({tuple(self.b.shape)})"


class AttractorEnergy(Energy):
    """``E(x) = k/2 |x - c|^2``: its flow is drawn to c.

    Args:
        c: of the shape of x.
        k: strength.
    """

    def __init__(self, c: Tensor, k: float = 1.0) -> None:
        self.c, self.k = c, k

    def value(self, x: Tensor) -> Tensor:
        _check_like("c", self.c, x)
        return 0.5 * self.k * (x - self.c).square().sum()

    def gradient(self, x: Tensor) -> Tensor:
        _check_like("c", self.c, x)
        return self.k * (x - self.c)

    def hessian_product(self, x: Tensor, v: Tensor) -> Tensor:
        return self.k * v

    def __repr__(self) -> str:
        return f"AttractorEnergy({tuple(self.c.shape)}, k={self.k:g})"


class DoubleWellEnergy(Energy):
    """``E(x) = k/4 sum of (1 - x^2)^2``, with minima at +1 and -1 (Ginzburg and Landau): its flow
    is the reaction ``k x (1 - x^2)`` of Allen and Cahn.

    Args:
        k: depth, times 4.
    """

    def __init__(self, k: float = 1.0) -> None:
        self.k = k

    def value(self, x: Tensor) -> Tensor:
        return 0.25 * self.k * (1 - x.square()).square().sum()

    def gradient(self, x: Tensor) -> Tensor:
        return -self.k * x * (1 - x.square())

    def hessian_product(self, x: Tensor, v: Tensor) -> Tensor:
        return self.k * (3 * x.square() - 1) * v

    def __repr__(self) -> str:
        return f"DoubleWellEnergy(k={self.k:g})"


def _check_like(name: str, given: Tensor, x: Tensor) -> None:
    if given.shape != x.shape:
        raise ValueError(
            f"{name} must have the shape of the state, {tuple(x.shape)}; got {tuple(given.shape)}"
        )
