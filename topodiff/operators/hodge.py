"""The Hodge decomposition of a cochain, and harmonic cochains."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from topodiff.complexes.integers import whole_number
from topodiff.operators.algebra import Congruence
from topodiff.operators.base import LinearOperator
from topodiff.operators.coboundary import Domain, Gram, complex_of, weighted_coboundary
from topodiff.operators.krylov import least_squares
from topodiff.operators.laplacian import Laplacian
from topodiff.sheaves import CellularSheaf
from topodiff.sheaves.near_zero import null_space, rounding_tolerance


class HodgeDecomposition(NamedTuple):
    """``x = gradient + curl + harmonic``, orthogonal to each other.

    Attributes:
        gradient: ``d_{r-1} potential``.
        curl: ``d_r^T copotential``.
        harmonic: the rest, in the kernel of the Laplacian.
        potential, copotential: cochains of rank r - 1 and r + 1, of least norm.
        status: ``"converged"``, or ``"max_iterations"`` if either least-squares problem ran out.
    """

    gradient: Tensor
    curl: Tensor
    harmonic: Tensor
    potential: Tensor
    copotential: Tensor
    status: str


def hodge_decomposition(
    domain: Domain, rank: int, x: Tensor, *, tol: float | None = None, max_iterations: int = 1000
) -> HodgeDecomposition:
    """Split a cochain into gradient, curl and harmonic part (Lim, Hodge Laplacians on graphs,
    2020), by ``d_r = W_{r+1}^{1/2} delta_r W_r^{-1/2}`` with the weights of a sheaf, ``d = delta``
    without.

    x and all parts are in the orthonormal coordinates of the Laplacian ``d^T d + d d^T`` (of
    :class:`~topodiff.operators.SheafLaplacian`, which is 0 on the harmonic part): for a cochain c
    as the maps of the sheaf take it, x is ``W_r^{1/2} c``.

    Args:
        domain: a complex, or a sheaf whose maps commute.
        rank: of the cochain.
        x: (n_r, *channels); (n_r, d, *channels) on a sheaf, or flat, (n_r d, *channels).
        tol, max_iterations: of :func:`topodiff.operators.least_squares`, which also says what
            gradients are.

    Raises:
        TypeError, ValueError: for x of another shape or dtype, and numbers that are not finite.
        ValueError: for a sheaf with curvature at this rank, where gradients and curls are not
            orthogonal and there is no such decomposition.
    """
    top = complex_of(domain).rank
    whole_number("the rank of a cochain", rank, 0, top)
    if isinstance(domain, CellularSheaf) and 1 <= rank < top:
        _check_flat(domain, rank + 1)
    below, above = weighted_coboundary(domain, rank - 1), weighted_coboundary(domain, rank)
    shape = above.col_shape
    flat = above._check_state(x) < len(shape)
    x = x.reshape(*shape, *x.shape[1:]) if flat else x
    first = least_squares(below, x, tol=tol, max_iterations=max_iterations)
    second = least_squares(above.T, x, tol=tol, max_iterations=max_iterations)
    gradient, curl = below @ first.x, above.T @ second.x
    status = first.status if first.status != "converged" else second.status
    found = HodgeDecomposition(gradient, curl, x - gradient - curl, first.x, second.x, status)
    if not flat:
        return found
    return HodgeDecomposition._make([*(part.flatten(0, 1) for part in found[:5]), status])


def _check_flat(sheaf: CellularSheaf, rank: int) -> None:
    value = sheaf.curvature(rank).value.detach()
    if not value.numel():
        return
    size = max(float(sheaf.restriction_matrices(r).detach().abs().max()) for r in (rank - 1, rank))
    largest = float(value.abs().max())
    if largest > torch.finfo(value.dtype).eps ** 0.75 * size**2:
        raise ValueError(
            f"the maps of the sheaf do not commute at rank {rank} (curvature {largest:.3g}), so "
            "cochains have no Hodge decomposition; CellularSheaf.from_frames makes maps that do"
        )


def harmonic_basis(laplacian: LinearOperator, tol: float | None = None) -> Tensor:
    """(*row_shape, k) orthonormal basis of the kernel of a symmetric positive semidefinite
    operator.

    The k of a Hodge Laplacian is the Betti number of its rank. See
    :func:`topodiff.sheaves.near_zero.null_space` for method, tolerance and cost. The matrix is that
    of the numbers of the operator in double precision, and by default the tolerance forgives their
    rounding: squared for maps, as which they enter a Laplacian, and once for entries of matrices,
    as which they enter other operators.
    """
    if not laplacian.positive_semidefinite:
        raise ValueError(
            f"a harmonic basis needs a positive semidefinite operator, got {laplacian}"
        )
    tol = _tolerance(laplacian) if tol is None else tol
    basis = torch.from_numpy(null_space(laplacian._matrix().tocsr().astype("float64"), tol))
    basis = basis.reshape(*laplacian.row_shape, basis.shape[1])
    return basis.to(laplacian.device, laplacian._any_dtype())


def _tolerance(operator: LinearOperator) -> float:
    n, dtype = operator.shape[0], operator.dtype
    if dtype is None or isinstance(operator, Laplacian | Gram | Congruence):
        return rounding_tolerance(n, dtype)
    return max(10 * torch.finfo(dtype).eps, rounding_tolerance(n, None))
