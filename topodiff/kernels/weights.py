"""Weights of the entries of a sparse matrix: positive functions of scores, normalised over rows or
columns, the mean over heads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import attention_reference, checks
from topodiff.kernels.activations import SQUASHES
from topodiff.kernels.library import define


def segment_weights(
    scores: Tensor, ptr: Tensor, order: Tensor | None = None, squash: str = "softmax"
) -> Tensor:
    """``out[e] = mean over h of f(s[e, h]) / (sum of f(s[., h]) over the segment of e)``.

    Args:
        scores: s, ``(nnz, heads)``.
        ptr: ``(segments + 1,)``, rising from 0 to ``nnz``.
        order: ``(nnz,)``: segment k holds the entries ``order[ptr[k]:ptr[k + 1]]``, every entry in
            one segment. By default entries lie in the order of segments.
        squash: f. ``softmax``: exp(s). ``squareplus``: ``(s + sqrt(s^2 + 4)) / 2``, which grows
            linearly (Barron, Squareplus, 2021). ``shifted_squareplus``: that of s less the largest
            of all scores, as in the published code of GRAND (2021).

    Returns:
        ``(nnz,)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    checks.check_values("scores", scores)
    checks.check_choice("squash", squash, SQUASHES)
    checks.check_ptr("ptr", ptr)
    if scores.dim() != 2 or scores.shape[1] == 0:
        raise ValueError(f"scores must be (nnz, heads), one head at least; got {scores.shape}")
    if order is not None:
        checks.check_index("order", order)
        checks.check_same_dtype(order=order, ptr=ptr)
        checks.check_rows("order", order, scores.shape[0])
    return _segment_weights(scores, order, ptr, squash)


def _gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    if not torch.is_grad_enabled():
        return _segment_weights_backward(grad, *a), None, None, None
    scores = a[0].view_as(a[0])  # derivatives stop here and do not run through what made it
    out = attention_reference.segment_weights(scores, *a[1:])
    return *torch.autograd.grad(out, scores, grad, create_graph=True), None, None, None


_segment_weights = define(
    "segment_weights",
    "(Tensor scores, Tensor? order, Tensor ptr, str squash) -> Tensor",
    lambda scores, *_: scores.new_empty(scores.shape[0]),
    _gradient,
    saves=(0, 1, 2),
)
_segment_weights_backward = define(
    "segment_weights_backward",
    "(Tensor grad, Tensor scores, Tensor? order, Tensor ptr, str squash) -> Tensor",
    lambda grad, scores, *_: torch.empty_like(scores, memory_format=torch.contiguous_format),
)
