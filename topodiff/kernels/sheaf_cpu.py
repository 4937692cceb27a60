"""Products with stalks, compiled: allocate results, hand over addresses."""

from __future__ import annotations

import weakref
from typing import NamedTuple

import torch
from torch import Tensor

from topodiff.kernels import cpu, sheaf_reference
from topodiff.kernels.cpu import _cpu

_FLOAT64, _INT64 = torch.float64, torch.int64
_TRANSPOSED = 4  # the kind of a full map that acts transposed; else it is the number of dimensions
_MOST = 2**32  # entries and rows that 32 bits can number


class _Entries(NamedTuple):
    """What each entry of a graph reads, looked up from an index array and its order once.

    The look-up leads through two arrays at random and costs as much as the products where rows are
    short. It is kept as long as the arrays live and are not written to.
    """

    source: weakref.ref
    order: weakref.ref
    versions: tuple[int, int]
    rows: int
    pairs: Tensor  # source row and number, 32 bits each


_kept: dict[tuple[int, int, bool], _Entries] = {}


def _entries(index: Tensor, order: Tensor | None, rows: int, graph: bool) -> Tensor:
    """Pairs of 32 bits for ``sheaf_gather``; ``order`` none: as they come."""
    anchor = index if order is None else order
    key = (id(index), id(anchor), graph)
    try:
        versions = (index._version, anchor._version)
    except RuntimeError:  # made in inference mode: nobody counts what is written to it
        return _look_up(index, order, rows, graph)
    found = _kept.get(key)
    if (
        found is not None
        and found.source() is index
        and found.order() is anchor
        and found.versions == versions
        and found.rows == rows
    ):
        return found.pairs
    pairs = _look_up(index, order, rows, graph)
    forget = lambda _: _kept.pop(key, None)  # noqa: E731
    _kept[key] = _Entries(
        weakref.ref(index, forget), weakref.ref(anchor, forget), versions, rows, pairs
    )
    return pairs


def _look_up(index: Tensor, order: Tensor | None, rows: int, graph: bool) -> Tensor:
    index, order = index.contiguous(), None if order is None else order.contiguous()
    nnz = index.shape[0]
    pairs = torch.empty(nnz + _cpu.sheaf_more_entries, dtype=_INT64)
    _cpu.sheaf_look_up(
        index.dtype is _INT64, torch.get_num_threads(), rows, nnz, index.data_ptr(),
        0 if order is None else order.data_ptr(), graph, pairs.data_ptr(),
    )  # fmt: skip
    return pairs


def sheaf_sum(
    x: Tensor, maps: Tensor, face: Tensor, cell: Tensor, cell_ptr: Tensor, face_ptr: Tensor,
    by_face: Tensor, transpose: bool,
) -> Tensor:  # fmt: skip
    x, maps = x.contiguous(), maps.contiguous()
    rows, d, channels = x.shape
    nnz, kind = face.shape[0], maps.dim()
    if nnz >= _MOST or rows >= _MOST:
        return sheaf_reference.sheaf_sum(
            x, maps, face, cell, cell_ptr, face_ptr, by_face, transpose
        )
    if transpose:
        entries, ptr = _entries(face, None, rows, False), cell_ptr.contiguous()
    else:
        entries, ptr = _entries(cell, by_face, rows, False), face_ptr.contiguous()
        kind = _TRANSPOSED if kind == 3 else kind
    segments = ptr.shape[0] - 1
    out = cpu._empty(x, segments, d, channels)
    _cpu.sheaf_gather(
        x.dtype is _FLOAT64, ptr.dtype is _INT64, torch.get_num_threads(), rows, segments,
        nnz, d, channels, x.data_ptr(), maps.data_ptr(), kind, 0, 0, entries.data_ptr(),
        ptr.data_ptr(), False, out.data_ptr(),
    )  # fmt: skip
    return out


def sheaf_outer(
    y: Tensor, x: Tensor, face: Tensor, cell: Tensor, cell_ptr: Tensor, face_ptr: Tensor,
    by_face: Tensor, dim: int,
) -> Tensor:  # fmt: skip
    return _outer(y, x, cell, face, dim, False)


def block_matmul(
    x: Tensor, diagonal: Tensor | None, blocks: Tensor, face: Tensor, face_ptr: Tensor,
    by_face: Tensor,
) -> Tensor:  # fmt: skip
    x, blocks, face_ptr = x.contiguous(), blocks.contiguous(), face_ptr.contiguous()
    rows, d, channels = x.shape
    nnz = face.shape[0]
    if nnz >= _MOST or rows >= _MOST:
        return sheaf_reference.block_matmul(x, diagonal, blocks, face, face_ptr, by_face)
    entries = _entries(face, by_face, rows, True)
    out, kind, address = cpu._empty(x, rows, d, channels), 0, 0
    if diagonal is not None:
        kind = diagonal.dim()
        if kind == 3 and d > 1 and diagonal.stride(1) == 1:  # a transposed view, as of gradients
            diagonal, kind = diagonal.mT, _TRANSPOSED
        diagonal = diagonal.contiguous()
        address = diagonal.data_ptr()
    _cpu.sheaf_gather(
        x.dtype is _FLOAT64, face_ptr.dtype is _INT64, torch.get_num_threads(), rows, rows,
        nnz, d, channels, x.data_ptr(), blocks.data_ptr(), blocks.dim(), address, kind,
        entries.data_ptr(), face_ptr.data_ptr(), True, out.data_ptr(),
    )  # fmt: skip
    return out


def block_outer(
    g: Tensor, x: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, dim: int
) -> Tensor:
    return _outer(g, x, face, face, dim, True)


def _outer(y: Tensor, x: Tensor, index_y: Tensor, index: Tensor, dim: int, graph: bool) -> Tensor:
    y, x, index_y, index = y.contiguous(), x.contiguous(), index_y.contiguous(), index.contiguous()
    rows, d, channels = x.shape
    nnz = index.shape[0]
    entries = nnz // 2 if graph else nnz
    out = cpu._empty(x, entries, *(d,) * (dim - 1))
    _cpu.sheaf_outer(
        x.dtype is _FLOAT64, index.dtype is _INT64, torch.get_num_threads(), rows, y.shape[0], nnz,
        d, channels, y.data_ptr(), x.data_ptr(), index_y.data_ptr(), index.data_ptr(), dim, graph,
        out.data_ptr(),
    )  # fmt: skip
    return out


OPERATIONS = (sheaf_sum, sheaf_outer, block_matmul, block_outer)
