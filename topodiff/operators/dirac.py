"""The Dirac operator: boundary and coboundary of all ranks at once."""

from __future__ import annotations

import copy

import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff.operators.base import LinearOperator
from topodiff.operators.coboundary import Coboundary, Domain, complex_of, weighted_coboundary


class Dirac(LinearOperator):
    """``D = delta + delta^T`` on cochains of all ranks, one after another in one tensor.

    ``(D x)_r = delta_{r-1} x_{r-1} + delta_r^T x_{r+1}``, and ``D^2`` is the direct sum of the
    Hodge Laplacians if maps commute (Lloyd, Garnerone and Zanardi 2016; Bianconi 2021). Symmetric,
    with a spectrum symmetric about 0. For a sheaf with weights ``W_{r+1}^{1/2} delta_r W_r^{-1/2}``
    stands for ``delta_r``, as in :class:`~topodiff.operators.SheafLaplacian`.

    Args:
        domain: a complex, or a sheaf with maps on every rank.
    """

    symmetric = True

    def __init__(self, domain: Domain) -> None:
        complex = complex_of(domain)
        self.complex = complex
        self.sizes = complex.shape
        self.coboundaries = [weighted_coboundary(domain, r) for r in range(complex.rank)]
        last = Coboundary(domain, complex.rank)
        shape = (sum(self.sizes), *last.col_shape[1:])
        super().__init__(shape, shape, last.dtype, complex.device)

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """The cochains of rank 0, 1, ... that ``x`` (sum of n_r, ...) holds."""
        return x.split(self.sizes)

    def _apply(self, x: Tensor) -> Tensor:
        parts = self.split(x)
        out = [torch.zeros_like(part) for part in parts]
        for r, delta in enumerate(self.coboundaries):
            out[r] = out[r] + delta._apply_transpose(parts[r + 1])
            out[r + 1] = out[r + 1] + delta._apply(parts[r])
        return torch.cat(out)

    def _matrix(self) -> sp.csr_matrix:
        d = self.shape[0] // max(self.row_shape[0], 1)
        rows: list[list] = [[None] * len(self.sizes) for _ in self.sizes]
        for r, n in enumerate(self.sizes):
            rows[r][r] = sp.csr_matrix((n * d, n * d))
        for r, coboundary in enumerate(self.coboundaries):
            delta = coboundary._matrix()
            rows[r + 1][r], rows[r][r + 1] = delta, delta.T
        return sp.bmat(rows, format="csr")

    def _absolute(self) -> LinearOperator:
        absolute = copy.copy(self)
        absolute.coboundaries = [delta._absolute() for delta in self.coboundaries]
        return absolute

    def _blocks(self) -> Tensor:
        return torch.zeros(self.row_shape[0], dtype=self._any_dtype(), device=self.device)
