"""Weights of entries on GPUs: a program owns some segments and all heads of their entries."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from topodiff.kernels import cpu
from topodiff.kernels.activations import SQUASHES
from topodiff.kernels.softmax_triton import _entry, _extent

_TILE = 128  # segments x heads of a program


@triton.jit
def _entries(order, at, last, nnz, h, heads, ORDERED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Entries, which of them exist, and the same of their scores."""
    live = at < last
    if ORDERED:
        at = tl.load(order + at, live, other=-1).to(tl.int64)
        live = live & (at >= 0) & (at < nnz)
    place, inside = _entry(at, live, h, heads)
    return at, live, place, inside


@triton.jit
def _positive(s, SQUASH: tl.constexpr):  # type: ignore[no-untyped-def]
    """f and f'; squareplus without cancellation at low scores."""
    if SQUASH == 0:
        value = tl.exp(s)
        slope = value
    else:
        root = tl.sqrt(s * s + 4)
        value = tl.where(s < 0, 2 / (root + tl.abs(s)), (root + s) / 2)
        slope = value / root
    return value, slope


@triton.jit
def _bases(  # type: ignore[no-untyped-def]
    scores, top, order, first, last, longest, nnz, h, heads, base,
    SQUASH: tl.constexpr, ORDERED: tl.constexpr,
):  # fmt: skip
    """What is taken from scores: the largest of a segment, the largest of all, or nothing."""
    if SQUASH == 0:
        base += float("-inf")
        step = 0
        while step < longest:
            _, _, place, inside = _entries(order, first + step, last, nnz, h, heads, ORDERED)
            value = tl.load(scores + place, inside, other=float("-inf"))
            base = tl.maximum(base, value.to(base.dtype))
            step += 1
    elif SQUASH == 2:
        base += tl.load(top).to(base.dtype)
    return base


@triton.jit
def _values(  # type: ignore[no-untyped-def]
    scores, base, order, at, last, nnz, h, heads, SQUASH: tl.constexpr, ORDERED: tl.constexpr
):
    """What :func:`_entries` says of entries, and f and f' of their scores."""
    at, live, place, inside = _entries(order, at, last, nnz, h, heads, ORDERED)
    score = tl.load(scores + place, inside, other=0).to(base.dtype)
    value, slope = _positive(score - base, SQUASH)
    return at, live, place, inside, value, slope


@triton.jit
def _weights(  # type: ignore[no-untyped-def]
    scores, top, order, ptr, out, segments, nnz, heads,
    SEGMENTS: tl.constexpr, HEADS: tl.constexpr, WIDE: tl.constexpr, SQUASH: tl.constexpr,
    ORDERED: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(0).to(tl.int64) * SEGMENTS + tl.arange(0, SEGMENTS)
    h = tl.arange(0, HEADS)
    first, last, longest = _extent(ptr, s, segments, nnz)
    total = tl.zeros((SEGMENTS, HEADS), tl.float64 if WIDE else tl.float32)
    base = _bases(
        scores, top, order, first, last, longest, nnz, h, heads, total, SQUASH, ORDERED
    )  # fmt: skip
    step = 0
    while step < longest:
        _, _, _, inside, value, _ = _values(
            scores, base, order, first + step, last, nnz, h, heads, SQUASH, ORDERED
        )
        total += tl.where(inside, value, 0)
        step += 1
    step = 0
    while step < longest:
        at, live, _, inside, value, _ = _values(
            scores, base, order, first + step, last, nnz, h, heads, SQUASH, ORDERED
        )
        mean = tl.sum(tl.where(inside, value / total, 0), 1) / heads
        tl.store(out + at, mean.to(out.dtype.element_ty), live)
        step += 1


@triton.jit
def _weights_backward(  # type: ignore[no-untyped-def]
    grad, scores, top, order, ptr, out, segments, nnz, heads,
    SEGMENTS: tl.constexpr, HEADS: tl.constexpr, WIDE: tl.constexpr, SQUASH: tl.constexpr,
    ORDERED: tl.constexpr,
):  # fmt: skip
    """``out = f' (grad - sum of grad f / sum of f) / (heads sum of f)``."""
    s = tl.program_id(0).to(tl.int64) * SEGMENTS + tl.arange(0, SEGMENTS)
    h = tl.arange(0, HEADS)
    first, last, longest = _extent(ptr, s, segments, nnz)
    total = tl.zeros((SEGMENTS, HEADS), tl.float64 if WIDE else tl.float32)
    weighted = total
    base = _bases(
        scores, top, order, first, last, longest, nnz, h, heads, total, SQUASH, ORDERED
    )  # fmt: skip
    step = 0
    while step < longest:
        at, live, _, inside, value, _ = _values(
            scores, base, order, first + step, last, nnz, h, heads, SQUASH, ORDERED
        )
        value = tl.where(inside, value, 0)
        total += value
        weighted += value * tl.load(grad + at, live, other=0).to(total.dtype)[:, None]
        step += 1
    step = 0
    while step < longest:
        at, live, place, inside, _, slope = _values(
            scores, base, order, first + step, last, nnz, h, heads, SQUASH, ORDERED
        )
        rise = tl.load(grad + at, live, other=0).to(total.dtype)[:, None] - weighted / total
        value = slope * rise / (heads * total)
        tl.store(out + place, value.to(out.dtype.element_ty), inside)
        step += 1


def _run(  # type: ignore[no-untyped-def]
    kernel, scores: Tensor, order: Tensor | None, ptr: Tensor, squash: str, out: Tensor,
    *before: Tensor,
) -> Tensor:  # fmt: skip
    if scores.numel() == 0:
        return out
    scores, ptr = scores.contiguous(), ptr.contiguous()
    top = scores.max() if squash == "shifted_squareplus" else scores
    segments, (nnz, heads) = ptr.shape[0] - 1, scores.shape
    tile = triton.next_power_of_2(heads)
    per_program = max(_TILE // tile, 1)
    with torch.cuda.device_of(scores):
        kernel[(triton.cdiv(segments, per_program),)](
            *before, scores, top, ptr if order is None else order.contiguous(), ptr, out,
            segments, nnz, heads,
            per_program, tile, scores.dtype is torch.float64, SQUASHES.index(squash),
            order is not None, num_warps=1,
        )  # fmt: skip
    return out


def _result(like: Tensor, order: Tensor | None, *shape: int) -> Tensor:
    """NaN where an order that names no entry leaves something unwritten."""
    return cpu._empty(like, *shape) if order is None else like.new_full(shape, float("nan"))


def segment_weights(scores: Tensor, order: Tensor | None, ptr: Tensor, squash: str) -> Tensor:
    return _run(_weights, scores, order, ptr, squash, _result(scores, order, scores.shape[0]))


def segment_weights_backward(
    grad: Tensor, scores: Tensor, order: Tensor | None, ptr: Tensor, squash: str
) -> Tensor:
    out = _result(scores, order, *scores.shape)
    _run(_weights_backward, scores, order, ptr, squash, out, grad.contiguous())
    if squash == "shifted_squareplus" and scores.numel():
        top = scores == scores.max()  # what it shifts by is the largest score
        out -= top * (out.sum() / top.sum())
    return out


OPERATIONS = (segment_weights, segment_weights_backward)
