"""Matrices of coboundaries, and global sections, ``H^0 = ker delta_0``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.incidence import Incidence
from topodiff.complexes.integers import whole_number
from topodiff.sheaves.maps import Maps, multiply
from topodiff.sheaves.near_zero import null_space, rounding_tolerance

if TYPE_CHECKING:
    from topodiff.sheaves.sheaf import CellularSheaf


def incidence_at(complex: CellComplex, rank: int) -> Incidence:
    """``complex.incidence(rank)``, and without entries beyond both ends, for 0 <= rank <= R + 1."""
    if 1 <= rank <= complex.rank:
        return complex.incidence(rank)
    empty = torch.zeros(2, 0, dtype=torch.long, device=complex.device)
    return Incidence(empty, empty[0], complex.num_cells(rank - 1), complex.num_cells(rank))


def block_matrix(incidence: Incidence, signed: Tensor, stalk_dim: int) -> sp.csr_matrix:
    """(num_cells d x num_faces d) with the given maps, (nnz,), (nnz, d) or (nnz, d, d), as blocks,
    in double precision: what comes of it is rounded once, at its end."""
    values = signed.detach().cpu().double().numpy()
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
    return multiply(sign.to(maps.dtype), maps)


def coboundary_matrix(sheaf: CellularSheaf, rank: int) -> sp.csr_matrix:
    """See :meth:`CellularSheaf.coboundary_matrix`; rank R gives a matrix without rows."""
    whole_number("the rank of a coboundary", rank, 0, sheaf.complex.rank)
    incidence = incidence_at(sheaf.complex, rank + 1)
    maps = sheaf.restriction_maps(rank + 1) if rank < sheaf.complex.rank else None
    return block_matrix(incidence, sign_maps(maps, incidence.sign), sheaf.stalk_dim)


def global_sections(sheaf: CellularSheaf, tol: float | None = None) -> Tensor:
    """(n_0, d, k) orthonormal basis of the sections that agree over every edge.

    Args:
        sheaf: any sheaf; weights do not matter.
        tol: see :func:`topodiff.sheaves.near_zero.null_space`, of ``delta^T delta``; by default one
            that forgives the rounding of maps.
    """
    delta = coboundary_matrix(sheaf, 0)
    dtype = sheaf.dtype or torch.get_default_dtype()
    tol = rounding_tolerance(delta.shape[1], sheaf.dtype) if tol is None else tol
    basis = null_space((delta.T @ delta).tocsr(), tol)
    shape = (sheaf.complex.shape[0], sheaf.stalk_dim, basis.shape[1])
    return torch.from_numpy(basis).reshape(shape).to(sheaf.device, dtype)
