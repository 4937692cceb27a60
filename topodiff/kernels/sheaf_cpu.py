"""Products with stalks, compiled: allocate results, hand over addresses."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import cpu
from topodiff.kernels.cpu import _cpu

_FLOAT64, _INT64 = torch.float64, torch.int64
_TRANSPOSED = 4  # the kind of a full map that acts transposed; else it is the number of dimensions


def sheaf_sum(
    x: Tensor, maps: Tensor, face: Tensor, cell: Tensor, cell_ptr: Tensor, face_ptr: Tensor,
    by_face: Tensor, transpose: bool,
) -> Tensor:  # fmt: skip
    x, maps = x.contiguous(), maps.contiguous()
    rows, d, channels = x.shape
    index, ptr = (face, cell_ptr) if transpose else (cell, face_ptr)
    index, ptr, by_face = index.contiguous(), ptr.contiguous(), by_face.contiguous()
    segments, kind = ptr.shape[0] - 1, maps.dim()
    if kind == 3 and not transpose:
        kind = _TRANSPOSED
    out = cpu._empty(x, segments, d, channels)
    _cpu.sheaf_gather(
        x.dtype is _FLOAT64, index.dtype is _INT64, torch.get_num_threads(), rows, segments,
        index.shape[0], d, channels, x.data_ptr(), maps.data_ptr(), kind, 0, 0, index.data_ptr(),
        0 if transpose else by_face.data_ptr(), ptr.data_ptr(), False, out.data_ptr(),
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
    x, blocks = x.contiguous(), blocks.contiguous()
    face, face_ptr, by_face = face.contiguous(), face_ptr.contiguous(), by_face.contiguous()
    rows, d, channels = x.shape
    out, kind, address = cpu._empty(x, rows, d, channels), 0, 0
    if diagonal is not None:
        kind = diagonal.dim()
        if kind == 3 and d > 1 and diagonal.stride(1) == 1:  # a transposed view, as of gradients
            diagonal, kind = diagonal.mT, _TRANSPOSED
        diagonal = diagonal.contiguous()
        address = diagonal.data_ptr()
    _cpu.sheaf_gather(
        x.dtype is _FLOAT64, face.dtype is _INT64, torch.get_num_threads(), rows, rows,
        face.shape[0], d, channels, x.data_ptr(), blocks.data_ptr(), blocks.dim(), address, kind,
        face.data_ptr(), by_face.data_ptr(), face_ptr.data_ptr(), True, out.data_ptr(),
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
