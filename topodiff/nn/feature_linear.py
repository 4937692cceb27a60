"""The first linear map of a model on features that are mostly zeros, such as bags of words."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from topodiff import kernels
from topodiff.complexes.incidence import count_to_ptr
from topodiff.complexes.outlasting import outlasting, transformed
from topodiff.nn.dropout import check_probability, drop
from topodiff.nn.features import alike, check_finite

_DENSEST = 0.2
_FEW_COLUMNS = 10  # as many times more rows: gradients are added to columns in the order of rows


# what was found out about the features of a graph, which are the same tensor at every step
_seen: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


class Rows(NamedTuple):
    """A sparse matrix by rows: entries ``ptr[i]:ptr[i + 1]`` of row i stand in the columns
    ``column`` (nnz,) with values ``weight`` (nnz,).

    ``by_column`` has the row of each entry, and the entries sorted by column with their pointer:
    the gradient then gathers for each column, which is faster than adding to columns in the order
    of rows unless columns are few.
    """

    column: Tensor
    ptr: Tensor
    weight: Tensor
    by_column: tuple[Tensor, Tensor, Tensor] | None = None

    def __matmul__(self, x: Tensor) -> Tensor:
        """``out_i = sum over j of weight_ij x_j``; x (columns, *channels)."""
        if self.by_column is None:
            return kernels.gather_reduce(x, self.column, self.ptr, self.weight)
        row, column_ptr, order = self.by_column
        graph = (self.column, row, self.weight, self.ptr, column_ptr, order)
        return kernels.incidence_matmul(x, *graph, transpose=True)


class FeatureLinear(nn.Module):
    """``y = dropout(x) W + b``, at the cost of the entries of x that are not zero.

    Dropout leaves zeros as they are, so drawing for the other entries alone has the same law. Where
    less than a fifth of the entries is not zero (and x is on the CPU and needs no gradient) they
    are put together once for each tensor; see :func:`sparse_rows` for when they are again.

    Args:
        in_channels, out_channels: widths.
        dropout: probability.
    """

    def __init__(self, in_channels: int, out_channels: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_probability("dropout", dropout)
        self.in_channels, self.out_channels = in_channels, out_channels
        self.dropout = dropout
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As ``torch.nn.Linear``."""
        bound = 1 / math.sqrt(max(self.in_channels, 1))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor | Rows) -> Tensor:
        """(n, in_channels), or its sparse rows -> (n, out_channels).

        Raises:
            TypeError, ValueError: for features of another width, dtype or device, and for features
                that are not finite.
        """
        p = self.dropout if self.training else 0.0
        if isinstance(x, Tensor):
            self._check(x)
            x = alike(x, self.weight)
            rows: Rows | None = sparse_rows(x)
            if rows is None:
                out = torch.addmm(self.bias, drop(x, p), self.weight)
                return out.to(self.weight.dtype)  # which autocast lowers
            x = rows
        x = x._replace(weight=alike(x.weight, self.weight))
        return drop_entries(x, p) @ self.weight + self.bias

    def _check(self, x: Tensor) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            given = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"features must be a floating-point tensor, got {given}")
        if x.dim() != 2 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"features must have shape (n, {self.in_channels}), got {tuple(x.shape)}"
            )

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}, dropout={self.dropout}"


def sparse_rows(x: Tensor) -> Rows | None:
    """The entries of x (n, channels) that are not zero, checked and found once for each tensor;
    None where x is too dense for them to pay.

    They are found anew where x was written to by operations of PyTorch since. What is written past
    these, through ``x.data`` or an array of numpy that shares its memory, no one sees: pass a new
    tensor then. Tensors made in inference mode, whose writes are not counted, and those wrapped by
    ``torch.func`` count as dense.
    """
    if x.requires_grad or x.is_inference() or transformed():
        check_finite(x)
        return None
    known = _seen.get(x)
    if known is None or known[0] != x._version:
        check_finite(x)
        known = _seen[x] = (x._version, outlasting(_compress)(x))
    return known[1]


def drop_entries(rows: Rows, p: float) -> Rows:
    """Dropout of the entries with probability ``p``."""
    return rows if p == 0 else rows._replace(weight=drop(rows.weight, p))


def _compress(x: Tensor) -> Rows | None:
    if x.device.type != "cpu" or int(x.count_nonzero()) > _DENSEST * x.numel():
        return None
    row, column = (t.contiguous() for t in x.nonzero().unbind(1))
    by_column = None
    if len(x) < _FEW_COLUMNS * x.shape[1]:
        by_column = (row, *kernels.sort_by_key(column, x.shape[1]))
    return Rows(column, count_to_ptr(row, len(x)), x[row, column], by_column)
