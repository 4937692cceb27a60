"""Attention along the entries of a sparse matrix: products of queries and keys, softmax over each
row, sums of values.

Scores and weights exist for each entry and head; no array of entries x channels does, forward or
backward. Sums over columns go through the entries in their order, so results do not depend on the
number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import checks
from topodiff.kernels.library import define
from topodiff.kernels.operations import segment_softmax


def edge_dot(q: Tensor, k: Tensor, index: Tensor, ptr: Tensor, scale: float = 1.0) -> Tensor:
    """``out[e, h] = scale <q[i, h], k[index[e], h]>`` for the entries e of row i,
    ``ptr[i]:ptr[i + 1]``.

    Args:
        q: ``(rows, heads, width)``.
        k: ``(columns, heads, width)``.
        index: ``(nnz,)``, values in ``0..columns - 1``.
        ptr: ``(rows + 1,)``, rising from 0 to ``nnz``.
        scale: a number.

    Returns:
        ``(nnz, heads)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    _check_queries(q, k, index, ptr)
    return _edge_dot(q, k, index, ptr, float(scale))


def edge_attention(
    q: Tensor, k: Tensor, x: Tensor, index: Tensor, ptr: Tensor, scale: float | None = None
) -> Tensor:
    """``out_i = sum over entries e of row i of a_e x[index[e]]``, ``a_e`` the softmax over the row
    of ``scale <q_i, k[index[e]]>``, for every head (Vaswani et al., Attention is all you need,
    2017, along a graph).

    Args:
        q: ``(rows, heads, width)``.
        k: ``(columns, heads, width)``.
        x: ``(columns, heads, channels)``; or ``(columns, channels)``, shared by all heads, over
            which the mean is then taken.
        index, ptr: as for :func:`edge_dot`.
        scale: ``1 / sqrt(width)`` by default.

    Returns:
        ``(rows, heads, channels)``, or ``(rows, channels)``; 0 for a row without entries.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    _check_queries(q, k, index, ptr)
    checks.check_values("x", x)
    checks.check_rows("x", x, k.shape[0])
    heads = q.shape[1]
    if x.dim() not in (2, 3) or (x.dim() == 3 and x.shape[1] != heads) or x.dtype != q.dtype:
        raise ValueError(
            f"x must be (columns, channels) or (columns, {heads}, channels) of {q.dtype} as q; got "
            f"{tuple(x.shape)} of {x.dtype}"
        )
    if heads == 0:
        raise ValueError("attention needs one head at least, got q without heads")
    if scale is None:
        scale = 1 / math.sqrt(max(q.shape[2], 1))
    return _edge_attention(q, k, x, index, ptr, float(scale))[0]


def _check_queries(q: Tensor, k: Tensor, index: Tensor, ptr: Tensor) -> None:
    checks.check_values("q", q)
    checks.check_index("index", index)
    checks.check_ptr("ptr", ptr)
    if index.dtype is not ptr.dtype:
        checks.check_same_dtype(index=index, ptr=ptr)
    if not isinstance(k, Tensor):
        checks.check_tensors(k=k)
    checks.check_rows("q", q, ptr.shape[0] - 1)
    if q.dim() != 3 or k.dim() != 3 or q.shape[1:] != k.shape[1:] or q.dtype != k.dtype:
        raise ValueError(
            "q and k must be (rows, heads, width), alike but for the rows; got "
            f"{tuple(q.shape)} of {q.dtype} and {tuple(k.shape)} of {k.dtype}"
        )


# ---- operations. The first three are bilinear and each other's gradients.


def _edge_dot_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    q, k, index, ptr, scale = a
    grad = grad if scale == 1 else scale * grad
    dq = _head_gather(k, grad, index, ptr) if needed[0] else None
    dk = _head_spread(q, grad, index, ptr, k.shape[0]) if needed[1] else None
    return dq, dk, None, None, None


def _head_gather_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, weight, index, ptr = a
    dx = _head_spread(grad, weight, index, ptr, x.shape[0]) if needed[0] else None
    dweight = _edge_dot(grad, x, index, ptr, 1.0) if needed[1] else None
    return dx, dweight, None, None


def _head_spread_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, weight, index, ptr, _ = a
    dx = _head_gather(grad, weight, index, ptr) if needed[0] else None
    dweight = _edge_dot(x, grad, index, ptr, 1.0) if needed[1] else None
    return dx, dweight, None, None, None


_edge_dot = define(
    "edge_dot",
    "(Tensor q, Tensor k, Tensor index, Tensor ptr, float scale) -> Tensor",
    lambda q, k, index, ptr, scale: q.new_empty(index.shape[0], q.shape[1]),
    _edge_dot_gradient,
    saves=(0, 1, 2, 3),
)
_head_gather = define(
    "head_gather",
    "(Tensor x, Tensor weight, Tensor index, Tensor ptr) -> Tensor",
    lambda x, weight, index, ptr: x.new_empty(ptr.shape[0] - 1, *x.shape[1:]),
    _head_gather_gradient,
    saves=(0, 1, 2, 3),
)
_head_spread = define(
    "head_spread",
    "(Tensor x, Tensor weight, Tensor index, Tensor ptr, SymInt columns) -> Tensor",
    lambda x, weight, index, ptr, columns: x.new_empty(columns, *x.shape[1:]),
    _head_spread_gradient,
    saves=(0, 1, 2, 3),
)


def _composite(q: Tensor, k: Tensor, x: Tensor, index: Tensor, ptr: Tensor, scale: float) -> Tensor:
    """The same in operations that have derivatives of every order."""
    alpha = segment_softmax(_edge_dot(q, k, index, ptr, scale), ptr)
    if x.dim() == 3:
        return _head_gather(x, alpha, index, ptr)
    mean = alpha.mean(1, keepdim=True)
    return _head_gather(x.unsqueeze(1), mean, index, ptr).squeeze(1)


def _edge_attention_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    q, k, x, index, ptr, scale = a
    if not torch.is_grad_enabled():
        found = _edge_attention_backward(grad, q, k, x, results[1], index, ptr, scale)
    else:
        # views, so that derivatives stop at these and do not run through what made them
        inputs = [t.view_as(t) if n else t for t, n in zip((q, k, x), needed, strict=False)]
        out = _composite(inputs[0], inputs[1], inputs[2], index, ptr, scale)
        wanted = [t for t, n in zip(inputs, needed, strict=False) if n]
        parts = iter(torch.autograd.grad(out, wanted, grad, create_graph=True))
        found = [next(parts) if n else None for n in needed[:3]]
    chosen = [g if n else None for g, n in zip(found, needed, strict=False)]
    return *chosen, None, None, None


_edge_attention = define(
    "edge_attention",
    "(Tensor q, Tensor k, Tensor x, Tensor index, Tensor ptr, float scale) -> (Tensor, Tensor)",
    lambda q, k, x, index, ptr, scale: (
        x.new_empty(ptr.shape[0] - 1, *x.shape[1:]),
        x.new_empty(index.shape[0], q.shape[1]),
    ),
    _edge_attention_gradient,
    saves=(0, 1, 2, 3, 4),
    saves_results=True,
)
_edge_attention_backward = define(
    "edge_attention_backward",
    "(Tensor grad, Tensor q, Tensor k, Tensor x, Tensor alpha, Tensor index, Tensor ptr,"
    " float scale) -> (Tensor, Tensor, Tensor)",
    lambda grad, q, k, x, *_: tuple(
        torch.empty_like(t, memory_format=torch.contiguous_format) for t in (q, k, x)
    ),
)
