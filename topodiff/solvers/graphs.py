"""Norms of the graphs of a batch, one by one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff import kernels


def check_ptr(ptr: Tensor, x: Tensor, dim: int) -> Tensor:
    """(graphs + 1,) row numbers that rise from 0 to the rows of x.

    Raises:
        TypeError, ValueError: for anything else.
    """
    if not isinstance(ptr, Tensor) or ptr.dtype not in (torch.int32, torch.int64):
        raise TypeError("ptr must be a tensor of whole numbers, complex.ptr[0] for example")
    rows = x.shape[dim]
    rises = ptr.dim() == 1 and ptr.numel() > 1 and bool((ptr.diff() >= 0).all())
    if not rises or int(ptr[0]) != 0 or int(ptr[-1]) != rows:
        raise ValueError(
            f"ptr must rise from 0 to {rows}, the rows of the state; got {ptr.tolist()}"
        )
    return ptr.to(x.device)


def mean_squares(x: Tensor, ptr: Tensor, dim: int) -> Tensor:
    """(graphs,) mean of the squared entries of each graph, 0 for a graph without rows."""
    if x.numel() == 0:
        return x.new_zeros(ptr.numel() - 1)
    rows = x.movedim(dim, 0).reshape(x.shape[dim], -1).square().mean(1)
    return kernels.segment_reduce(rows, ptr, "mean")


def graph_norm(ptr: Tensor, like: Tensor, dim: int) -> Callable[[Tensor], Tensor]:
    """The largest root mean square over the graphs; of flat tensors too."""
    ptr = check_ptr(ptr, like, dim)

    def norm(x: Tensor) -> Tensor:
        return mean_squares(x.reshape(like.shape), ptr, dim).max().sqrt()

    return norm
