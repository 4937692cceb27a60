"""Gradients to maps and blocks, and products of small matrices, on GPUs."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from topodiff.kernels import cpu, sheaf_reference
from topodiff.kernels.sheaf_triton import LARGEST_STALK

_TILE = 1024  # products a program sums at a time


@triton.jit
def _stalks(x, row, live, i, c, channels, D: tl.constexpr):  # type: ignore[no-untyped-def]
    """``x[row]`` as (ENTRIES, PADDED, CHANNELS), 0 beyond it."""
    place = (row[:, None] * D + i[None, :])[:, :, None] * channels + c[None, None, :]
    inside = live[:, None, None] & (i < D)[None, :, None] & (c < channels)[None, None, :]
    return tl.load(x + place, inside, other=0)


@triton.jit
def _contract(total, y, x, FORM: tl.constexpr):  # type: ignore[no-untyped-def]
    """``total + y x^T``: all of it (FORM 3), its diagonal (2), its trace (1)."""
    y, x = y.to(total.dtype), x.to(total.dtype)
    if FORM == 3:
        total += tl.sum(y[:, :, None, :] * x[:, None, :, :], 3)
    elif FORM == 2:
        total += tl.sum(y * x, 2)
    else:
        total += tl.sum(tl.sum(y * x, 2), 1)
    return total


@triton.jit
def _outer(  # type: ignore[no-untyped-def]
    y, x, left, right, out, count, step, y_rows, x_rows, channels,
    D: tl.constexpr, PADDED: tl.constexpr, FORM: tl.constexpr, BOTH: tl.constexpr,
    ENTRIES: tl.constexpr, CHANNELS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """``out[e] = y[left[e]] x[right[e]]^T``, with BOTH ``+ x[left[e]] y[right[e]]^T``."""
    e = tl.program_id(0).to(tl.int64) * ENTRIES + tl.arange(0, ENTRIES)
    i = tl.arange(0, PADDED)
    exists = e < count
    a = tl.load(left + e * step, exists, other=0).to(tl.int64)
    b = tl.load(right + e * step, exists, other=0).to(tl.int64)
    inside = (a >= 0) & (a < y_rows) & (b >= 0) & (b < x_rows)
    live = exists & inside
    kind = tl.float64 if WIDE else tl.float32
    if FORM == 3:
        total = tl.zeros((ENTRIES, PADDED, PADDED), kind)
    elif FORM == 2:
        total = tl.zeros((ENTRIES, PADDED), kind)
    else:
        total = tl.zeros((ENTRIES,), kind)
    at = 0
    while at < channels:
        c = at + tl.arange(0, CHANNELS)
        ya, xb = _stalks(y, a, live, i, c, channels, D), _stalks(x, b, live, i, c, channels, D)
        total = _contract(total, ya, xb, FORM)
        if BOTH:
            xa, yb = _stalks(x, a, live, i, c, channels, D), _stalks(y, b, live, i, c, channels, D)
            total = _contract(total, xa, yb, FORM)
        at += CHANNELS
    nan = float("nan")
    if FORM == 3:
        place = (e[:, None] * D + i[None, :])[:, :, None] * D + i[None, None, :]
        wanted = exists[:, None, None] & (i < D)[None, :, None] & (i < D)[None, None, :]
        total = tl.where(inside[:, None, None], total, nan)
    elif FORM == 2:
        place = e[:, None] * D + i[None, :]
        wanted = exists[:, None] & (i < D)[None, :]
        total = tl.where(inside[:, None], total, nan)
    else:
        place, wanted = e, exists
        total = tl.where(inside, total, nan)
    tl.store(out + place, total.to(out.dtype.element_ty), wanted)


def _run(
    y: Tensor, x: Tensor, left: Tensor, right: Tensor, count: int, step: int, dim: int, both: bool
) -> Tensor:
    stalk, channels = x.shape[1:]
    out = cpu._empty(x, count, *[stalk] * (dim - 1))
    if out.numel() == 0:
        return out
    y, x = y.contiguous(), x.contiguous()
    padded = triton.next_power_of_2(stalk)
    across = padded if dim < 3 else padded * padded
    tile = min(64, max(1, _TILE // across), triton.next_power_of_2(max(1, channels)))
    entries = max(1, _TILE // (across * tile))
    with torch.cuda.device_of(x):
        _outer[(triton.cdiv(count, entries),)](
            y, x, left, right, out, count, step, y.shape[0], x.shape[0], channels,
            stalk, padded, dim, both, entries, tile, x.dtype is torch.float64, num_warps=4,
        )  # fmt: skip
    return out


def sheaf_outer(
    y: Tensor, x: Tensor, face: Tensor, cell: Tensor, cell_ptr: Tensor, face_ptr: Tensor,
    by_face: Tensor, dim: int,
) -> Tensor:  # fmt: skip
    if x.shape[1] > LARGEST_STALK:
        return sheaf_reference.sheaf_outer(y, x, face, cell, cell_ptr, face_ptr, by_face, dim)
    face, cell = face.contiguous(), cell.contiguous()
    return _run(y, x, cell, face, face.shape[0], 1, dim, False)


def block_outer(
    g: Tensor, x: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, dim: int
) -> Tensor:
    if x.shape[1] > LARGEST_STALK:
        return sheaf_reference.block_outer(g, x, face, face_ptr, by_face, dim)
    face = face.contiguous()
    return _run(g, x, face[1:], face, face.shape[0] // 2, 2, dim, True)


@triton.jit
def _products(  # type: ignore[no-untyped-def]
    a, b, out, n, a_n, a_i, a_k, b_n, b_k, b_j,
    D: tl.constexpr, PADDED: tl.constexpr, COUNT: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """``out[n] = a[n] b[n]``, operands of any strides."""
    m = tl.program_id(0).to(tl.int64) * COUNT + tl.arange(0, COUNT)
    i = tl.arange(0, PADDED)
    total = tl.zeros((COUNT, PADDED, PADDED), tl.float64 if WIDE else tl.float32)
    inside = (m < n)[:, None] & (i < D)[None, :]
    for k in tl.static_range(D):
        column = tl.load(a + m[:, None] * a_n + i[None, :] * a_i + k * a_k, inside, other=0)
        row = tl.load(b + m[:, None] * b_n + k * b_k + i[None, :] * b_j, inside, other=0)
        total += column.to(total.dtype)[:, :, None] * row.to(total.dtype)[:, None, :]
    place = (m[:, None] * D + i[None, :])[:, :, None] * D + i[None, None, :]
    wanted = inside[:, :, None] & (i < D)[None, None, :]
    tl.store(out + place, total.to(out.dtype.element_ty), wanted)


def small_matmul(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    a, b = a.mT if transpose_a else a, b.mT if transpose_b else b
    n, d, _ = a.shape
    if d > LARGEST_STALK:
        return a @ b
    out = cpu._empty(a, n, d, d)
    if out.numel() == 0:
        return out
    padded = triton.next_power_of_2(d)
    count = max(1, _TILE // (padded * padded))
    with torch.cuda.device_of(a):
        _products[(triton.cdiv(n, count),)](
            a, b, out, n, *a.stride(), *b.stride(), d, padded, count, a.dtype is torch.float64,
            num_warps=4,
        )  # fmt: skip
    return out


OPERATIONS = (sheaf_outer, block_outer, small_matmul)
