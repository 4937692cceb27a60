"""p-Dirichlet energies and total variation."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.dynamics.energy import Energy
from topodiff.operators import Coboundary
from topodiff.operators.coboundary import Domain


class PDirichletEnergy(Energy):
    """``E(x) = 1/p sum over cells of w_c (|(delta x)_c|^2 + eps^2)^{p/2}``.

    The norm is over stalk and channels of a cell together, so channels mix (except for p = 2, the
    Dirichlet energy). p = 1 is the total variation, made smooth by eps; its flow keeps edges sharp.

    Args:
        domain: a complex or a sheaf.
        p: at least 1.
        eps: positive for p < 2, where the energy has no second derivative otherwise.
        weights: (n_{rank + 1},) positive, or none.
        rank: of the cochain.
    """

    def __init__(
        self,
        domain: Domain,
        p: float,
        *,
        eps: float = 1e-3,
        weights: Tensor | None = None,
        rank: int = 0,
    ) -> None:
        if p < 1:
            raise ValueError(f"p must be at least 1, for a convex energy; got {p}")
        if eps < 0 or (eps == 0 and p < 2):
            raise ValueError(f"eps must be positive for p < 2 (not negative above); got {eps}")
        self.delta = Coboundary(domain, rank)
        count = self.delta.row_shape[0]
        if weights is not None and weights.shape != (count,):
            raise ValueError(
                f"weights must have shape ({count},), one for each {rank + 1}-cell; got "
                f"{tuple(weights.shape)}"
            )
        self.p, self.eps, self.weights = p, eps, weights

    def _power(self, y: Tensor, exponent: float) -> Tensor:
        """``w (|y|^2 + eps^2)^exponent``, one number per cell."""
        base = squares(y) + self.eps**2
        if float(exponent).is_integer():
            power = base**exponent
        else:
            # at 0 no derivative goes through the root
            positive = base > 0
            power = torch.where(positive, torch.where(positive, base, 1.0) ** exponent, 0.0)
        return power if self.weights is None else self.weights * power

    def _difference(self, x: Tensor) -> Tensor:
        """``delta x`` with the stalks apart, which belong to one cell also in the flat form."""
        channels = x.shape[self.delta._check_state(x) :]
        return self.delta @ x.reshape(*self.delta.col_shape, *channels)

    def value(self, x: Tensor) -> Tensor:
        return self._power(self._difference(x), self.p / 2).sum() / self.p

    def gradient(self, x: Tensor) -> Tensor:
        y = self._difference(x)
        pulled = self.delta.T @ (column(self._power(y, self.p / 2 - 1), y) * y)
        return pulled.reshape(x.shape)

    def __repr__(self) -> str:
        return f"PDirichletEnergy({self.delta}, p={self.p:g}, eps={self.eps:g})"


def squares(y: Tensor) -> Tensor:
    """``|y_c|^2`` of every cell c, over stalk and channels together."""
    return y.flatten(1).square().sum(1) if y.dim() > 1 else y.square()


def column(numbers: Tensor, like: Tensor) -> Tensor:
    """One number per cell, to be multiplied with a cochain."""
    return numbers.reshape(-1, *[1] * (like.dim() - 1))
