"""Neighbours of vertices as kernels see them, computed once per graph.

What depends on the graph alone is kept for as long as the graph lives, beside its incidences, so
complexes that share these (``K.replace(...)``) share it too; it is no part of any model.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.complexes.incidence import Incidence

T = TypeVar("T")
_KEPT: WeakKeyDictionary[Incidence, dict[Hashable, object]] = WeakKeyDictionary()


class Rows(NamedTuple):
    """A sparse matrix by rows: entries ``ptr[i]:ptr[i + 1]`` of row i stand in the columns
    ``column`` (nnz,) with values ``weight`` (nnz,), ones if None."""

    column: Tensor
    ptr: Tensor
    weight: Tensor | None = None

    def __matmul__(self, x: Tensor) -> Tensor:
        """``out_i = sum over j of weight_ij x_j``; x (columns, *channels)."""
        return kernels.gather_reduce(x, self.column, self.ptr, self.weight)

    def mean(self, x: Tensor) -> Tensor:
        """``out_i = mean over entries j of row i of weight_ij x_j``, 0 for an empty row."""
        return kernels.gather_reduce(x, self.column, self.ptr, self.weight, "mean")

    @property
    def row(self) -> Tensor:
        """(nnz,) the row of each entry."""
        n = self.ptr.numel() - 1
        return torch.arange(n, device=self.ptr.device).repeat_interleave(self.ptr.diff())


def keep(K: CellComplex, key: Hashable, make: Callable[[], T]) -> T:
    """``make()``, or what it gave before for the edges of ``K`` and this key."""
    if K.rank == 0:
        return make()
    kept = _KEPT.setdefault(K.incidence(1), {})
    if key not in kept:
        kept[key] = make()
    return kept[key]  # type: ignore[return-value]


def adjacency(K: CellComplex) -> Rows:
    """The adjacency matrix A."""
    if K.rank == 0:
        none = torch.zeros(K.num_cells(0) + 1, dtype=torch.long, device=K.device)
        return Rows(none[:0], none)
    return Rows(K.upper_adjacency(0).source, K.incidence(1).face_ptr)


def adjacency_with_loops(K: CellComplex) -> Rows:
    """A + I."""

    def make() -> Rows:
        rows = adjacency(K)
        own = torch.arange(K.num_cells(0), device=rows.ptr.device)
        ptr, order = kernels.sort_by_key(torch.cat([own, rows.row]), own.numel())
        return Rows(torch.cat([own, rows.column])[order], ptr)

    return keep(K, "loops", make)


def normalized_adjacency(K: CellComplex, dtype: torch.dtype, loops: bool = True) -> Rows:
    """``D^{-1/2} A D^{-1/2}``, with ``loops`` of A + I and its degrees (Kipf and Welling 2017)."""

    def make() -> Rows:
        return normalized(adjacency_with_loops(K) if loops else adjacency(K), dtype)

    return keep(K, ("normalized", dtype, loops), make)


def normalized(rows: Rows, dtype: torch.dtype) -> Rows:
    """``D^{-1/2} A D^{-1/2}`` of a symmetric A of ones; rows without entries stay empty."""
    scale = rows.ptr.diff().to(torch.float64).clamp(min=1).rsqrt()
    weight = scale.repeat_interleave(rows.ptr.diff()) * scale[rows.column]
    return rows._replace(weight=weight.to(dtype))
