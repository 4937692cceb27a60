"""Incidence and Hodge Laplacian matrices (scipy CSR) and Betti numbers."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from topodiff.complexes import cells

if TYPE_CHECKING:
    from topodiff.complexes.complex import CellComplex

# gudhi takes primes up to the first as coefficient fields, but sets up the field in quadratic time
# (seconds there, a millisecond at the second).
LARGEST_PRIME = 46337
RATIONALS_PRIME = 1009


def incidence_matrix(complex: CellComplex, rank: int) -> sp.csr_matrix:
    """Signed ``B_rank`` (n_{rank-1} x n_rank), int64; rank 0 gives the empty (0 x n_0) matrix and
    rank R + 1 the empty (n_R x 0) matrix, so that the Hodge formula holds at both ends."""
    if not 0 <= rank <= complex.rank + 1:
        raise ValueError(f"incidence matrices have ranks 0 to {complex.rank + 1}, got {rank}")
    shape = (complex.num_cells(rank - 1), complex.num_cells(rank))
    if not 1 <= rank <= complex.rank:
        return sp.csr_matrix(shape, dtype=np.int64)
    face, cell = complex.boundary_index(rank).cpu().numpy()
    return sp.csr_matrix((complex.boundary_sign(rank).cpu().numpy(), (face, cell)), shape=shape)


def hodge_laplacian_matrix(complex: CellComplex, rank: int) -> sp.csr_matrix:
    """``L_r = B_r^T B_r + B_{r+1} B_{r+1}^T``, int64 (Eckmann 1944)."""
    if not 0 <= rank <= complex.rank:
        raise ValueError(f"Hodge Laplacians have ranks 0 to {complex.rank}, got {rank}")
    down, up = incidence_matrix(complex, rank), incidence_matrix(complex, rank + 1)
    return (down.T @ down + up @ up.T).tocsr()


def betti_numbers(complex: CellComplex, field: int | str = "rationals") -> list[int]:
    """``b_r = dim ker B_r - rank B_{r+1}`` for r = 0..R, in exact arithmetic.

    Args:
        complex: any complex.
        field: ``"rationals"`` or a prime up to 46,337 for the field Z/p. Rational Betti numbers
            are computed over Z/1009; they agree unless the integral homology has torsion of that
            order.

    Simplicial complexes go through gudhi; other complexes through sparse elimination of the
    boundary matrices modulo p.
    """
    prime = RATIONALS_PRIME if field == "rationals" else field
    if (
        not isinstance(prime, Integral)
        or not 2 <= prime <= LARGEST_PRIME
        or not _is_prime(prime := int(prime))
    ):
        raise ValueError(f'field is "rationals" or a prime up to {LARGEST_PRIME}, got {field!r}')
    if is_simplicial(complex):
        return _betti_simplicial(complex, prime)
    ranks = [0] + [_rank_modulo(complex, r, prime) for r in range(1, complex.rank + 1)] + [0]
    return [n - ranks[r] - ranks[r + 1] for r, n in enumerate(complex.shape)]


def is_simplicial(complex: CellComplex) -> bool:
    """Every r-cell has r + 1 vertices, and no two cells have the same ones."""
    for r in range(2, complex.rank + 1):
        degree = complex.incidence(r).cell_ptr.diff()
        if bool((degree != r + 1).any()):
            return False
        vertices = cells.cell_vertices(complex, r)
        if bool((vertices.ptr.diff() != r + 1).any()):
            return False
        if bool((vertices.index.reshape(-1, r + 1).diff(dim=0) == 0).all(1).any()):
            return False
    return True


def _betti_simplicial(complex: CellComplex, prime: int) -> list[int]:
    import gudhi

    tree = gudhi.SimplexTree()
    for r in range(complex.rank + 1):
        rows = cells.cell_vertices(complex, r).index.reshape(-1, r + 1)
        if len(rows):
            tree.insert_batch(rows.T.cpu().numpy(), np.zeros(len(rows)))
    tree.compute_persistence(homology_coeff_field=prime, persistence_dim_max=True)
    found = tree.betti_numbers()[: complex.rank + 1]
    return found + [0] * (complex.rank + 1 - len(found))


def _is_prime(n: int) -> bool:
    return n >= 2 and all(n % k for k in range(2, int(n**0.5) + 1))


def _rank_modulo(complex: CellComplex, rank: int, prime: int) -> int:
    if rank == 1:
        graph = incidence_matrix(complex, 1)
        parts = sp.csgraph.connected_components(abs(graph @ graph.T), directed=False)[0]
        return complex.shape[0] - int(parts)
    face, cell = complex.boundary_index(rank).tolist()
    columns: list[dict[int, int]] = [{} for _ in range(complex.shape[rank])]
    for f, c, s in zip(face, cell, complex.boundary_sign(rank).tolist(), strict=True):
        columns[c][f] = s % prime
    pivots: dict[int, dict[int, int]] = {}
    for column in columns:
        _reduce(column, pivots, prime)
    return len(pivots)


def _reduce(column: dict[int, int], pivots: dict[int, dict[int, int]], prime: int) -> None:
    """Eliminate the lowest entries of a column by earlier pivot columns (each scaled to 1)."""
    while column:
        low = max(column)
        if low not in pivots:
            scale = pow(column[low], -1, prime)
            pivots[low] = {f: v * scale % prime for f, v in column.items()}
            return
        factor = column[low]
        for f, v in pivots[low].items():
            value = (column.get(f, 0) - factor * v) % prime
            if value:
                column[f] = value
            else:
                column.pop(f, None)
