"""Transports along the edges of a graph, from the maps of both ends, in one pass each way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import checks, sheaf_reference
from topodiff.kernels.library import define


def transports(maps: Tensor, factor: Tensor) -> Tensor:
    """``f_e F_head^T F_tail`` for every edge e: the transport of a sheaf with orthogonal maps, and
    up to the sign the block of a sheaf Laplacian.

    Args:
        maps: F, ``(2 num_edges, d, d)``: of tail and head of the first edge, of the second, and so
            on.
        factor: f, ``(num_edges,)``.

    Returns:
        ``(num_edges, d, d)``.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes.
    """
    checks.check_values("maps", maps)
    if maps.dim() != 3 or maps.shape[1] != maps.shape[2] or maps.shape[0] % 2:
        raise ValueError(f"maps must have shape (2 num_edges, d, d), got {tuple(maps.shape)}")
    if not isinstance(factor, Tensor):
        checks.check_tensors(factor=factor)
    if factor.shape != (maps.shape[0] // 2,) or factor.dtype is not maps.dtype:
        raise ValueError(
            f"factor must have shape ({maps.shape[0] // 2},) and dtype {maps.dtype} as maps, got "
            f"{tuple(factor.shape)} and {factor.dtype}"
        )
    return _transports(maps, factor)


def _gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _transports_backward
    if torch.is_grad_enabled():  # of the gradient: every step must be differentiable
        backward = sheaf_reference.transports_backward
    return backward(grad, *a)


_transports = define(
    "transports",
    "(Tensor maps, Tensor factor) -> Tensor",
    lambda maps, factor: maps.new_empty(factor.shape[0], *maps.shape[1:]),
    _gradient,
    saves=(0, 1),
)
_transports_backward = define(
    "transports_backward",
    "(Tensor grad, Tensor maps, Tensor factor) -> (Tensor, Tensor)",
    lambda grad, maps, factor: (
        torch.empty_like(maps, memory_format=torch.contiguous_format), torch.empty_like(factor)
    ),
)  # fmt: skip
