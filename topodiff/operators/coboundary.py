"""Coboundary, boundary, and the Laplacians ``delta^T W delta`` and ``delta V delta^T`` they
make."""

from __future__ import annotations

import copy

import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.operators.algebra import BlockDiagonal, Product, Transpose
from topodiff.operators.base import LinearOperator
from topodiff.operators.live import Live
from topodiff.operators.scaling import WeightPower
from topodiff.sheaves import CellularSheaf
from topodiff.sheaves.maps import multiply
from topodiff.sheaves.sections import block_matrix, incidence_at, sign_maps

Domain = CellComplex | CellularSheaf


class Coboundary(LinearOperator):
    """``delta_r``: cochains of rank r -> r + 1, ``(delta x)_c = sum_f sign(f, c) F_{f<c} x_f``.

    On a complex all maps are 1 and the matrix is the transposed boundary ``B_{r+1}^T``. At the last
    rank it has no rows, at rank -1 no columns, so that formulas hold at both ends.

    Args:
        domain: a complex (states (n, channels)) or a sheaf (states (n, d, channels)).
        rank: -1 <= r <= rank of the complex.
    """

    def __init__(self, domain: Domain, rank: int) -> None:
        complex = complex_of(domain)
        whole_number("the rank of a coboundary", rank, -1, complex.rank)
        maps, dtype = None, None
        stalk: tuple[int, ...] = ()
        self.orthogonal = True
        if isinstance(domain, CellularSheaf):
            stalk, dtype = (domain.stalk_dim,), domain.dtype
            self.orthogonal = domain.orthogonal
            if 0 <= rank < complex.rank:
                maps = domain.restriction_maps(rank + 1)
        self.complex, self.rank = complex, rank
        self.incidence = incidence_at(complex, rank + 1)
        self.maps, self.sign = maps, self.incidence.sign
        self._signed: Live[Tensor] = Live()
        row_shape = (self.incidence.num_cells, *stalk)
        super().__init__(row_shape, (self.incidence.num_faces, *stalk), dtype, complex.device)

    def _apply(self, x: Tensor) -> Tensor:
        return self._product(x, transpose=True)

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return self._product(y, transpose=False)

    @property
    def signed_maps(self) -> Tensor:
        """``sign * maps`` as they are now."""
        if self.maps is None:
            return self.sign
        return self._signed((self.maps,), lambda: sign_maps(self.maps, self.sign))

    def _product(self, x: Tensor, transpose: bool) -> Tensor:
        i, maps = self.incidence, self.signed_maps
        both_orders = (i.cell_ptr, i.face_ptr, i.by_face, transpose)
        if maps.dim() == 1:
            return kernels.incidence_matmul(x, i.face, i.cell, maps, *both_orders)
        return kernels.sheaf_matmul(x, maps, i.face, i.cell, *both_orders)

    def _matrix(self) -> sp.csr_matrix:
        d = self.col_shape[1] if len(self.col_shape) == 2 else 1
        return block_matrix(self.incidence, self.signed_maps, d)

    def _absolute(self) -> Coboundary:
        absolute = copy.copy(self)
        absolute.maps = None if self.maps is None else self.maps.abs()
        absolute.sign, absolute._signed = self.sign.abs(), Live()
        return absolute

    def squares(self, weight: Tensor | None, down: bool) -> Tensor:
        """Diagonal blocks of ``delta^T W delta`` (of ``delta V delta^T`` if ``down``), in the form
        of the maps: ``sum over cofaces c of f of w_c F^T F`` (faces f of c, v_f F F^T)."""
        maps, i = self.maps, self.incidence
        if self.orthogonal or maps is None:
            square = torch.ones_like(i.sign, dtype=self.dtype or torch.float64)
        elif maps.dim() < 3:
            square = maps**2
        else:
            square = kernels.small_matmul(maps, maps, transpose_a=not down, transpose_b=down)
        if weight is not None:
            square = multiply(weight.index_select(0, i.face if down else i.cell), square)
        if down:
            return kernels.segment_reduce(square, i.cell_ptr)
        return kernels.gather_reduce(square, i.by_face, i.face_ptr)


class Boundary(Transpose):
    """``B_r = delta_{r-1}^T``: chains of rank r -> r - 1; the matrix of a complex is
    ``incidence_matrix(r)``.

    Args:
        domain: a complex or a sheaf.
        rank: 0 <= r <= rank of the complex + 1.
    """

    def __init__(self, domain: Domain, rank: int) -> None:
        whole_number("the rank of a boundary", rank, 0, complex_of(domain).rank + 1)
        super().__init__(Coboundary(domain, rank - 1))


class Gram(LinearOperator):
    """``delta^T W delta``, or ``delta W^{-1} delta^T`` if ``down``, for a coboundary and positive
    weights.

    Args:
        coboundary: delta.
        given: (n,) W, one number for each cell of the rank between, or none.
        down: which of the two.
        dtype: of the operator; None for weights that follow from the complex alone, which then take
            the dtype of the state.
    """

    symmetric = True
    positive_semidefinite = True

    def __init__(
        self,
        coboundary: Coboundary,
        given: Tensor | None,
        down: bool,
        dtype: torch.dtype | None,
    ) -> None:
        shape = coboundary.row_shape if down else coboundary.col_shape
        super().__init__(shape, shape, dtype, coboundary.device)
        self.coboundary, self.given, self.down = coboundary, given, down
        self._inverse: Live[Tensor] = Live()

    @property
    def weight(self) -> Tensor | None:
        """What stands between the coboundaries: W, or its inverse."""
        given = self.given
        if given is None or not self.down:
            return given
        return self._inverse((given,), given.reciprocal)

    def _apply(self, x: Tensor) -> Tensor:
        delta = self.coboundary
        y = delta._product(x, transpose=not self.down)
        weight = self.weight
        if weight is not None:
            y = multiply(weight.to(x.dtype), y)
        return delta._product(y, transpose=self.down)

    def _matrix(self) -> sp.csr_matrix:
        delta = self.coboundary._matrix()
        a, b = (delta, delta.T) if self.down else (delta.T, delta)
        weight = self.weight
        if weight is None:
            return a @ b
        shape = self.coboundary.col_shape if self.down else self.coboundary.row_shape
        return a @ BlockDiagonal(weight, shape, self.dtype)._matrix() @ b

    def _absolute(self) -> LinearOperator:
        absolute = copy.copy(self)
        absolute.coboundary = self.coboundary._absolute()
        return absolute

    def _blocks(self) -> Tensor:
        return self.coboundary.squares(self.weight, self.down)


def weighted_coboundary(domain: Domain, rank: int) -> LinearOperator:
    """``W_{r+1}^{1/2} delta_r W_r^{-1/2}`` for the weights of a sheaf: delta in the orthonormal
    coordinates ``W^{1/2} x``, which are those of Laplacians; delta itself without weights."""
    delta = Coboundary(domain, rank)
    weights = domain.weights if isinstance(domain, CellularSheaf) else {}
    above, own = weights.get(rank + 1), weights.get(rank)
    found: LinearOperator = delta
    if own is not None:
        found = Product(found, WeightPower(own, -0.5, delta.col_shape, delta.dtype))
    if above is not None:
        found = Product(WeightPower(above, 0.5, delta.row_shape, delta.dtype), found)
    return found


def complex_of(domain: Domain) -> CellComplex:
    """The complex itself, or that of a sheaf; TypeError otherwise."""
    if isinstance(domain, CellularSheaf):
        return domain.complex
    if isinstance(domain, CellComplex):
        return domain
    raise TypeError(
        f"an operator lives on a CellComplex or CellularSheaf, got {type(domain).__name__}"
    )
