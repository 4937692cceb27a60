"""Quadratic energies: Dirichlet energies on graphs, on complexes of any rank and on sheaves."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.dynamics.energy import Energy
from topodiff.operators import (
    Congruence,
    GraphLaplacian,
    HodgeLaplacian,
    Laplacian,
    LinearOperator,
    SheafLaplacian,
    Sum,
)
from topodiff.operators.coboundary import Gram
from topodiff.sheaves import CellularSheaf


class QuadraticEnergy(Energy):
    """``E(x) = 1/2 <x, A x>``, ``gradient = A x``.

    Args:
        operator: symmetric A.

    Raises:
        ValueError: for an operator that is not known to be symmetric: it is the gradient of
            nothing.
    """

    operator: LinearOperator
    quadratic = True

    def __init__(self, operator: LinearOperator) -> None:
        if not operator.symmetric:
            raise ValueError(
                f"an energy 1/2 <x, A x> needs a symmetric operator, got {operator}; its symmetric "
                "part is 0.5 * (A + A.T)"
            )
        self.operator = operator

    def value(self, x: Tensor) -> Tensor:
        self.operator._check_state(x)
        channels = x.shape[len(self.operator.col_shape) :]
        state = x.reshape(*self.operator.col_shape, math.prod(channels))
        return 0.5 * quadratic_form(self.operator, state)

    def gradient(self, x: Tensor) -> Tensor:
        return self.operator @ x

    def hessian_product(self, x: Tensor, v: Tensor) -> Tensor:
        return self.operator @ v

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.operator})"


def quadratic_form(operator: LinearOperator, x: Tensor) -> Tensor:
    """``<x, A x>`` for a state with one channel dimension, as a sum of squares where A is made of
    coboundaries: exact to rounding also where x is nearly constant and ``A x`` cancels."""
    if isinstance(operator, Laplacian):
        return quadratic_form(operator.operator, x)
    if isinstance(operator, Sum):
        return quadratic_form(operator.a, x) + quadratic_form(operator.b, x)
    if isinstance(operator, Congruence):
        return quadratic_form(operator.operator, operator.scaling._apply(x))
    if not isinstance(operator, Gram):
        return (x * operator._apply(x)).sum()
    delta = operator.coboundary
    y = delta._apply_transpose(x) if operator.down else delta._apply(x)
    if operator.weight is None:
        return y.square().sum()
    return torch.dot(operator.weight.to(x.dtype), y.square().flatten(1).sum(1))


class DirichletEnergy(QuadraticEnergy):
    """``E(x) = 1/2 sum over edges of w_e |x_u - x_v|^2``, each edge once.

    Args:
        complex: the graph.
        weights: (n_1,) positive, or none, also where the complex has some: ``complex.weights[1]``.
        normalized: ``x_v / sqrt(d_v)`` in place of ``x_v``, with the weighted degrees d.
    """

    def __init__(
        self, complex: CellComplex, *, weights: Tensor | None = None, normalized: bool = False
    ) -> None:
        kind = "symmetric" if normalized else "combinatorial"
        super().__init__(GraphLaplacian(complex, kind, weights=weights))


class HodgeEnergy(QuadraticEnergy):
    """``E(x) = up/2 |delta x|^2 + down/2 |delta^* x|^2`` for cochains of one rank.

    Args:
        complex: any complex.
        rank: of the cochains.
        up, down: factors, not negative. (1, 1) gives the Hodge Laplacian; down alone, for instance,
            penalises divergence and leaves curls.
        weights: rank -> (n_r,) positive; see :class:`topodiff.operators.Laplacian`.
    """

    def __init__(
        self,
        complex: CellComplex,
        rank: int,
        *,
        up: float = 1.0,
        down: float = 1.0,
        weights: Mapping[int, Tensor] | None = None,
    ) -> None:
        if up < 0 or down < 0:
            raise ValueError(f"up and down must not be negative, got {up} and {down}")
        laplacian = HodgeLaplacian(complex, rank, weights=weights)
        if up == down == 1:
            super().__init__(laplacian)
        else:
            super().__init__(up * laplacian.up + down * laplacian.down)


class SheafEnergy(QuadraticEnergy):
    """``E(x) = 1/2 sum over edges of w_e |F_v x_v - F_u x_u|^2`` (Bodnar et al., Neural sheaf
    diffusion, 2022), and on cochains of higher rank ``1/2 |delta x|^2 + 1/2 |delta^* x|^2``.

    Args:
        sheaf, normalized, rank: of :class:`topodiff.operators.SheafLaplacian`.
    """

    def __init__(
        self, sheaf: CellularSheaf, normalized: bool | str = False, *, rank: int = 0
    ) -> None:
        super().__init__(SheafLaplacian(sheaf, normalized, rank=rank))
