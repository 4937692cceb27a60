"""Global sections, ``H^0 = ker delta_0``, and null spaces of sparse matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg
import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.incidence import Incidence
from topodiff.kernels.precision import at_least_single
from topodiff.sheaves.maps import Maps

if TYPE_CHECKING:
    from topodiff.sheaves.sheaf import CellularSheaf

_DENSE = 300
_LARGEST_DENSE = 10_000
_STEPS = 8
_SHIFT = 1e-12  # of the factorised matrix, which has no inverse otherwise


def incidence_at(complex: CellComplex, rank: int) -> Incidence:
    """``complex.incidence(rank)``, and without entries beyond both ends, for 0 <= rank <= R + 1."""
    if 1 <= rank <= complex.rank:
        return complex.incidence(rank)
    empty = torch.zeros(2, 0, dtype=torch.long, device=complex.device)
    return Incidence(empty, empty[0], complex.num_cells(rank - 1), complex.num_cells(rank))


def block_matrix(incidence: Incidence, signed: Tensor, stalk_dim: int) -> sp.csr_matrix:
    """(num_cells d x num_faces d) with the given maps, (nnz,), (nnz, d) or (nnz, d, d), as
    blocks."""
    values = at_least_single(signed.detach()).cpu().numpy()
    face, ptr = incidence.face.cpu().numpy(), incidence.cell_ptr.cpu().numpy()
    shape = (incidence.num_cells, incidence.num_faces)
    if values.ndim == 1:
        matrix = sp.csr_matrix((values, face, ptr), shape=shape)
        return sp.kron(matrix, sp.identity(stalk_dim, dtype=values.dtype), format="csr")
    d = values.shape[1]
    if values.ndim == 2:
        values = values[:, :, None] * np.eye(d, dtype=values.dtype)
    if values.shape[0] == 0:
        return sp.csr_matrix((shape[0] * d, shape[1] * d), dtype=values.dtype)
    blocks = sp.bsr_matrix((values, face, ptr), shape=(shape[0] * d, shape[1] * d))
    return blocks.tocsr()


def sign_maps(maps: Maps, sign: Tensor) -> Tensor:
    """``sign * maps``; the integer signs themselves for identities."""
    if maps is None:
        return sign
    return maps * sign.to(maps.dtype).reshape(-1, *[1] * (maps.dim() - 1))


def coboundary_matrix(sheaf: CellularSheaf, rank: int) -> sp.csr_matrix:
    """See :meth:`CellularSheaf.coboundary_matrix`; rank R gives a matrix without rows."""
    if not 0 <= rank <= sheaf.complex.rank:
        raise ValueError(f"coboundaries have ranks 0 to {sheaf.complex.rank}, got {rank}")
    incidence = incidence_at(sheaf.complex, rank + 1)
    maps = sheaf.restriction_maps(rank + 1) if rank < sheaf.complex.rank else None
    return block_matrix(incidence, sign_maps(maps, incidence.sign), sheaf.stalk_dim)


def global_sections(sheaf: CellularSheaf, tol: float | None = None) -> Tensor:
    """(n_0, d, k) orthonormal basis of the sections that agree over every edge.

    Args:
        sheaf: any sheaf; weights do not matter.
        tol: see :func:`null_space`, of ``delta^T delta``; by default one that forgives the rounding
            of maps.
    """
    delta = coboundary_matrix(sheaf, 0).astype(np.float64)
    dtype = sheaf.dtype or torch.get_default_dtype()
    if tol is None:
        rounding = 8 * torch.finfo(dtype).eps if sheaf.dtype else 0.0
        tol = max(rounding**2, default_tolerance(delta.shape[1]))
    basis = null_space((delta.T @ delta).tocsr(), tol)
    shape = (sheaf.complex.shape[0], sheaf.stalk_dim, basis.shape[1])
    return torch.from_numpy(basis).reshape(shape).to(sheaf.device, dtype)


def default_tolerance(n: int) -> float:
    """What rounding makes of a zero eigenvalue of an (n, n) matrix in double precision."""
    return max(n, _DENSE) * float(np.finfo(np.float64).eps)


def null_space(matrix: sp.csr_matrix, tol: float | None = None) -> np.ndarray:
    """(n, k) orthonormal basis of the kernel of a symmetric positive semidefinite matrix A.

    It is that of ``S A S`` with ``S = diag(A)^{-1/2}``, carried back: large and small rows count
    alike. Eigenvalues of ``S A S`` up to ``tol`` times its largest row sum count as zero; the
    default is :func:`default_tolerance`.

    Up to 300 rows by dense eigenvectors; above, by inverse iteration on blocks (which finds
    repeated eigenvalues, where a single Krylov sequence may not) with one sparse LU factorisation.
    Its cost depends on the fill: small for meshes, large for random graphs.

    Raises:
        ValueError: for entries that are not finite, and for a kernel of about half the dimensions
            of a matrix of more than 10,000 rows.
    """
    if not np.isfinite(matrix.data).all():
        raise ValueError("the matrix has entries that are not finite: check maps with validate()")
    diagonal = matrix.diagonal()
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = sp.diags(scale) @ matrix @ sp.diags(scale)
    vectors = _kernel(scaled, default_tolerance(matrix.shape[0]) if tol is None else tol)
    return np.linalg.qr(scale[:, None] * vectors)[0]


def _kernel(matrix: sp.csr_matrix, tol: float) -> np.ndarray:
    """Eigenvectors of eigenvalues up to ``tol`` times the largest row sum."""
    n = matrix.shape[0]
    bound = float(abs(matrix).sum(axis=1).max()) if matrix.nnz else 0.0
    if n > _DENSE and bound > 0.0:
        shifted = (matrix + _SHIFT * bound * sp.identity(n)).tocsc()
        solve = scipy.sparse.linalg.splu(
            shifted,
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        ).solve
        width = 8
        while width < n // 2:
            values, vectors = _inverse_iteration(matrix, solve, width)
            if values[-1] > tol * bound:
                return vectors[:, values <= tol * bound]
            width *= 2
    if n > _LARGEST_DENSE:
        raise ValueError(f"the kernel of this {n} x {n} matrix has too many dimensions for a basis")
    values, vectors = np.linalg.eigh(matrix.toarray())
    return vectors[:, values <= tol * bound]


def _inverse_iteration(matrix: sp.csr_matrix, solve, width: int):  # type: ignore[no-untyped-def]
    """The lowest ``width`` Ritz values and vectors."""
    block = np.random.default_rng(0).standard_normal((matrix.shape[0], width))
    for _ in range(_STEPS):
        block = np.linalg.qr(solve(block))[0]
    values, rotation = np.linalg.eigh(block.T @ (matrix @ block))
    return values, block @ rotation
