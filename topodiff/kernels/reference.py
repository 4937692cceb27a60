"""Every operation in plain PyTorch: the oracle of the tests and what runs where nothing faster can.

Shapes: ``x`` is ``(rows, *channels)``; ``ptr`` is ``(segments + 1,)`` and segment ``s`` holds the
entries ``ptr[s]:ptr[s + 1]``. Each entry has a segment: ``ptr[0] = 0`` and ``ptr[-1] = nnz``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import norm_reference
from topodiff.kernels.activations import activate, derivative
from topodiff.kernels.backend import Implementation
from topodiff.kernels.precision import rounded_once


def check_ptr(ptr: Tensor, nnz: int) -> None:
    if int(ptr[0]) != 0 or int(ptr[-1]) != nnz or bool((ptr[1:] < ptr[:-1]).any()):
        raise ValueError(f"ptr must rise from 0 to the number of entries, {nnz}; got {ptr}")


def segments_of(ptr: Tensor, nnz: int) -> Tensor:
    """Segment number of each entry, ``(nnz,)``."""
    check_ptr(ptr, nnz)
    return torch.repeat_interleave(ptr[1:] - ptr[:-1], output_size=nnz)


def check_index(index: Tensor, size: int) -> None:
    if index.numel() and (int(index.min()) < 0 or int(index.max()) >= size):
        low, high = int(index.min()), int(index.max())
        good = f"index must lie in 0..{size - 1}" if size else "there are no rows to point to"
        raise ValueError(f"{good}; got values from {low} to {high}")


def _column(values: Tensor, like: Tensor) -> Tensor:
    """``(n,)`` as ``(n, 1, ..., 1)`` in the dtype of ``like``."""
    return values.to(like.dtype).reshape(-1, *[1] * (like.dim() - 1))


def _divide_by_counts(x: Tensor, counts: Tensor) -> Tensor:
    return x / _column(counts.clamp(min=1), x)


def segment_sum(x: Tensor, ptr: Tensor, mean: bool) -> Tensor:
    return scatter_sum(x, segments_of(ptr, x.shape[0]), ptr.shape[0] - 1, mean)


@rounded_once
def segment_expand(x: Tensor, ptr: Tensor, nnz: int, mean: bool) -> Tensor:
    scaled = _divide_by_counts(x, ptr[1:] - ptr[:-1]) if mean else x
    return scaled[segments_of(ptr, nnz)]


def segment_extreme(x: Tensor, ptr: Tensor, largest: bool, where: bool) -> tuple[Tensor, Tensor]:
    """As :func:`scatter_extreme`."""
    return scatter_extreme(x, segments_of(ptr, x.shape[0]), ptr.shape[0] - 1, largest, where)


@rounded_once
def segment_softmax(x: Tensor, ptr: Tensor) -> Tensor:
    segment = segments_of(ptr, x.shape[0])
    largest, _ = segment_extreme(x, ptr, True, False)
    e = (x - largest[segment]).exp()
    return e / segment_sum(e, ptr, False)[segment]


@rounded_once
def segment_softmax_backward(grad: Tensor, y: Tensor, ptr: Tensor) -> Tensor:
    segment = segments_of(ptr, y.shape[0])
    return y * (grad - segment_sum(grad * y, ptr, False)[segment])


@rounded_once
def scatter_sum(x: Tensor, index: Tensor, num_segments: int, mean: bool) -> Tensor:
    check_index(index, num_segments)
    out = x.new_zeros(num_segments, *x.shape[1:]).index_add_(0, index, x)
    if not mean:
        return out
    return _divide_by_counts(out, torch.bincount(index, minlength=num_segments))


@rounded_once
def scatter_expand(x: Tensor, index: Tensor, mean: bool) -> Tensor:
    """Transpose of :func:`scatter_sum`: ``out[e] = x[index[e]]``, over the count for a mean."""
    check_index(index, x.shape[0])
    if mean:
        x = _divide_by_counts(x, torch.bincount(index, minlength=x.shape[0]))
    return x[index]


def scatter_extreme(
    x: Tensor, index: Tensor, num_segments: int, largest: bool, where: bool
) -> tuple[Tensor, Tensor]:
    """Extremes and the first entry that attains each; ``0`` and ``-1`` for empty segments. No
    entries unless ``where``."""
    check_index(index, num_segments)
    shape, nnz = (num_segments, *x.shape[1:]), x.shape[0]
    wide = index.long().reshape(-1, *[1] * (x.dim() - 1)).expand_as(x)
    reduce = "amax" if largest else "amin"
    out = x.new_zeros(shape).scatter_reduce_(0, wide, x, reduce, include_self=False)
    if not where:
        return out, wide.new_empty(0)
    attained = out.gather(0, wide)
    hit = (x == attained) | (x.isnan() & attained.isnan())
    entry = torch.arange(nnz, device=x.device).reshape(-1, *[1] * (x.dim() - 1))
    entry = torch.where(hit, entry, nnz)
    first = wide.new_full(shape, nnz).scatter_reduce_(0, wide, entry, "amin")
    return out, first.masked_fill_(first == nnz, -1)


@rounded_once
def place(x: Tensor, rows: Tensor, num_rows: int, unique: bool) -> Tensor:
    """``out[rows[s, c], c] += x[s, c]``; negative rows are dropped.

    ``unique`` promises that no place occurs twice.
    """
    out = x.new_zeros(num_rows + 1, *x.shape[1:])
    out.scatter_add_(0, torch.where(rows < 0, num_rows, rows), x)
    return out[:num_rows]


def pick(x: Tensor, rows: Tensor) -> Tensor:
    """``out[s, c] = x[rows[s, c], c]``; zero for negative rows."""
    padded = torch.cat([x, x.new_zeros(1, *x.shape[1:])])
    return padded.gather(0, torch.where(rows < 0, x.shape[0], rows))


def _messages(x: Tensor, index: Tensor, weight: Tensor | None) -> Tensor:
    check_index(index, x.shape[0])
    return x[index] if weight is None else x[index] * _column(weight, x)


@rounded_once
def gather_sum(x: Tensor, index: Tensor, ptr: Tensor, weight: Tensor | None, mean: bool) -> Tensor:
    return segment_sum(_messages(x, index, weight), ptr, mean)


@rounded_once
def gather_extreme(
    x: Tensor, index: Tensor, ptr: Tensor, weight: Tensor | None, largest: bool, where: bool
) -> tuple[Tensor, Tensor]:
    return segment_extreme(_messages(x, index, weight), ptr, largest, where)


@rounded_once
def spread_sum(
    x: Tensor, index: Tensor, ptr: Tensor, weight: Tensor | None, num_rows: int, mean: bool
) -> Tensor:
    """Transpose of :func:`gather_sum`: ``out[index[e]] += weight[e] x[segment(e)]``."""
    messages = segment_expand(x, ptr, index.shape[0], mean)
    if weight is not None:
        messages = messages * _column(weight, x)
    return scatter_sum(messages, index, num_rows, False)


@rounded_once
def gather_dot(x: Tensor, g: Tensor, index: Tensor, ptr: Tensor, mean: bool) -> Tensor:
    """``out[e] = <x[index[e]], g[segment(e)]>``: gradient of the weights."""
    check_index(index, x.shape[0])
    product = x[index] * segment_expand(g, ptr, index.shape[0], mean)
    return product.flatten(1).sum(1) if product.dim() > 1 else product


@rounded_once
def incidence_sum(
    x: Tensor, face: Tensor, cell: Tensor, sign: Tensor | None,
    cell_ptr: Tensor, face_ptr: Tensor, by_face: Tensor, transpose: bool,
) -> Tensor:  # fmt: skip
    source, target, ptr = (face, cell, cell_ptr) if transpose else (cell, face, face_ptr)
    check_ptr(ptr, face.shape[0])
    check_index(by_face, face.shape[0])
    return scatter_sum(_messages(x, source, sign), target, ptr.shape[0] - 1, False)


def _coface_terms(
    p: Tensor | None, q: Tensor | None, face: Tensor, cell: Tensor, num_faces: int
) -> Tensor:
    """``p[face] + q[cell]``, one row per incidence."""
    check_index(face, num_faces)
    if p is None or q is None:
        return p[face] if p is not None else q[cell]  # type: ignore[index]
    return p[face] + q[cell]


@rounded_once
def coface_message(
    p: Tensor | None, q: Tensor | None, face: Tensor, cell_ptr: Tensor,
    face_ptr: Tensor, by_face: Tensor, activation: str,
) -> Tensor:  # fmt: skip
    cell = segments_of(cell_ptr, face.shape[0])
    num_faces = face_ptr.shape[0] - 1
    a = activate(_coface_terms(p, q, face, cell, num_faces), activation)
    others = segment_sum(a, cell_ptr, False)[cell] - a
    return scatter_sum(others, face, num_faces, False)


@rounded_once
def coface_message_backward(
    grad: Tensor, p: Tensor | None, q: Tensor | None, face: Tensor, cell_ptr: Tensor,
    face_ptr: Tensor, by_face: Tensor, activation: str, need_p: bool, need_q: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradients of ``p`` and ``q``; an empty tensor for one that is not needed."""
    cell = segments_of(cell_ptr, face.shape[0])
    num_faces = face_ptr.shape[0] - 1
    g = grad[face]
    others = segment_sum(g, cell_ptr, False)[cell] - g
    dz = others * derivative(_coface_terms(p, q, face, cell, num_faces), activation)
    dp = scatter_sum(dz, face, num_faces, False) if need_p else dz.new_empty(0)
    dq = segment_sum(dz, cell_ptr, False) if need_q else dz.new_empty(0)
    return dp, dq


def sort_by_key(key: Tensor, num_keys: int) -> tuple[Tensor, Tensor]:
    check_index(key, num_keys)
    ptr = key.new_zeros(num_keys + 1)
    ptr[1:] = torch.bincount(key, minlength=num_keys).cumsum(0)
    return ptr, torch.sort(key, stable=True).indices.to(key.dtype)


_OPERATIONS = (
    segment_sum, segment_expand, segment_extreme, segment_softmax, segment_softmax_backward,
    scatter_sum, scatter_expand, scatter_extreme, place, pick, gather_sum, gather_extreme,
    spread_sum, gather_dot, incidence_sum, coface_message, coface_message_backward, sort_by_key,
)  # fmt: skip


def load() -> Implementation:
    from topodiff.kernels import (
        attention_reference,
        composed,
        edge_blocks_reference,
        expansion_reference,
        rotations_reference,
        sheaf_reference,
        step_reference,
        vertex_linear_reference,
    )

    modules = (
        norm_reference,
        sheaf_reference,
        rotations_reference,
        edge_blocks_reference,
        attention_reference,
        expansion_reference,
        step_reference,
        vertex_linear_reference,
        composed,
    )
    operations = (*_OPERATIONS, *(f for module in modules for f in module.OPERATIONS))
    return Implementation("reference", {f.__name__: f for f in operations})
