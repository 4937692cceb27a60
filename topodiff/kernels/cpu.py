"""The compiled kernels: allocate results, hand addresses to the module ``_cpu``.

The environment variable ``TOPODIFF_INSTRUCTION_SET`` (``baseline``, ``avx2``, ``avx512``) limits
the instruction set; without it the widest that the processor has is used.
"""

from __future__ import annotations

import math
import os

import torch
from torch import Tensor

from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.backend import Implementation, why_unavailable

try:
    import topodiff.kernels._cpu as _cpu
except ImportError as error:
    _cpu = None
    _why = f"the compiled module is missing ({error}): reinstall with a C++ compiler present"

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")
_FLOAT64, _INT64 = torch.float64, torch.int64


def limit_instruction_set(name: str | None = None) -> str:
    """Use no wider instructions than ``name`` (none: no limit); returns what is used now."""
    if name and name not in INSTRUCTION_SETS:
        raise ValueError(f"instruction set {name!r}: expected one of {', '.join(INSTRUCTION_SETS)}")
    return _cpu.limit_instruction_set(name or "")


def instruction_set() -> str | None:
    """The instruction set of the compiled kernels in use: ``baseline``, ``avx2`` or ``avx512``.

    ``None`` where they cannot run.
    """
    return _cpu.instruction_set() if why_unavailable("cpu") is None else None


def _empty(like: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for a result. Tests put a poisoned version here."""
    return like.new_empty(*shape) if dtype is None else like.new_empty(shape, dtype=dtype)


def _rows(x: Tensor, rows: int) -> Tensor:
    """Memory for as many rows like those of x."""
    return _empty(x, rows, x.shape[1]) if x.dim() == 2 else _empty(x, rows, *x.shape[1:])


def _channels(x: Tensor) -> int:
    return x.shape[1] if x.dim() == 2 else math.prod(x.shape[1:])


def _weight(weight: Tensor | None, x: Tensor, index: Tensor) -> tuple[Tensor | None, int, int]:
    """Weights that a kernel reads, with address and kind: none, floating point, integer."""
    if weight is None:
        return None, 0, 0
    if weight.dtype is not x.dtype and weight.dtype is not index.dtype:
        weight = weight.to(x.dtype)  # that of the index may be narrower
    weight = weight.contiguous()
    return weight, weight.data_ptr(), 1 if weight.dtype is x.dtype else 2


def _over_segments(kernel, x: Tensor, ptr: Tensor, rows: int, nnz: int, mean: bool) -> Tensor:  # type: ignore[no-untyped-def]
    x, ptr = x.contiguous(), ptr.contiguous()
    out = _rows(x, rows)
    kernel(
        x.dtype is _FLOAT64, ptr.dtype is _INT64, torch.get_num_threads(), nnz, ptr.shape[0] - 1,
        nnz, _channels(x), x.data_ptr(), ptr.data_ptr(), out.data_ptr(), mean,
    )  # fmt: skip
    return out


def segment_sum(x: Tensor, ptr: Tensor, mean: bool) -> Tensor:
    return _over_segments(_cpu.segment_sum, x, ptr, ptr.shape[0] - 1, x.shape[0], mean)


def segment_expand(x: Tensor, ptr: Tensor, nnz: int, mean: bool) -> Tensor:
    return _over_segments(_cpu.segment_expand, x, ptr, nnz, nnz, mean)


def segment_softmax(x: Tensor, ptr: Tensor) -> Tensor:
    return _over_segments(_cpu.segment_softmax, x, ptr, x.shape[0], x.shape[0], False)


def segment_softmax_backward(grad: Tensor, y: Tensor, ptr: Tensor) -> Tensor:
    grad, ptr = grad.contiguous(), ptr.contiguous()
    out = _empty(y, *y.shape)
    _cpu.segment_softmax_backward(
        y.dtype is _FLOAT64, ptr.dtype is _INT64, torch.get_num_threads(), y.shape[0],
        ptr.shape[0] - 1, y.shape[0], _channels(y),
        grad.data_ptr(), y.contiguous().data_ptr(), ptr.data_ptr(), out.data_ptr(),
    )  # fmt: skip
    return out


def segment_extreme(x: Tensor, ptr: Tensor, largest: bool, where: bool) -> tuple[Tensor, Tensor]:
    x, ptr = x.contiguous(), ptr.contiguous()
    segments = ptr.shape[0] - 1
    out = _rows(x, segments)
    entry = _empty(x, *(out.shape if where else (0,)), dtype=_INT64)
    _cpu.segment_extreme(
        x.dtype is _FLOAT64, ptr.dtype is _INT64, torch.get_num_threads(), x.shape[0], segments,
        x.shape[0], _channels(x), x.data_ptr(), ptr.data_ptr(), out.data_ptr(),
        entry.data_ptr() if where else 0, largest,
    )  # fmt: skip
    return out, entry


def _over_index(  # type: ignore[no-untyped-def]
    kernel, x: Tensor, index: Tensor, out: Tensor, extra: Tensor | None, flag: bool,
    rows: int, segments: int, nnz: int,
) -> None:  # fmt: skip
    x, index = x.contiguous(), index.contiguous()
    kernel(
        x.dtype is _FLOAT64, index.dtype is _INT64, torch.get_num_threads(), rows, segments, nnz,
        _channels(x), x.data_ptr(), index.data_ptr(), out.data_ptr(),
        0 if extra is None else extra.data_ptr(), flag,
    )  # fmt: skip


def scatter_sum(x: Tensor, index: Tensor, num_segments: int, mean: bool) -> Tensor:
    out = _rows(x, num_segments)
    counts = _empty(x, num_segments, dtype=_INT64) if mean else None
    nnz = x.shape[0]
    _over_index(_cpu.scatter_sum, x, index, out, counts, mean, nnz, num_segments, nnz)
    return out


def scatter_expand(x: Tensor, index: Tensor, mean: bool) -> Tensor:
    nnz, num_segments = index.shape[0], x.shape[0]
    out = _rows(x, nnz)
    counts = _empty(x, num_segments, dtype=_INT64) if mean else None
    _over_index(_cpu.scatter_expand, x, index, out, counts, mean, nnz, num_segments, nnz)
    return out


def scatter_extreme(
    x: Tensor, index: Tensor, num_segments: int, largest: bool, where: bool
) -> tuple[Tensor, Tensor]:
    out = _rows(x, num_segments)
    entry = _empty(x, *(out.shape if where else (0,)), dtype=_INT64)
    kernel, address, nnz = _cpu.scatter_extreme, entry if where else None, x.shape[0]
    _over_index(kernel, x, index, out, address, largest, nnz, num_segments, nnz)
    return out, entry


def place(x: Tensor, rows: Tensor, num_rows: int, unique: bool) -> Tensor:
    out = _rows(x, num_rows)
    segments = x.shape[0]
    _over_index(_cpu.place, x, rows, out, None, unique, num_rows, segments, num_rows)
    return out


def pick(x: Tensor, rows: Tensor) -> Tensor:
    out = _empty(x, *rows.shape)
    _over_index(_cpu.pick, x, rows, out, None, False, x.shape[0], rows.shape[0], 0)
    return out


def _over_gather(  # type: ignore[no-untyped-def]
    kernel, x: Tensor, index: Tensor, perm: Tensor | None, ptr: Tensor, weight: Tensor | None,
    out: Tensor, entry: Tensor | None, flag: bool, rows: int,
) -> None:  # fmt: skip
    x, index, ptr = x.contiguous(), index.contiguous(), ptr.contiguous()
    perm = None if perm is None else perm.contiguous()
    weight, weight_address, kind = _weight(weight, x, index)
    kernel(
        x.dtype is _FLOAT64, index.dtype is _INT64, torch.get_num_threads(), rows,
        ptr.shape[0] - 1, index.shape[0], _channels(x), x.data_ptr(), index.data_ptr(),
        0 if perm is None else perm.data_ptr(), ptr.data_ptr(), weight_address, kind,
        out.data_ptr(), 0 if entry is None else entry.data_ptr(), flag,
    )  # fmt: skip


def gather_sum(x: Tensor, index: Tensor, ptr: Tensor, weight: Tensor | None, mean: bool) -> Tensor:
    out = _rows(x, ptr.shape[0] - 1)
    _over_gather(_cpu.gather_sum, x, index, None, ptr, weight, out, None, mean, x.shape[0])
    return out


def gather_extreme(
    x: Tensor, index: Tensor, ptr: Tensor, weight: Tensor | None, largest: bool, where: bool
) -> tuple[Tensor, Tensor]:
    out = _rows(x, ptr.shape[0] - 1)
    entry = _empty(x, *(out.shape if where else (0,)), dtype=_INT64)
    kernel, address = _cpu.gather_extreme, entry if where else None
    _over_gather(kernel, x, index, None, ptr, weight, out, address, largest, x.shape[0])
    return out, entry


def spread_sum(
    x: Tensor, index: Tensor, ptr: Tensor, weight: Tensor | None, num_rows: int, mean: bool
) -> Tensor:
    out = _rows(x, num_rows)
    _over_gather(_cpu.spread_sum, x, index, None, ptr, weight, out, None, mean, num_rows)
    return out


def gather_dot(x: Tensor, g: Tensor, index: Tensor, ptr: Tensor, mean: bool) -> Tensor:
    x, g, index, ptr = x.contiguous(), g.contiguous(), index.contiguous(), ptr.contiguous()
    out = _empty(x, index.shape[0])
    _cpu.gather_dot(
        x.dtype is _FLOAT64, index.dtype is _INT64, torch.get_num_threads(), x.shape[0],
        ptr.shape[0] - 1, index.shape[0], _channels(x),
        x.data_ptr(), g.data_ptr(), index.data_ptr(), ptr.data_ptr(), out.data_ptr(), mean,
    )  # fmt: skip
    return out


def incidence_sum(
    x: Tensor, face: Tensor, cell: Tensor, sign: Tensor | None,
    cell_ptr: Tensor, face_ptr: Tensor, by_face: Tensor, transpose: bool,
) -> Tensor:  # fmt: skip
    index, ptr, perm = (face, cell_ptr, None) if transpose else (cell, face_ptr, by_face)
    out = _rows(x, ptr.shape[0] - 1)
    _over_gather(_cpu.gather_sum, x, index, perm, ptr, sign, out, None, False, x.shape[0])
    return out


def _over_cofaces(  # type: ignore[no-untyped-def]
    kernel, grad: Tensor | None, p: Tensor | None, q: Tensor | None, face: Tensor,
    cell_ptr: Tensor, activation: str, out: Tensor | None, out2: Tensor | None, num_faces: int,
) -> None:  # fmt: skip
    face, cell_ptr = face.contiguous(), cell_ptr.contiguous()
    grad, p, q = (None if t is None else t.contiguous() for t in (grad, p, q))
    like = p if p is not None else q
    kernel(
        like.dtype is _FLOAT64, face.dtype is _INT64, torch.get_num_threads(), num_faces,  # type: ignore[union-attr]
        cell_ptr.shape[0] - 1, face.shape[0], _channels(like),  # type: ignore[arg-type]
        0 if grad is None else grad.data_ptr(), 0 if p is None else p.data_ptr(),
        0 if q is None else q.data_ptr(), face.data_ptr(), cell_ptr.data_ptr(),
        ACTIVATIONS.index(activation), 0 if out is None else out.data_ptr(),
        0 if out2 is None else out2.data_ptr(),
    )  # fmt: skip


def coface_message(
    p: Tensor | None, q: Tensor | None, face: Tensor, cell_ptr: Tensor,
    face_ptr: Tensor, by_face: Tensor, activation: str,
) -> Tensor:  # fmt: skip
    like, num_faces = p if p is not None else q, face_ptr.shape[0] - 1
    out = _empty(like, num_faces, *like.shape[1:])  # type: ignore[union-attr, arg-type]
    kernel = _cpu.coface_message
    _over_cofaces(kernel, None, p, q, face, cell_ptr, activation, out, None, num_faces)
    return out


def coface_message_backward(
    grad: Tensor, p: Tensor | None, q: Tensor | None, face: Tensor, cell_ptr: Tensor,
    face_ptr: Tensor, by_face: Tensor, activation: str, need_p: bool, need_q: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    num_faces, num_cells, channels = face_ptr.shape[0] - 1, cell_ptr.shape[0] - 1, grad.shape[1:]
    dp = _empty(grad, num_faces, *channels) if need_p else None
    dq = _empty(grad, num_cells, *channels) if need_q else None
    kernel = _cpu.coface_message_backward
    _over_cofaces(kernel, grad, p, q, face, cell_ptr, activation, dp, dq, num_faces)
    nothing = grad.new_empty(0) if dp is None or dq is None else None
    return dp if dp is not None else nothing, dq if dq is not None else nothing  # type: ignore[return-value]


def sort_by_key(key: Tensor, num_keys: int) -> tuple[Tensor, Tensor]:
    key = key.contiguous()
    ptr, perm = _empty(key, num_keys + 1), _empty(key, key.shape[0])
    _cpu.sort_by_key(
        key.dtype is _INT64, key.shape[0], num_keys, torch.get_num_threads(),
        key.data_ptr(), ptr.data_ptr(), perm.data_ptr(),
    )  # fmt: skip
    return ptr, perm


_OPERATIONS = (
    segment_sum, segment_expand, segment_extreme, segment_softmax, segment_softmax_backward,
    scatter_sum, scatter_expand, scatter_extreme, place, pick, gather_sum, gather_extreme,
    spread_sum, gather_dot, incidence_sum, coface_message, coface_message_backward, sort_by_key,
)  # fmt: skip


def load() -> Implementation:
    if _cpu is None:
        raise ImportError(_why)
    limit_instruction_set(os.environ.get("TOPODIFF_INSTRUCTION_SET"))
    dtypes = frozenset({torch.float32, torch.float64, torch.int32, torch.int64})
    from topodiff.kernels import (
        attention_cpu,
        edge_blocks_cpu,
        expansion_cpu,
        norm_cpu,
        sheaf_cpu,
        small_cpu,
        step_cpu,
        vertex_linear_cpu,
    )

    modules = (
        norm_cpu, sheaf_cpu, small_cpu, edge_blocks_cpu, attention_cpu, step_cpu, expansion_cpu,
        vertex_linear_cpu,
    )  # fmt: skip
    operations = (*_OPERATIONS, *(f for module in modules for f in module.OPERATIONS))
    table = {f.__name__: f for f in operations}
    return Implementation("cpu", table, frozenset({"cpu"}), dtypes)
