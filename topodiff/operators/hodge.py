"""The Hodge decomposition of a cochain, and harmonic cochains."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from topodiff.operators.base import LinearOperator
from topodiff.operators.coboundary import Coboundary, Domain, complex_of
from topodiff.operators.krylov import least_squares
from topodiff.sheaves import CellularSheaf
from topodiff.sheaves.sections import null_space


class HodgeDecomposition(NamedTuple):
    """``x = gradient + curl + harmonic``, orthogonal to each other.

    Attributes:
        gradient: ``delta_{r-1} potential``.
        curl: ``delta_r^T copotential``.
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
    2020).

    Args:
        domain: a complex, or a sheaf whose maps commute.
        rank: of the cochain.
        x: (n_r, *channels), or (n_r, d, *channels) on a sheaf.
        tol, max_iterations: of :func:`topodiff.operators.least_squares`.

    Raises:
        ValueError: for a sheaf with curvature at this rank, where gradients and curls are not
            orthogonal and there is no such decomposition.
    """
    if isinstance(domain, CellularSheaf) and 1 <= rank < complex_of(domain).rank:
        _check_flat(domain, rank + 1)
    delta, above = Coboundary(domain, rank - 1), Coboundary(domain, rank)
    options = {"tol": tol, "max_iterations": max_iterations}
    first = least_squares(delta, x, **options)  # type: ignore[arg-type]
    second = least_squares(above.T, x, **options)  # type: ignore[arg-type]
    gradient, curl = delta @ first.x, above.T @ second.x
    status = first.status if first.status != "converged" else second.status
    return HodgeDecomposition(gradient, curl, x - gradient - curl, first.x, second.x, status)


def _check_flat(sheaf: CellularSheaf, rank: int) -> None:
    value = sheaf.curvature(rank).value.detach()
    size = max(float(sheaf.restriction_matrices(r).detach().abs().max()) for r in (rank - 1, rank))
    largest = float(value.abs().max()) if value.numel() else 0.0
    if largest > torch.finfo(value.dtype).eps ** 0.75 * size**2:
        raise ValueError(
            f"the maps of the sheaf do not commute at rank {rank} (curvature {largest:.3g}), so "
            "cochains have no Hodge decomposition; CellularSheaf.from_frames makes maps that do"
        )


def harmonic_basis(laplacian: LinearOperator, tol: float = 1e-9) -> Tensor:
    """(*row_shape, k) orthonormal basis of the kernel of a symmetric positive semidefinite
    operator.

    The k of a Hodge Laplacian is the Betti number of its rank. See
    :func:`topodiff.sheaves.sections.null_space` for method, tolerance and cost.
    """
    if not laplacian.positive_semidefinite:
        raise ValueError(
            f"a harmonic basis needs a positive semidefinite operator, got {laplacian}"
        )
    basis = torch.from_numpy(null_space(laplacian.to_scipy().astype("float64"), tol))
    basis = basis.reshape(*laplacian.row_shape, basis.shape[1])
    return basis.to(laplacian.device, laplacian._any_dtype())
