"""Eigenvalues, and eigenvectors of symmetric operators."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg
import torch
from torch import Tensor

from topodiff.complexes.integers import whole_number
from topodiff.kernels.checks import check_choice
from topodiff.operators.base import LinearOperator
from topodiff.sheaves.near_zero import lowest

_DENSE = 300
_LARGEST_DENSE = 10_000
_HINT = "check its maps and weights"


@torch.no_grad()
def lanczos(operator: LinearOperator, iterations: int = 30, seed: int = 0) -> Tensor:
    """Ritz values (at most ``iterations``, rising) of a symmetric operator from a random start.

    The extreme ones approach the extreme eigenvalues from inside (Lanczos 1950; here with full
    reorthogonalisation).

    Raises:
        ValueError: for an operator that is not known to be symmetric or holds numbers that are not
            finite, and for iterations < 1.
    """
    if not operator.symmetric:
        raise ValueError(f"Lanczos needs a symmetric operator, got {operator}")
    whole_number("iterations", iterations, 1)
    n, dtype, device = operator.shape[0], operator._any_dtype(), operator.device
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(n, dtype=dtype, generator=generator).to(device)
    basis: list[Tensor] = []
    alpha: list[float] = []
    beta: list[float] = []
    for _ in range(min(iterations, n)):
        length = v.norm()
        # what is left is rounding: the space is invariant
        if basis and length <= 100 * torch.finfo(dtype).eps * max(map(abs, (*alpha, *beta))):
            break
        if basis:
            beta.append(float(length))
        basis.append(v / length)
        v = operator @ basis[-1]
        alpha.append(float(v @ basis[-1]))
        if not math.isfinite(alpha[-1]):
            raise ValueError(f"a product with {operator} is not finite: {_HINT}")
        q = torch.stack(basis)
        for _ in range(2):
            v = v - q.T @ (q @ v)
    off = torch.tensor(beta[: max(len(alpha) - 1, 0)], dtype=torch.float64)
    matrix = torch.diag(torch.tensor(alpha, dtype=torch.float64))
    return torch.linalg.eigvalsh(matrix + torch.diag(off, 1) + torch.diag(off, -1))


def spectral_norm(operator: LinearOperator, iterations: int = 30, seed: int = 0) -> float:
    """Estimate of the largest singular value, from below, by Lanczos on A (symmetric) or A^T A.

    Raises:
        ValueError: for an operator with numbers that are not finite, and for iterations < 1.
    """
    whole_number("iterations", iterations, 1)
    if 0 in operator.shape:
        return 0.0
    if operator.symmetric:
        return float(lanczos(operator, iterations, seed).abs().max())
    square = operator.T @ operator
    square.symmetric = True
    return float(lanczos(square, iterations, seed).max().clamp(min=0).sqrt())


@torch.no_grad()
def eigenvalues(
    operator: LinearOperator, k: int | None = None, end: str = "smallest", seed: int = 0
) -> Tensor:
    """Rising eigenvalues of a symmetric operator: all, or the k smallest or largest. Of any other
    square operator, learnt attention say, they are complex and in the order of their real parts;
    far from normal ones have eigenvalues that small changes of the operator move far.

    All of them, or most, those of up to 300 rows and complex ones come from the dense matrix (so at
    most 10,000 rows); the smallest of a positive semidefinite operator from
    :func:`topodiff.sheaves.near_zero.lowest`; others from scipy's sparse eigensolver (implicitly
    restarted Lanczos), which may count an eigenvalue that is repeated less often than it occurs.

    Args:
        operator: square.
        k: how many; None for all.
        end: ``"smallest"`` or ``"largest"`` (algebraically, by real parts).
        seed: of the first vector.

    Raises:
        ValueError: for an operator that is not square or holds numbers that are not finite, k out
            of range, or a dense matrix of more than 10,000 rows.
    """
    if operator.row_shape != operator.col_shape:
        raise ValueError(f"eigenvalues are those of square operators, got {operator}")
    n = operator.shape[0]
    check_choice("end", end, ("smallest", "largest"))
    if k is not None:
        k = whole_number("k", k, 1, n)
    smallest, symmetric, matrix = end == "smallest", operator.symmetric, _finite_matrix(operator)
    if k is None or n <= _DENSE or k > n // 2 or not symmetric:
        if n > _LARGEST_DENSE:
            raise ValueError(
                f"all eigenvalues of {n} rows are too many: ask for k at one end of a symmetric "
                "operator"
            )
        dense = matrix.toarray()
        found = np.sort(np.linalg.eigvalsh(dense) if symmetric else np.linalg.eigvals(dense))
        found = found if k is None else found[:k] if smallest else found[n - k :]
    elif smallest and operator.positive_semidefinite:
        found = lowest(matrix, k, seed)[0]
    else:
        start = np.random.default_rng(seed).standard_normal(n)
        which = "SA" if smallest else "LA"
        found = scipy.sparse.linalg.eigsh(matrix, k, which=which, v0=start)[0]
    dtype = operator._any_dtype()
    dtype = dtype if symmetric else dtype.to_complex()
    return torch.from_numpy(np.sort(found)).to(operator.device, dtype)


def _finite_matrix(operator: LinearOperator) -> sp.csr_matrix:
    matrix = operator._matrix().tocsr().astype(np.float64)
    if not np.isfinite(matrix.data).all():
        raise ValueError(f"the matrix of {operator} is not finite: {_HINT}")
    return matrix


def spectral_embedding(operator: LinearOperator, k: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """The k smallest eigenvalues (k,) and orthonormal eigenvectors (*row_shape, k) of a symmetric
    positive semidefinite operator.

    Every vector has its largest entry positive, which fixes the sign where the eigenvalue is
    simple. See :func:`topodiff.sheaves.near_zero.lowest` for method and cost.

    Raises:
        ValueError: for an operator without the tags or with numbers that are not finite, or k out
            of range, or large for one with more than 10,000 rows.
    """
    if not operator.positive_semidefinite:
        raise ValueError(f"an embedding needs a positive semidefinite operator, got {operator}")
    n = operator.shape[0]
    k = whole_number("k", k, 1, n)
    values, vectors = lowest(_finite_matrix(operator), k, seed)
    largest = vectors[np.abs(vectors).argmax(0), np.arange(k)]
    vectors = vectors * np.where(largest < 0, -1.0, 1.0)
    dtype, device = operator._any_dtype(), operator.device
    columns = torch.from_numpy(vectors).reshape(*operator.row_shape, k)
    return torch.from_numpy(values.copy()).to(device, dtype), columns.to(device, dtype)
