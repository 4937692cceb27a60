"""Sums over sorted segments on GPUs, with a number, a diagonal or a matrix for each entry.

A program owns some segments and a tile of channels and walks the entries of its segments in order:
no atomics, the same bits in every run. Nothing of the size entries x channels exists. Indices are
read on the device only: one out of range gives NaN in the rows that read it.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from topodiff.kernels import cpu, sheaf_reference

LARGEST_STALK = 16  # matrices are unrolled; larger ones run on the reference
_TILE = 256  # values in the accumulators of a program, where the stalk leaves a choice


@triton.jit
def _add_product(  # type: ignore[no-untyped-def]
    total, x, maps, row, entry, flipped, live, c, channels,
    D: tl.constexpr, PADDED: tl.constexpr, FORM: tl.constexpr,
):  # fmt: skip
    """``total + M x`` with M number ``entry`` (transposed where ``flipped``) and x number ``row``.

    FORM is the number of dimensions of ``maps``: 3 matrices, 2 diagonals, 1 scalars, 0 none.
    """
    i = tl.arange(0, PADDED)
    here = live[:, None] & (c < channels)[None, :]
    on_stalk = live[:, None] & (i < D)[None, :]
    if FORM == 3:
        for j in tl.static_range(D):
            values = tl.load(x + (row * D + j)[:, None] * channels + c[None, :], here, other=0)
            place = tl.where(flipped[:, None], j * D + i[None, :], i[None, :] * D + j)
            column = tl.load(maps + entry[:, None] * (D * D) + place, on_stalk, other=0)
            total += column.to(total.dtype)[:, :, None] * values.to(total.dtype)[:, None, :]
    else:
        place = (row[:, None] * D + i[None, :])[:, :, None] * channels + c[None, None, :]
        inside = on_stalk[:, :, None] & (c < channels)[None, None, :]
        values = tl.load(x + place, inside, other=0).to(total.dtype)
        if FORM == 2:
            factor = tl.load(maps + entry[:, None] * D + i[None, :], on_stalk, other=0)
            values *= factor.to(total.dtype)[:, :, None]
        if FORM == 1:
            factor = tl.load(maps + entry, live, other=0)
            values *= factor.to(total.dtype)[:, None, None]
        total += values
    return total


@triton.jit
def _segments(  # type: ignore[no-untyped-def]
    x, maps, diagonal, source, perm, ptr, out, segments, nnz, rows, channels,
    D: tl.constexpr, PADDED: tl.constexpr, FORM: tl.constexpr, DIAGONAL: tl.constexpr,
    PERM: tl.constexpr, SOURCE: tl.constexpr, GRAPH: tl.constexpr, FLIPPED: tl.constexpr,
    MEAN: tl.constexpr, SEGMENTS: tl.constexpr, CHANNELS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """``out[s] = D_s x[s] + sum over entries k of segment s of M_k x[source[k]]``.

    GRAPH: entries 2 e and 2 e + 1 are the ends of edge e, each receives from the other, the first
    by the transposed matrix of the edge.
    """
    s = tl.program_id(0).to(tl.int64) * SEGMENTS + tl.arange(0, SEGMENTS)
    c = tl.program_id(1).to(tl.int64) * CHANNELS + tl.arange(0, CHANNELS)
    exists = s < segments
    first = tl.load(ptr + s, exists, other=0).to(tl.int64)
    length = tl.load(ptr + s + 1, exists, other=0).to(tl.int64) - first
    total = tl.zeros((SEGMENTS, PADDED, CHANNELS), tl.float64 if WIDE else tl.float32)
    if DIAGONAL > 0:
        no = s < 0
        total = _add_product(total, x, diagonal, s, s, no, exists, c, channels, D, PADDED, DIAGONAL)
    broken = s < 0
    longest = tl.max(length, 0)
    step = 0
    while step < longest:  # not `range`: the interpreter cannot count to a tensor
        live = step < length
        k = first + step
        inside = (k >= 0) & (k < nnz)
        if PERM:
            k = tl.load(perm + k, live & inside, other=-1).to(tl.int64)
            inside = (k >= 0) & (k < nnz)
        row = k
        if SOURCE:
            other = k ^ 1 if GRAPH else k
            row = tl.load(source + other, live & inside, other=-1).to(tl.int64)
        inside = inside & (row >= 0) & (row < rows)
        broken = broken | (live & (inside == 0))
        flipped = (k % 2 == 0) if GRAPH else ((k >= 0) == FLIPPED)
        entry = k // 2 if GRAPH else k
        total = _add_product(
            total, x, maps, row, entry, flipped, live & inside, c, channels, D, PADDED, FORM
        )
        step += 1
    if MEAN:
        total /= tl.maximum(length, 1).to(total.dtype)[:, None, None]
    total = tl.where(broken[:, None, None], float("nan"), total)
    i = tl.arange(0, PADDED)
    place = (s[:, None] * D + i[None, :])[:, :, None] * channels + c[None, None, :]
    wanted = exists[:, None, None] & (i < D)[None, :, None] & (c < channels)[None, None, :]
    tl.store(out + place, total.to(out.dtype.element_ty), wanted)


def _run(
    x: Tensor, stalk: int, channels: int, maps: Tensor | None, diagonal: Tensor | None,
    source: Tensor | None, perm: Tensor | None, ptr: Tensor, out: Tensor,
    graph: bool = False, flipped: bool = False, mean: bool = False,
) -> Tensor:  # fmt: skip
    """Launch :func:`_segments`; what is absent is passed as x and never read."""
    if out.numel() == 0:
        return out
    x, ptr = x.contiguous(), ptr.contiguous()
    maps, diagonal, source, perm = (
        None if t is None else t.contiguous() for t in (maps, diagonal, source, perm)
    )
    padded, tile = triton.next_power_of_2(stalk), min(64, triton.next_power_of_2(channels))
    per_program = max(1, _TILE // (padded * tile))
    segments = ptr.shape[0] - 1
    nnz = x.shape[0] if source is None else source.shape[0]
    grid = triton.cdiv(segments, per_program), triton.cdiv(channels, tile)
    with torch.cuda.device_of(x):
        _segments[grid](
            x, *(x if t is None else t for t in (maps, diagonal, source, perm)), ptr, out,
            segments, nnz, x.shape[0], channels, stalk, padded,
            0 if maps is None else maps.dim(), 0 if diagonal is None else diagonal.dim(),
            perm is not None, source is not None, graph, flipped, mean,
            per_program, tile, x.dtype is torch.float64,
            num_warps=max(1, min(4, per_program * padded * tile // _TILE)),
        )  # fmt: skip
    return out


def sheaf_sum(
    x: Tensor, maps: Tensor, face: Tensor, cell: Tensor, cell_ptr: Tensor, face_ptr: Tensor,
    by_face: Tensor, transpose: bool,
) -> Tensor:  # fmt: skip
    stalk, channels = x.shape[1:]
    if stalk > LARGEST_STALK:
        arrays = (face, cell, cell_ptr, face_ptr, by_face)
        return sheaf_reference.sheaf_sum(x, maps, *arrays, transpose)
    source, perm, ptr = (face, None, cell_ptr) if transpose else (cell, by_face, face_ptr)
    out = cpu._empty(x, ptr.shape[0] - 1, stalk, channels)
    return _run(x, stalk, channels, maps, None, source, perm, ptr, out, flipped=not transpose)


def block_matmul(
    x: Tensor, diagonal: Tensor | None, blocks: Tensor, face: Tensor, face_ptr: Tensor,
    by_face: Tensor,
) -> Tensor:  # fmt: skip
    stalk, channels = x.shape[1:]
    if stalk > LARGEST_STALK:
        return sheaf_reference.block_matmul(x, diagonal, blocks, face, face_ptr, by_face)
    out = cpu._empty(x, *x.shape)
    return _run(x, stalk, channels, blocks, diagonal, face, by_face, face_ptr, out, graph=True)


def _rows(
    x: Tensor, weight: Tensor | None, source: Tensor | None, perm: Tensor | None, ptr: Tensor,
    mean: bool = False,
) -> Tensor:  # fmt: skip
    """Rows of any shape as stalks of dimension 1."""
    out = cpu._empty(x, ptr.shape[0] - 1, *x.shape[1:])
    return _run(x, 1, math.prod(x.shape[1:]), weight, None, source, perm, ptr, out, mean=mean)


def segment_sum(x: Tensor, ptr: Tensor, mean: bool) -> Tensor:
    return _rows(x, None, None, None, ptr, mean)


def gather_sum(x: Tensor, index: Tensor, ptr: Tensor, weight: Tensor | None, mean: bool) -> Tensor:
    return _rows(x, weight, index, None, ptr, mean)


def incidence_sum(
    x: Tensor, face: Tensor, cell: Tensor, sign: Tensor | None, cell_ptr: Tensor,
    face_ptr: Tensor, by_face: Tensor, transpose: bool,
) -> Tensor:  # fmt: skip
    if transpose:
        return _rows(x, sign, face, None, cell_ptr)
    return _rows(x, sign, cell, by_face, face_ptr)


OPERATIONS = (sheaf_sum, block_matmul, segment_sum, gather_sum, incidence_sum)
