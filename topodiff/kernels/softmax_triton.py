"""Softmax within sorted segments on GPUs: a program owns some segments and a tile of channels."""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from topodiff.kernels import cpu

_TILE = 128  # segments x channels of a program


@triton.jit
def _entry(at, live, c, channels):  # type: ignore[no-untyped-def]
    """Places of the channels of entries, and which of them exist."""
    return at[:, None] * channels + c[None, :], live[:, None] & (c < channels)[None, :]


@triton.jit
def _extent(ptr, s, segments, nnz):  # type: ignore[no-untyped-def]
    """Where segments begin and end, and how long the longest is."""
    first = tl.load(ptr + s, s < segments, other=0).to(tl.int64)
    last = tl.load(ptr + s + 1, s < segments, other=0).to(tl.int64)
    first, last = tl.maximum(first, 0), tl.minimum(last, nnz)
    longest = tl.max(last - first, 0)
    return first, last, longest


@triton.jit
def _softmax(  # type: ignore[no-untyped-def]
    x, ptr, out, segments, nnz, channels,
    SEGMENTS: tl.constexpr, CHANNELS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(0).to(tl.int64) * SEGMENTS + tl.arange(0, SEGMENTS)
    c = tl.program_id(1).to(tl.int64) * CHANNELS + tl.arange(0, CHANNELS)
    first, last, longest = _extent(ptr, s, segments, nnz)
    largest = tl.full((SEGMENTS, CHANNELS), float("-inf"), tl.float64 if WIDE else tl.float32)
    step = 0
    while step < longest:
        place, inside = _entry(first + step, first + step < last, c, channels)
        value = tl.load(x + place, inside, other=float("-inf"))
        largest = tl.maximum(largest, value.to(largest.dtype))
        step += 1
    total = tl.zeros_like(largest)
    step = 0
    while step < longest:
        place, inside = _entry(first + step, first + step < last, c, channels)
        value = tl.load(x + place, inside, other=0).to(largest.dtype)
        total += tl.where(inside, tl.exp(value - largest), 0)
        step += 1
    step = 0
    while step < longest:
        place, inside = _entry(first + step, first + step < last, c, channels)
        value = tl.load(x + place, inside, other=0).to(largest.dtype)
        value = tl.exp(value - largest) / total
        tl.store(out + place, value.to(out.dtype.element_ty), inside)
        step += 1


@triton.jit
def _softmax_backward(  # type: ignore[no-untyped-def]
    grad, y, ptr, out, segments, nnz, channels,
    SEGMENTS: tl.constexpr, CHANNELS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """``out = y (grad - sum of grad y over the segment)``."""
    s = tl.program_id(0).to(tl.int64) * SEGMENTS + tl.arange(0, SEGMENTS)
    c = tl.program_id(1).to(tl.int64) * CHANNELS + tl.arange(0, CHANNELS)
    first, last, longest = _extent(ptr, s, segments, nnz)
    total = tl.zeros((SEGMENTS, CHANNELS), tl.float64 if WIDE else tl.float32)
    step = 0
    while step < longest:
        place, inside = _entry(first + step, first + step < last, c, channels)
        slope = tl.load(grad + place, inside, other=0).to(total.dtype)
        total += slope * tl.load(y + place, inside, other=0).to(total.dtype)
        step += 1
    step = 0
    while step < longest:
        place, inside = _entry(first + step, first + step < last, c, channels)
        slope = tl.load(grad + place, inside, other=0).to(total.dtype) - total
        value = slope * tl.load(y + place, inside, other=0).to(total.dtype)
        tl.store(out + place, value.to(out.dtype.element_ty), inside)
        step += 1


def _run(kernel, ptr: Tensor, *values: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    values, ptr = tuple(v.contiguous() for v in values), ptr.contiguous()
    x = values[0]
    out = cpu._empty(x, *x.shape)
    segments, channels = ptr.shape[0] - 1, math.prod(x.shape[1:])
    if out.numel() == 0:
        return out
    tile = min(_TILE, triton.next_power_of_2(channels))
    per_program = _TILE // tile
    grid = triton.cdiv(segments, per_program), triton.cdiv(channels, tile)
    with torch.cuda.device_of(x):
        kernel[grid](
            *values, ptr, out, segments, x.shape[0], channels,
            per_program, tile, x.dtype is torch.float64, num_warps=1,
        )  # fmt: skip
    return out


def segment_softmax(x: Tensor, ptr: Tensor) -> Tensor:
    return _run(_softmax, ptr, x)


def segment_softmax_backward(grad: Tensor, y: Tensor, ptr: Tensor) -> Tensor:
    return _run(_softmax_backward, ptr, grad, y)


OPERATIONS = (segment_softmax, segment_softmax_backward)
