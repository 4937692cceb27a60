"""Hodge, sheaf, graph and connection Laplacians."""

from __future__ import annotations

from collections.abc import Mapping

import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.kernels.checks import check_choice
from topodiff.operators.algebra import Congruence, Product
from topodiff.operators.base import LinearOperator
from topodiff.operators.blocks import VertexGram
from topodiff.operators.coboundary import Coboundary, Domain, Gram, complex_of
from topodiff.operators.scaling import InverseDiagonal, WeightPower
from topodiff.sheaves import CellularSheaf
from topodiff.sheaves.sections import incidence_at
from topodiff.sheaves.sheaf import check_weights


class Laplacian(LinearOperator):
    """``L_r = delta_r^* delta_r + delta_{r-1} delta_{r-1}^*`` on cochains of one rank.

    Coordinates are orthonormal, so it is symmetric and positive semidefinite, also for a sheaf
    whose maps do not commute.

    With weights W_r on the cochains the inner product is ``<x, y> = sum_c w_c x_c y_c`` and

        L_r = W_r^{-1/2} delta_r^T W_{r+1} delta_r W_r^{-1/2}
            + W_r^{1/2} delta_{r-1} W_{r-1}^{-1} delta_{r-1}^T W_r^{1/2},

    similar to the operator of Hansen and Ghrist (2019) by ``W_r^{1/2}``. With weights on the edges
    alone and r = 0 this is ``delta^T W delta``.

    Attributes:
        up, down: the two terms, before normalisation.
        complex, rank: where the cochains live.
        numbers: the maps and weights in it. They may change in place, as parameters do under an
            optimiser, or by ``numbers[0].data = other``: every product, matrix and bound is that of
            their present values. Only changes in place of their ``.data`` are not seen.
    """

    symmetric = True
    positive_semidefinite = True

    def __init__(
        self,
        domain: Domain,
        rank: int,
        weights: Mapping[int, Tensor],
        normalized: bool | str,
        dtype: torch.dtype | None,
    ) -> None:
        complex = complex_of(domain)
        whole_number("the rank of a Laplacian", rank, 0, complex.rank)
        self.complex, self.rank = complex, rank
        below, own, above = (weights.get(rank + k) for k in (-1, 0, 1))
        delta, under = Coboundary(domain, rank), Coboundary(domain, rank - 1)
        up: LinearOperator = (
            VertexGram(delta, above, dtype)
            if rank == 0 < complex.rank
            else Gram(delta, above, False, dtype)
        )
        down: LinearOperator = Gram(under, below, True, dtype)
        maps = delta.maps, under.maps
        self.numbers = tuple(t for t in (*maps, below, own, above) if t is not None)
        if own is not None:
            up = Congruence(WeightPower(own, -0.5, up.col_shape, dtype), up)
            down = Congruence(WeightPower(own, 0.5, up.col_shape, dtype), down)
        self.up, self.down = up, down
        # nothing lies below the vertices and above the last rank
        self.operator = up if rank == 0 else down if rank == complex.rank else up + down
        if normalized:
            self.operator = self._normalise(augmented=normalized == "augmented")
        shape = self.operator.col_shape
        super().__init__(shape, shape, dtype, complex.device)

    def _normalise(self, augmented: bool) -> LinearOperator:
        """``D^{-1/2} L D^{-1/2}`` for the diagonal blocks D of L; ``x^T L x <= m x^T D x`` by
        Cauchy and Schwarz for terms that meet at most m cells at once (edges have m = 2
        vertices)."""
        above, below = (incidence_at(self.complex, self.rank + k) for k in (1, 0))
        bound = max(_largest(above.cell_ptr), _largest(below.face_ptr))
        scaling = InverseDiagonal(self.operator, self.numbers, augmented=augmented)
        return Congruence(scaling, self.operator, float(bound))

    def _apply(self, x: Tensor) -> Tensor:
        return self.operator._apply(x)

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return self.operator._apply_transpose(y)

    def _matrix(self) -> sp.csr_matrix:
        return self.operator._matrix()

    def _absolute(self) -> LinearOperator:
        return self.operator._absolute()

    def _blocks(self) -> Tensor:
        return self.operator._blocks()

    def spectral_bound(self) -> float:
        return self.operator.spectral_bound()


def _largest(ptr: Tensor) -> int:
    return int(ptr.diff().max()) if ptr.numel() > 1 else 0


class HodgeLaplacian(Laplacian):
    """``L_r = B_r^T B_r + B_{r+1} B_{r+1}^T`` of a complex (Eckmann 1944).

    Args:
        complex: any complex.
        rank: 0 <= r <= rank of the complex.
        weights: rank -> (n_r,) positive (``complex.weights``, say); see :class:`Laplacian`.
        normalized: True for ``D^{-1/2} L D^{-1/2}`` with the diagonal D of L. ``"random_walk"`` for
            weights from degrees, for which ``up`` and ``down`` have spectra in [0, 1] and stay
            orthogonal (Schaub et al., Random walks on simplicial complexes and the normalized Hodge
            1-Laplacian, SIAM Review 2020; here for cells with any number of faces).
    """

    def __init__(
        self,
        complex: CellComplex,
        rank: int,
        *,
        weights: Mapping[int, Tensor] | None = None,
        normalized: bool | str = False,
    ) -> None:
        if normalized not in (False, True, "random_walk"):
            raise ValueError(f'normalized must be False, True or "random_walk", got {normalized!r}')
        walk = normalized == "random_walk"
        if walk and weights is not None:
            raise ValueError('normalized="random_walk" sets the weights itself: give one only')
        given = {} if weights is None else weights
        dtype = _checked_dtype(complex, given)
        if walk:
            given = _random_walk_weights(complex, rank)
        super().__init__(complex, rank, given, bool(normalized) and not walk, dtype)


def _checked_dtype(complex: CellComplex, weights: Mapping[int, Tensor]) -> torch.dtype | None:
    """Of the weights, None without any; TypeError or ValueError for a wrong complex or weights."""
    if not isinstance(complex, CellComplex):
        raise TypeError(
            f"complex must be a CellComplex, got {type(complex).__name__}; a CellularSheaf has "
            "a SheafLaplacian"
        )
    check_weights(complex, weights)
    return next((w.dtype for w in weights.values()), None)


def _random_walk_weights(complex: CellComplex, rank: int) -> dict[int, Tensor]:
    """Weights 1 / m for cells with m faces, number of cofaces (at least 1) for the cells of
    ``rank``, and on their faces the sum of m times that."""
    whole_number("the rank of a Laplacian", rank, 0, complex.rank)

    def degrees(ptr: Tensor) -> Tensor:
        return ptr.diff().double().clamp(min=1)

    above = incidence_at(complex, rank + 1)
    below = incidence_at(complex, rank)
    own = degrees(above.face_ptr)
    weights = {rank: own}
    if rank < complex.rank:
        weights[rank + 1] = 1 / degrees(above.cell_ptr)
    if rank > 0:
        share = own * degrees(below.cell_ptr)
        total = kernels.gather_reduce(share, below.cell_by_face, below.face_ptr)
        weights[rank - 1] = torch.where(total > 0, total, 1.0)
    return weights


class SheafLaplacian(Laplacian):
    """The Laplacian of a cellular sheaf, with its weights; ``delta^T W delta`` on the vertices.

    Args:
        sheaf: its maps of ``rank`` and ``rank`` + 1 are used.
        normalized: False; True for ``D^{-1/2} L D^{-1/2}`` with the block diagonal D of L (0 where
            D is singular, as on isolated vertices); ``"augmented"`` for ``(D + I)^{-1/2}`` in its
            place, as in the published code of neural sheaf diffusion (Bodnar et al. 2022).
        rank: of the cochains.
    """

    def __init__(
        self, sheaf: CellularSheaf, normalized: bool | str = False, *, rank: int = 0
    ) -> None:
        if normalized not in (False, True, "augmented"):
            raise ValueError(f'normalized must be False, True or "augmented", got {normalized!r}')
        if not isinstance(sheaf, CellularSheaf):
            raise TypeError(
                f"sheaf must be a CellularSheaf, got {type(sheaf).__name__}; a complex alone has a "
                "HodgeLaplacian"
            )
        check_weights(sheaf.complex, sheaf.weights)  # which may have changed
        super().__init__(sheaf, rank, sheaf.weights, normalized, sheaf.dtype)
        self.sheaf = sheaf


class ConnectionLaplacian(SheafLaplacian):
    """``(L x)_v = sum over edges e = {u, v} of w_e (x_v - O_{u->v} x_u)`` for orthogonal transports
    (Singer and Wu, Vector diffusion maps and the connection Laplacian, 2012).

    Args:
        complex: the graph.
        transports: (n_1, d, d) orthogonal, from tail to head of each edge; the way back is the
            transpose.
        weights: (n_1,) positive, or none.
        normalized: as for :class:`SheafLaplacian`.

    Raises:
        ValueError: for a transport that is not orthogonal.
    """

    def __init__(
        self,
        complex: CellComplex,
        transports: Tensor,
        *,
        weights: Tensor | None = None,
        normalized: bool | str = False,
    ) -> None:
        sheaf = CellularSheaf.from_transport(complex, transports, weights=weights, orthogonal=True)
        super().__init__(sheaf.validate(), normalized)


class GraphLaplacian(Laplacian):
    """Laplacian of a graph with edge weights: ``D - A`` (combinatorial), ``I - D^{-1/2} A
    D^{-1/2}`` (symmetric) or ``I - D^{-1} A`` (random_walk), with zero rows for isolated vertices
    in all three (Chung, Spectral graph theory, 1997).

    Args:
        complex: the graph; cells of higher rank do not matter.
        kind: one of the three.
        weights: (n_1,) positive, or none.
    """

    def __init__(
        self, complex: CellComplex, kind: str = "combinatorial", *, weights: Tensor | None = None
    ) -> None:
        check_choice("kind", kind, ("combinatorial", "symmetric", "random_walk"))
        by_rank = {} if weights is None else {1: weights}
        dtype = _checked_dtype(complex, by_rank)
        super().__init__(complex, 0, by_rank, kind == "symmetric", dtype)
        self.kind = kind
        if kind == "random_walk":
            scaling = InverseDiagonal(self.operator, self.numbers, squared=True)
            self.operator = Product(scaling, self.operator)
            self.symmetric = self.positive_semidefinite = False
