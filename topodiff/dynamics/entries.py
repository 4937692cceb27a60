"""Sparse matrices on the vertices by rows: the graphs on which attention lives.

Unlike the edges of a complex the entries are directed, may be loops, and may change while features
flow (rewiring).
"""

from __future__ import annotations

import math
from functools import cached_property

import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex, keep
from topodiff.complexes.outlasting import outlasting
from topodiff.kernels.checks import check_choice
from topodiff.operators import LinearOperator

NORMALIZATIONS = ("row", "col", "sym")


class Entries:
    """Where a matrix (n x n) has entries: ``ptr[i]:ptr[i + 1]`` are those of row i, in the columns
    ``index``.

    What is computed from them is kept, also for training where inference asked for it first.

    Args:
        index: (nnz,) column j of each entry.
        ptr: (n + 1,).
    """

    def __init__(self, index: Tensor, ptr: Tensor) -> None:
        self.index, self.ptr = index, ptr

    @classmethod
    def from_pairs(cls, row: Tensor, column: Tensor, n: int) -> Entries:
        """From entries in any order; those of a row keep theirs."""
        ptr, order = kernels.sort_by_key(row.contiguous(), n)
        return cls(column[order], ptr)

    @classmethod
    def from_complex(cls, K: CellComplex, loops: bool = False) -> Entries:
        """The adjacency matrix of the graph, with ones on its diagonal if ``loops``."""
        n = K.num_cells(0)
        own = torch.arange(n, device=K.device)

        def make() -> Entries:
            tail, head = K.edge_index
            first = own if loops else own[:0]
            row, column = torch.cat([first, tail, head]), torch.cat([first, head, tail])
            order = torch.argsort(row * n + column)
            return cls.from_pairs(row[order], column[order], n)

        return keep(K, ("entries", loops), make)

    @property
    def num_rows(self) -> int:
        """n."""
        return self.ptr.numel() - 1

    @property
    def nnz(self) -> int:
        """Number of entries."""
        return self.index.numel()

    @cached_property
    @outlasting
    def row(self) -> Tensor:
        """(nnz,) the row of each entry."""
        own = torch.arange(self.num_rows, device=self.ptr.device)
        return own.repeat_interleave(self.ptr.diff())

    @cached_property
    @outlasting
    def _columns(self) -> tuple[Tensor, Tensor]:
        return kernels.sort_by_key(self.index, self.num_rows)

    @property
    def column_ptr(self) -> Tensor:
        """(n + 1,) first position of each column in ``by_column``."""
        return self._columns[0]

    @property
    def by_column(self) -> Tensor:
        """(nnz,) the entries in stable order of their column."""
        return self._columns[1]

    @cached_property
    @outlasting
    def row_by_column(self) -> Tensor:
        """(nnz,) the rows of the entries ``by_column``."""
        return self.row[self.by_column]

    @cached_property
    @outlasting
    def isolated(self) -> Tensor:
        """(k,) the vertices without entries in their row and in their column."""
        alone = self.ptr.diff() == 0
        if bool(alone.any()):
            alone[self.index] = False
        return alone.nonzero().flatten()

    @cached_property
    @outlasting
    def with_loops(self) -> tuple[Entries, Tensor]:
        """These and a loop at each isolated vertex, and where each of them is among (these, loops),
        (nnz + k,)."""
        row = torch.cat([self.row, self.isolated])
        ptr, order = kernels.sort_by_key(row, self.num_rows)
        return Entries(torch.cat([self.index, self.isolated])[order], ptr), order

    @cached_property
    @outlasting
    def both_ends(self) -> tuple[Tensor, Tensor]:
        """For each entry (i, j) the places 2 i and 2 j + 1, (2 nnz,), and the pointer (nnz + 1,) to
        its pairs: to add what rows and columns have, which stand in turn."""
        index = torch.stack([2 * self.row, 2 * self.index + 1], 1).flatten()
        return index, torch.arange(0, index.numel() + 1, 2, device=index.device)

    def row_sums(self, weight: Tensor) -> Tensor:
        """(n, *) sums of (nnz, *) over rows."""
        return kernels.segment_reduce(weight, self.ptr)

    def column_sums(self, weight: Tensor) -> Tensor:
        """(n, *) sums of (nnz, *) over columns."""
        return kernels.gather_reduce(weight, self.by_column, self.column_ptr)

    def __repr__(self) -> str:
        return f"Entries({self.num_rows} x {self.num_rows}, nnz={self.nnz})"


class EntryOperator(LinearOperator):
    """The matrix with the given entries, with gradients to their values.

    Args:
        entries: where.
        weight: (nnz,) values.
        symmetric: promise that it is.
        bound: a bound on the spectral norm that is known beforehand.
    """

    def __init__(
        self,
        entries: Entries,
        weight: Tensor,
        symmetric: bool = False,
        bound: float = math.inf,
    ) -> None:
        if weight.shape != (entries.nnz,):
            raise ValueError(
                f"weight must have shape ({entries.nnz},), one value for each of {entries}; got "
                f"{tuple(weight.shape)}"
            )
        shape = (entries.num_rows,)
        super().__init__(shape, shape, weight.dtype, weight.device)
        self.entries, self.weight = entries, weight
        self.symmetric, self.bound = symmetric, bound

    def _apply(self, x: Tensor) -> Tensor:
        return kernels.gather_reduce(x, self.entries.index, self.entries.ptr, self.weight)

    def _apply_transpose(self, y: Tensor) -> Tensor:
        e = self.entries
        weight = self.weight.index_select(0, e.by_column)
        return kernels.gather_reduce(y, e.row_by_column, e.column_ptr, weight)

    def _matrix(self) -> sp.csr_matrix:
        arrays = (self.weight.detach().double(), self.entries.index, self.entries.ptr)
        return sp.csr_matrix(tuple(a.cpu().numpy() for a in arrays), shape=self.shape)

    def _absolute(self) -> LinearOperator:
        return EntryOperator(self.entries, self.weight.detach().abs(), self.symmetric)

    def spectral_bound(self) -> float:
        return min(self.bound, super().spectral_bound())

    def with_loops(self) -> EntryOperator:
        """With a one on the diagonal for each isolated vertex, which ``A x - x`` then leaves where
        it is; itself if there are none."""
        count = self.entries.isolated.numel()
        if not count:
            return self
        entries, order = self.entries.with_loops
        weight = torch.cat([self.weight, self.weight.new_ones(count)])[order]
        return EntryOperator(entries, weight, self.symmetric, max(self.bound, 1.0))


def normalize(entries: Entries, weight: Tensor, normalization: str) -> Tensor:
    """Positive weights (nnz, *) divided by sums.

    ``row``: ``a_ij / sum_k a_ik``, right-stochastic: the diffusion ``A x - x`` obeys a maximum
    principle and ends in constants. ``col``: ``a_ij / sum_k a_kj``, left-stochastic: it keeps the
    sum over vertices. ``sym``: ``a_ij / sqrt(sum_k a_ik sum_k a_kj)``. Empty rows and columns stay.
    """
    check_normalization(normalization)
    if normalization == "row":
        return weight / _safe(entries.row_sums(weight)).index_select(0, entries.row)
    columns = _safe(entries.column_sums(weight)).index_select(0, entries.index)
    if normalization == "col":
        return weight / columns
    rows = _safe(entries.row_sums(weight)).index_select(0, entries.row)
    return weight * (rows * columns).rsqrt()


def check_normalization(normalization: str) -> None:
    """ValueError unless it is one of ``NORMALIZATIONS``."""
    check_choice("normalization", normalization, NORMALIZATIONS)


def _safe(sums: Tensor) -> Tensor:
    return torch.where(sums > 0, sums, torch.ones_like(sums))


def adjacency(
    K: CellComplex, dtype: torch.dtype, *, normalization: str = "sym", loops: float = 1.0
) -> EntryOperator:
    """The normalised adjacency matrix of the graph, ``D^{-1} A``, ``A D^{-1}`` or ``D^{-1/2} A
    D^{-1/2}``; computed once.

    Args:
        K: the graph.
        dtype: of the matrix.
        normalization: ``row``, ``col`` or ``sym``; see :func:`normalize`.
        loops: weight of each loop that is added to A first; 0 for none.
    """
    check_normalization(normalization)
    if loops < 0:
        raise ValueError(f"the weight of loops must not be negative, got {loops}")

    def make() -> EntryOperator:
        entries = Entries.from_complex(K, loops > 0)
        weight = torch.ones(entries.nnz, dtype=torch.float64, device=K.device)
        weight[entries.index == entries.row] = loops
        weight = normalize(entries, weight, normalization).to(dtype)
        if normalization == "sym":
            return EntryOperator(entries, weight, True, 1.0)
        return EntryOperator(entries, weight)

    return keep(K, ("adjacency", dtype, normalization, loops), make)
