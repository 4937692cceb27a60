"""Attention along the entries of a sparse matrix in plain PyTorch: the oracle of the tests."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels.activations import squareplus, squareplus_root
from topodiff.kernels.precision import rounded_once
from topodiff.kernels.reference import (
    check_index,
    scatter_extreme,
    scatter_sum,
    segment_softmax,
    segment_softmax_backward,
    segment_sum,
    segments_of,
)


@rounded_once
def edge_dot(q: Tensor, k: Tensor, index: Tensor, ptr: Tensor, scale: float) -> Tensor:
    """(nnz, heads) ``scale <q[row], k[index]>``."""
    check_index(index, k.shape[0])
    return scale * (q[segments_of(ptr, index.shape[0])] * k[index]).sum(-1)


@rounded_once
def head_gather(x: Tensor, weight: Tensor, index: Tensor, ptr: Tensor) -> Tensor:
    """(rows, heads, width) sums of ``weight x[index]`` over rows."""
    check_index(index, x.shape[0])
    return segment_sum(weight.unsqueeze(-1) * x[index], ptr, False)


@rounded_once
def head_spread(x: Tensor, weight: Tensor, index: Tensor, ptr: Tensor, columns: int) -> Tensor:
    """(columns, heads, width) sums of ``weight x[row]`` over columns."""
    messages = weight.unsqueeze(-1) * x[segments_of(ptr, index.shape[0])]
    return scatter_sum(messages, index, columns, False)


@rounded_once
def edge_attention(
    q: Tensor, k: Tensor, x: Tensor, index: Tensor, ptr: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Sums of values, and the weights (nnz, heads)."""
    alpha = segment_softmax(edge_dot(q, k, index, ptr, scale), ptr)
    if x.dim() == 3:
        return head_gather(x, alpha, index, ptr), alpha
    return segment_sum(alpha.mean(1, keepdim=True) * x[index], ptr, False), alpha


@rounded_once
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


@rounded_once
def segment_weights(scores: Tensor, order: Tensor | None, ptr: Tensor, squash: str) -> Tensor:
    """(nnz,) the mean over heads of positive scores over their sums within segments."""
    segment = _segments(order, ptr, scores.shape[0])
    value, _ = _positive(scores, segment, ptr, squash)
    sums = _sums(value, segment, ptr)
    return (value / sums[segment]).mean(1)


@rounded_once
def segment_weights_backward(
    grad: Tensor, scores: Tensor, order: Tensor | None, ptr: Tensor, squash: str
) -> Tensor:
    """Gradient of the scores: ``f'(s) (grad - mean of grad, weighted by f) / (heads sum of f)``."""
    segment = _segments(order, ptr, scores.shape[0])
    value, slope = _positive(scores, segment, ptr, squash)
    sums, grad = _sums(value, segment, ptr), grad.unsqueeze(1)
    mean = scatter_sum(grad * value, segment, ptr.shape[0] - 1, False) / sums
    found = slope * (grad - mean[segment]) / (scores.shape[1] * sums[segment])
    if squash == "shifted_squareplus" and scores.numel():
        top = scores == scores.max()
        found = found - top * (found.sum() / top.sum())
    return found


def _segments(order: Tensor | None, ptr: Tensor, nnz: int) -> Tensor:
    """The segment of every entry."""
    segment = segments_of(ptr, nnz)
    if order is None:
        return segment
    check_index(order, nnz)
    return torch.empty_like(segment).index_copy_(0, order.long(), segment)


def _sums(value: Tensor, segment: Tensor, ptr: Tensor) -> Tensor:
    """Over segments; 1 in place of 0."""
    sums = scatter_sum(value, segment, ptr.shape[0] - 1, False)
    return torch.where(sums == 0, torch.ones_like(sums), sums)


def _positive(scores: Tensor, segment: Tensor, ptr: Tensor, squash: str) -> tuple[Tensor, Tensor]:
    """f(s) up to a factor, which normalising takes out, and f'(s)."""
    if squash == "softmax":
        top, _ = scatter_extreme(scores.detach(), segment, ptr.shape[0] - 1, True, False)
        value = (scores - top[segment]).exp()
        return value, value
    if squash == "shifted_squareplus" and scores.numel():
        scores = scores - scores.max()
    value = squareplus(scores)
    return value, value / squareplus_root(scores)


OPERATIONS = (
    edge_dot, head_gather, head_spread, edge_attention, edge_attention_backward, segment_weights,
    segment_weights_backward,
)  # fmt: skip
