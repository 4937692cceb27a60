"""Sparse matrices of scipy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from topodiff.complexes.build import canonical_edges, edge_boundary
from topodiff.complexes.complex import CellComplex

if TYPE_CHECKING:
    import scipy.sparse as sp


def from_scipy(matrix: sp.sparray | Sequence[sp.sparray]) -> CellComplex:
    """A complex from an adjacency matrix, or from its boundary matrices.

    Args:
        matrix: a symmetric adjacency matrix (n_0 x n_0) gives a graph; entries other than 1 are
            kept as ``weights[1]`` (n_1,), which operators and models use only where they are given
            it: ``GraphLaplacian(K, weights=K.weights[1])``. A sequence ``[B_1, ..., B_R]`` of
            signed boundary matrices ``B_r`` (n_{r-1} x n_r) gives a complex of rank R, its cells
            in canonical order and orientation; to know what became of each cell use
            :func:`~topodiff.complexes.canonical_form`.

    Raises:
        TypeError: for anything but sparse matrices.
        ValueError: for an adjacency matrix that is not square and symmetric or has a diagonal, for
            boundary matrices whose shapes do not fit, whose entries are not 0, +1 or -1, or with
            ``B_r B_{r+1} != 0``.
    """
    import scipy.sparse as sp

    several = isinstance(matrix, (list, tuple))
    matrices = list(matrix) if several else [matrix]
    for m in matrices:
        if not sp.issparse(m):
            raise TypeError(f"from_scipy() takes scipy sparse matrices, got {type(m).__name__}")
    return _from_boundaries(matrices) if several else _from_adjacency(matrices[0])


def _from_adjacency(matrix: sp.sparray) -> CellComplex:
    matrix = matrix.tocsr()
    rows, columns = matrix.shape
    if np.isnan(matrix.data).any():
        raise ValueError("the adjacency matrix holds NaN: an edge has a weight, or there is none")
    if rows != columns or (matrix != matrix.T).nnz:
        raise ValueError(
            f"an adjacency matrix is square and symmetric, this one ({rows} x {columns}) is not; "
            "boundary matrices go in a list: from_scipy([B_1, ...])"
        )
    entries = _entries(matrix)
    edges, place = canonical_edges(rows, _index(entries))
    weights = None
    if (entries.data != 1).any():
        values = torch.as_tensor(entries.data, dtype=torch.get_default_dtype())
        weights = {1: values.new_empty(edges.shape[1])}
        weights[1][place] = values
    return CellComplex((rows, edges.shape[1]), [edge_boundary(edges)], weights=weights)


def _from_boundaries(matrices: list[sp.sparray]) -> CellComplex:
    if not matrices:
        raise ValueError("boundary matrices [B_1, ...]: at least one is needed, got none")
    shape = [matrices[0].shape[0]]
    boundaries = {}
    for rank, matrix in enumerate(matrices, start=1):
        if matrix.shape[0] != shape[-1]:
            raise ValueError(
                f"B_{rank} has {matrix.shape[0]} rows, but there are {shape[-1]} cells of rank "
                f"{rank - 1}"
            )
        entries = _entries(matrix)
        sign = entries.data.astype(np.int64)
        if (sign != entries.data).any():
            raise ValueError(f"the entries of B_{rank} must be 0, +1 or -1")
        boundaries[rank] = (_index(entries), torch.from_numpy(sign))
        shape.append(matrix.shape[1])
    return CellComplex.from_boundaries(shape, boundaries)


def _entries(matrix: sp.sparray) -> sp.coo_array:
    """The nonzero entries, each once."""
    import scipy.sparse as sp

    entries = sp.coo_array(matrix)
    entries.sum_duplicates()
    entries.eliminate_zeros()
    return entries


def _index(entries: sp.coo_array) -> torch.Tensor:
    """(2, nnz) rows and columns."""
    return torch.from_numpy(np.stack([entries.row, entries.col])).long()
