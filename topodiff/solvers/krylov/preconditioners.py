"""Approximate inverses that cost a product or less."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from topodiff.operators import LinearOperator


class BlockJacobi:
    """The inverse of the diagonal blocks, one d x d block for each cell (Saad, Iterative methods
    for sparse linear systems, 2003, section 4.1); 1 in place of a singular one."""

    def __init__(self, operator: LinearOperator, dtype: torch.dtype) -> None:
        blocks = operator.block_diagonal().detach().to(dtype)
        self.scalar = blocks.shape[-1] == 1
        self.symmetric = operator.symmetric
        if self.scalar:
            diagonal = blocks[:, 0]
            usable = (diagonal != 0) & diagonal.isfinite()
            self.inverse = torch.where(usable, 1 / torch.where(usable, diagonal, 1.0), 1.0)
            return
        inverse, info = torch.linalg.inv_ex(blocks)
        eye = torch.eye(blocks.shape[-1]).to(blocks)
        bad = (info != 0) | ~inverse.isfinite().flatten(1).all(1)
        self.inverse = torch.where(bad[:, None, None], eye, inverse)

    def __call__(self, r: Tensor) -> Tensor:
        return self._product(r, self.inverse)

    def transpose(self, r: Tensor) -> Tensor:
        """For the transposed operator."""
        return self._product(r, self.inverse if self.scalar else self.inverse.mT)

    def _product(self, r: Tensor, inverse: Tensor) -> Tensor:
        if self.scalar:
            return inverse * r
        n, d, _ = inverse.shape
        return torch.bmm(inverse, r.reshape(n, d, r.shape[1])).reshape(r.shape)


class Chebyshev:
    """A polynomial in the operator that is near its inverse on [lower, upper]: ``degree`` steps of
    Chebyshev's iteration from zero (Saad 2003, algorithm 12.1). Symmetric positive definite for
    such an operator, and it needs no dot products.

    Args:
        operator: symmetric, positive definite.
        lower, upper: bounds of the spectrum; by default a thirtieth of the upper one, and
            ``operator.spectral_bound()``.
        degree: products for one application.
    """

    def __init__(
        self,
        operator: LinearOperator,
        lower: float | None = None,
        upper: float | None = None,
        degree: int = 4,
    ) -> None:
        if not operator.symmetric:
            raise ValueError(f"the Chebyshev preconditioner needs a symmetric operator: {operator}")
        upper = operator.spectral_bound() if upper is None else upper
        lower = upper / 30 if lower is None else lower
        if not 0 < lower <= upper < math.inf or degree < 1:
            raise ValueError(
                f"Chebyshev needs 0 < lower <= upper and degree > 0, got {lower}, {upper}, {degree}"
            )
        self.operator, self.degree = operator, degree
        self.middle, self.half = (upper + lower) / 2, max((upper - lower) / 2, 1e-12 * upper)
        self.products = 0

    def __call__(self, r: Tensor) -> Tensor:
        sigma = self.middle / self.half
        rho = 1 / sigma
        x = d = r / self.middle
        for _ in range(self.degree):
            r = r - self.operator @ d
            self.products += 1
            previous, rho = rho, 1 / (2 * sigma - rho)
            d = rho * previous * d + (2 * rho / self.half) * r
            x = x + d
        return x

    transpose = __call__
