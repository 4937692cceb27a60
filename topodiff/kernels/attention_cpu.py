"""Attention, compiled: allocate results, hand over addresses."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import cpu
from topodiff.kernels.activations import SQUASHES
from topodiff.kernels.cpu import _cpu


def _call(  # type: ignore[no-untyped-def]
    kernel, index: Tensor, ptr: Tensor, rows: int, heads: int, width: int, channels: int,
    shared: bool, scale: float, *tensors: Tensor,
) -> None:  # fmt: skip
    """Everything contiguous; ``tensors`` in the order of the compiled function."""
    kernel(
        tensors[0].dtype is torch.float64, index.dtype is torch.int64, torch.get_num_threads(),
        rows, ptr.shape[0] - 1, index.shape[0], heads, width, channels, shared, scale,
        index.data_ptr(), ptr.data_ptr(), *[t.data_ptr() for t in tensors],
    )  # fmt: skip


def _contiguous(*tensors: Tensor) -> list[Tensor]:
    return [t.contiguous() for t in tensors]


def edge_dot(q: Tensor, k: Tensor, index: Tensor, ptr: Tensor, scale: float) -> Tensor:
    q, k, index, ptr = _contiguous(q, k, index, ptr)
    rows, heads, width = k.shape
    out = cpu._empty(q, index.shape[0], heads)
    _call(_cpu.edge_dot, index, ptr, rows, heads, width, 0, False, scale, q, k, out)
    return out


def head_gather(x: Tensor, weight: Tensor, index: Tensor, ptr: Tensor) -> Tensor:
    x, weight, index, ptr = _contiguous(x, weight, index, ptr)
    rows, heads, channels = x.shape
    out = cpu._empty(x, ptr.shape[0] - 1, heads, channels)
    _call(_cpu.head_gather, index, ptr, rows, heads, 0, channels, False, 1.0, x, weight, out)
    return out


def head_spread(x: Tensor, weight: Tensor, index: Tensor, ptr: Tensor, columns: int) -> Tensor:
    x, weight, index, ptr = _contiguous(x, weight, index, ptr)
    _, heads, channels = x.shape
    out = cpu._empty(x, columns, heads, channels)
    _call(_cpu.head_spread, index, ptr, columns, heads, 0, channels, False, 1.0, x, weight, out)
    return out


def edge_attention(
    q: Tensor, k: Tensor, x: Tensor, index: Tensor, ptr: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    q, k, x, index, ptr = _contiguous(q, k, x, index, ptr)
    rows, heads, width = k.shape
    out = cpu._empty(x, ptr.shape[0] - 1, *x.shape[1:])
    alpha = cpu._empty(x, index.shape[0], heads)
    _call(
        _cpu.edge_attention, index, ptr, rows, heads, width, x.shape[-1], x.dim() == 2, scale,
        q, k, x, out, alpha,
    )  # fmt: skip
    return out, alpha


def edge_attention_backward(
    grad: Tensor, q: Tensor, k: Tensor, x: Tensor, alpha: Tensor, index: Tensor, ptr: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    grad, q, k, x, alpha, index, ptr = _contiguous(grad, q, k, x, alpha, index, ptr)
    rows, heads, width = k.shape
    dscores, dq, dk, dx = (cpu._empty(t, *t.shape) for t in (alpha, q, k, x))
    _call(
        _cpu.edge_attention_backward, index, ptr, rows, heads, width, x.shape[-1], x.dim() == 2,
        scale, grad, q, k, x, alpha, dscores, dq, dk, dx,
    )  # fmt: skip
    return dq, dk, dx


def _weights(  # type: ignore[no-untyped-def]
    kernel, scores: Tensor, order: Tensor | None, ptr: Tensor, squash: str, *tensors: Tensor
) -> None:
    """Everything contiguous; ``tensors`` in the order of the compiled function."""
    shifted = squash == "shifted_squareplus" and scores.numel()
    kernel(
        scores.dtype is torch.float64, ptr.dtype is torch.int64, torch.get_num_threads(),
        ptr.shape[0] - 1, *scores.shape, SQUASHES.index(squash),
        float(scores.max()) if shifted else 0.0,
        0 if order is None else order.data_ptr(), ptr.data_ptr(), *[t.data_ptr() for t in tensors],
    )  # fmt: skip


def segment_weights(scores: Tensor, order: Tensor | None, ptr: Tensor, squash: str) -> Tensor:
    scores, ptr = _contiguous(scores, ptr)
    order = None if order is None else order.contiguous()
    out = cpu._empty(scores, scores.shape[0])
    _weights(_cpu.segment_weights, scores, order, ptr, squash, scores, out)
    return out


def segment_weights_backward(
    grad: Tensor, scores: Tensor, order: Tensor | None, ptr: Tensor, squash: str
) -> Tensor:
    grad, scores, ptr = _contiguous(grad, scores, ptr)
    order = None if order is None else order.contiguous()
    totals, out = cpu._empty(scores, ptr.shape[0] - 1), cpu._empty(scores, *scores.shape)
    _weights(
        _cpu.segment_weights_backward, scores, order, ptr, squash, grad, scores, totals, out
    )  # fmt: skip
    return out


OPERATIONS = (
    edge_dot, head_gather, head_spread, edge_attention, edge_attention_backward, segment_weights,
    segment_weights_backward,
)  # fmt: skip
