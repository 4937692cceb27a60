"""Attention along the entries of a sparse matrix in plain PyTorch: the oracle of the tests."""

from __future__ import annotations

from torch import Tensor

from topodiff.kernels.reference import (
    check_index,
    scatter_sum,
    segment_softmax,
    segment_softmax_backward,
    segment_sum,
    segments_of,
)


def edge_dot(q: Tensor, k: Tensor, index: Tensor, ptr: Tensor, scale: float) -> Tensor:
    """(nnz, heads) ``scale <q[row], k[index]>``."""
    check_index(index, k.shape[0])
    return scale * (q[segments_of(ptr, index.shape[0])] * k[index]).sum(-1)


def head_gather(x: Tensor, weight: Tensor, index: Tensor, ptr: Tensor) -> Tensor:
    """(rows, heads, width) sums of ``weight x[index]`` over rows."""
    check_index(index, x.shape[0])
    return segment_sum(weight.unsqueeze(-1) * x[index], ptr, False)


def head_spread(x: Tensor, weight: Tensor, index: Tensor, ptr: Tensor, columns: int) -> Tensor:
    """(columns, heads, width) sums of ``weight x[row]`` over columns."""
    messages = weight.unsqueeze(-1) * x[segments_of(ptr, index.shape[0])]
    return scatter_sum(messages, index, columns, False)


def edge_attention(
    q: Tensor, k: Tensor, x: Tensor, index: Tensor, ptr: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Sums of values, and the weights (nnz, heads)."""
    alpha = segment_softmax(edge_dot(q, k, index, ptr, scale), ptr)
    if x.dim() == 3:
        return head_gather(x, alpha, index, ptr), alpha
    return segment_sum(alpha.mean(1, keepdim=True) * x[index], ptr, False), alpha


def edge_attention_backward(
    grad: Tensor, q: Tensor, k: Tensor, x: Tensor, alpha: Tensor, index: Tensor, ptr: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Gradients of q, k and x."""
    shared, heads = x.dim() == 2, alpha.shape[1]
    if shared:
        weight = alpha.mean(1, keepdim=True)
        dx = head_spread(grad.unsqueeze(1), weight, index, ptr, x.shape[0]).squeeze(1)
        dot = edge_dot(grad.unsqueeze(1), x.unsqueeze(1), index, ptr, 1 / max(heads, 1))
        dalpha = dot.expand_as(alpha)
    else:
        dx = head_spread(grad, alpha, index, ptr, x.shape[0])
        dalpha = edge_dot(grad, x, index, ptr, 1.0)
    dscores = scale * segment_softmax_backward(dalpha, alpha, ptr)
    dq = head_gather(k, dscores, index, ptr)
    dk = head_spread(q, dscores, index, ptr, k.shape[0])
    return dq, dk, dx


OPERATIONS = (edge_dot, head_gather, head_spread, edge_attention, edge_attention_backward)
