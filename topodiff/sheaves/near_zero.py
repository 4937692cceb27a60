"""The lower end of the spectrum of sparse symmetric positive semidefinite matrices.

Inverse iteration runs on blocks of vectors: it finds repeated eigenvalues as often as they occur,
where a single Krylov sequence may not. There is one sparse LU factorisation, whose cost depends on
the fill: small for meshes, large for random graphs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg
import torch

_DENSE = 300
_LARGEST_DENSE = 10_000
_STEPS = 8
_DEPTH = 5  # blocks in a Krylov space
_RESTARTS = 200
_RESIDUAL = 1e-12
_SHIFT = 1e-12  # of the factorised matrix, which has no inverse otherwise


def rounding_tolerance(n: int, dtype: torch.dtype | None) -> float:
    """What rounding makes of a zero eigenvalue of ``delta^T delta`` (n, n), in double precision,
    from maps that were rounded to ``dtype``; None for maps without rounding."""
    of_maps = 8 * torch.finfo(dtype).eps if dtype else 0.0
    return max(of_maps**2, max(n, _DENSE) * float(np.finfo(np.float64).eps))


def null_space(matrix: sp.csr_matrix, tol: float | None = None) -> np.ndarray:
    """(n, k) orthonormal basis of the kernel of A, for each connected component of its own.

    It is that of ``S A S`` with ``S = diag(A)^{-1/2}``, carried back: large and small rows count
    alike. Eigenvalues of a component of ``S A S`` up to ``tol`` times its largest row sum count as
    zero; the default is :func:`rounding_tolerance` without that of maps.

    Components of up to 300 rows by dense eigenvectors, larger ones by inverse iteration.

    Raises:
        ValueError: for entries that are not finite, for a kernel of more than 10,000 dimensions,
            or of about half the dimensions of a component of more than 10,000 rows.
    """
    if not np.isfinite(matrix.data).all():
        raise ValueError("the matrix has entries that are not finite: check maps with validate()")
    n = matrix.shape[0]
    tol = rounding_tolerance(n, None) if tol is None else tol
    diagonal = matrix.diagonal()
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    bases = []
    for rows, block in _components((sp.diags(scale) @ matrix @ sp.diags(scale)).tocsr()):
        bases.append((rows, np.linalg.qr(scale[rows, None] * _kernel(block, tol))[0]))
    ends = np.cumsum([0, *(vectors.shape[1] for _, vectors in bases)])
    if ends[-1] > _LARGEST_DENSE:
        raise _too_large(n)
    basis = np.zeros((n, ends[-1]))
    for (rows, vectors), start, end in zip(bases, ends, ends[1:], strict=False):
        basis[rows, start:end] = vectors
    return basis


def lowest(matrix: sp.csr_matrix, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The k smallest eigenvalues (k,), rising, and orthonormal eigenvectors (n, k).

    Up to 300 rows, or for more than about a fifth of the eigenvalues, by dense eigenvectors; else
    from Krylov spaces of the inverse and blocks of k + 8 vectors, ``span(V, A^-1 V, ..., A^-4 V)``,
    each restarted with the best of the one before.

    Raises:
        ValueError: for more than about a fifth of the eigenvalues of more than 10,000 rows.
        RuntimeError: where the iteration does not converge.
    """
    n, width = matrix.shape[0], k + 8
    bound = _largest_row_sum(matrix)
    if n <= _DENSE or _DEPTH * width > n or bound == 0.0:
        if n > _LARGEST_DENSE:
            raise ValueError(f"{k} eigenvalues of {n} rows are too many: ask for fewer")
        values, vectors = np.linalg.eigh(matrix.toarray())
        return values[:k], vectors[:, :k]
    solve = _factorised(matrix, bound)
    block = np.random.default_rng(seed).standard_normal((n, width))
    for _ in range(_RESTARTS):
        space = [np.linalg.qr(block)[0]]
        for _ in range(_DEPTH - 1):
            space.append(np.linalg.qr(solve(space[-1]))[0])
        values, vectors = _ritz(matrix, np.linalg.qr(np.hstack(space))[0], width)
        error = matrix @ vectors[:, :k] - vectors[:, :k] * values[:k]
        if np.linalg.norm(error, axis=0).max() <= _RESIDUAL * bound:
            return values[:k], vectors[:, :k]
        block = vectors
    raise RuntimeError(f"the {k} smallest eigenvalues did not converge: ask for more or fewer")


def _components(matrix: sp.csr_matrix) -> list[tuple[np.ndarray, sp.csr_matrix]]:
    """Rows and diagonal block of each connected component; all rows of zeros are one."""
    matrix.eliminate_zeros()
    of = sp.csgraph.connected_components(matrix, directed=False)[1]
    of[np.diff(matrix.indptr) == 0] = -1
    order = np.argsort(of, kind="stable")
    matrix = matrix[order][:, order]
    edges = [0, *(np.flatnonzero(np.diff(of[order])) + 1), of.size]
    return [(order[a:b], matrix[a:b, a:b]) for a, b in itertools.pairwise(edges)]


def _kernel(matrix: sp.csr_matrix, tol: float) -> np.ndarray:
    """Eigenvectors of eigenvalues up to ``tol`` times the largest row sum."""
    n, bound = matrix.shape[0], _largest_row_sum(matrix)
    if n > _DENSE and bound > 0.0:
        solve, width = _factorised(matrix, bound), 8
        while width < n // 2:
            block = np.random.default_rng(0).standard_normal((n, width))
            for _ in range(_STEPS):
                block = np.linalg.qr(solve(block))[0]
            values, vectors = _ritz(matrix, block, width)
            if values[-1] > tol * bound:
                return vectors[:, values <= tol * bound]
            width *= 2
    if n > _LARGEST_DENSE:
        raise _too_large(n)
    if bound == 0.0:
        return np.eye(n)
    values, vectors = np.linalg.eigh(matrix.toarray())
    return vectors[:, values <= tol * bound]


def _too_large(n: int) -> ValueError:
    return ValueError(f"the kernel of this {n} x {n} matrix has too many dimensions for a basis")


def _largest_row_sum(matrix: sp.csr_matrix) -> float:
    return float(abs(matrix).sum(axis=1).max()) if matrix.nnz else 0.0


def _factorised(matrix: sp.csr_matrix, bound: float) -> Callable[[np.ndarray], np.ndarray]:
    """``B -> A^-1 B``, of A shifted by a rounding."""
    shifted = (matrix + _SHIFT * bound * sp.identity(matrix.shape[0])).tocsc()
    return scipy.sparse.linalg.splu(
        shifted,
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    ).solve


def _ritz(matrix: sp.csr_matrix, basis: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k lowest Ritz values, rising, and vectors in the span of an orthonormal basis."""
    values, rotation = np.linalg.eigh(basis.T @ (matrix @ basis))
    return values[:k], basis @ rotation[:, :k]
