"""Argument checks of the public functions. They read shapes and dtypes only, never values.

Values of ``ptr`` and ``index`` are checked by the implementations on the CPU while they read them.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable

from torch import SymInt, Tensor, dtype, float32, int32, int64

REDUCTIONS = ("sum", "mean", "max", "min")
_INDEX_DTYPES = (int64, int32)


def check_tensors(**values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")


def check_values(name: str, x: Tensor) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(x).__name__}")
    if x.dim() == 0:
        raise ValueError(f"{name} must have a leading dimension of rows, got a scalar tensor")
    if x.dtype is not float32 and not x.is_floating_point():
        raise TypeError(f"{name} must be floating point, got {x.dtype}: convert it with .float()")


def check_index(name: str, index: Tensor, length: int | None = None) -> None:
    """``index`` must be an integer vector (of ``length`` entries)."""
    if not isinstance(index, Tensor):
        raise TypeError(f"{name} must be a tensor of integers, got {type(index).__name__}")
    if index.dtype not in _INDEX_DTYPES:
        raise TypeError(f"{name} must be int64 or int32, got {index.dtype}")
    if index.dim() != 1:
        raise ValueError(f"{name} must be a vector, got shape {tuple(index.shape)}")
    if length is not None and index.shape[0] != length:
        raise ValueError(f"{name} must have {length} entries, got {index.shape[0]}")


def check_ptr(name: str, ptr: Tensor) -> None:
    check_index(name, ptr)
    if ptr.shape[0] == 0:
        raise ValueError(f"{name} must have one entry more than there are segments, got 0 entries")


def check_devices(operation: str, /, **tensors: Tensor | None) -> None:
    """Kernels take addresses: on another device they would read at random."""
    (first, x), *others = [(key, t) for key, t in tensors.items() if t is not None]
    for key, tensor in others:
        if tensor.device != x.device:
            raise ValueError(
                f"{operation} needs all tensors on one device, got {first} on {x.device} and "
                f"{key} on {tensor.device}: move them with .to(device)"
            )


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """ValueError that lists the choices."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}; got {value!r}")


def check_count(name: str, value: int) -> int:
    """``value`` as an integer. What torch.compile leaves open stays open."""
    if type(value) is not int and not isinstance(value, SymInt):
        try:
            value = operator.index(None if isinstance(value, bool) else value)  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(f"{name} must be a whole number, got {value!r}") from None
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    return value


def check_same_dtype(**tensors: Tensor) -> None:
    """Index arrays of one structure share a dtype."""
    if len({t.dtype for t in tensors.values()}) > 1:
        dtypes = {name: t.dtype for name, t in tensors.items()}
        raise TypeError(f"expected one dtype, got {dtypes}: convert with .to(dtype)")


def check_incidence(face: Tensor, face_ptr: Tensor, by_face: Tensor, *of_cells: Tensor) -> None:
    """``face``, ``by_face`` and ``cell`` have one entry each per incidence; ``of_cells`` are
    ``cell_ptr`` and ``cell``, where the operation takes them."""
    try:  # as a rule: no words needed
        if _is_incidence(face, face_ptr, by_face, of_cells):
            return
    except AttributeError:
        pass
    entries = {"face": face, "by_face": by_face} | dict(zip(("cell",), of_cells[1:], strict=False))
    ptrs = {"face_ptr": face_ptr} | dict(zip(("cell_ptr",), of_cells[:1], strict=False))
    for name, index in entries.items():
        check_index(name, index, None if index is face else face.shape[0])
    for name, ptr in ptrs.items():
        check_ptr(name, ptr)
    check_same_dtype(**entries, **ptrs)


def _is_incidence(
    face: Tensor, face_ptr: Tensor, by_face: Tensor, of_cells: tuple[Tensor, ...]
) -> bool:
    shape, kind = face.shape, face.dtype  # no loops: this comes with every product
    if kind not in _INDEX_DTYPES or len(shape) != 1:
        return False
    if by_face.dtype is not kind or by_face.shape != shape or not _is_ptr(face_ptr, kind):
        return False
    if len(of_cells) == 2 and (of_cells[1].dtype is not kind or of_cells[1].shape != shape):
        return False
    return len(of_cells) == 0 or _is_ptr(of_cells[0], kind)


def _is_ptr(ptr: Tensor, kind: dtype) -> bool:
    return ptr.dtype is kind and ptr.dim() == 1 and ptr.numel() != 0


def check_weight(name: str, weight: Tensor | None, nnz: int, x: Tensor) -> None:
    """One number per entry: integer, or of the dtype of ``x``."""
    if weight is None:
        return
    if not isinstance(weight, Tensor):
        check_tensors(**{name: weight})
    if weight.shape != (nnz,):
        raise ValueError(f"{name} must have shape ({nnz},), got {tuple(weight.shape)}")
    if weight.dtype not in (x.dtype, *_INDEX_DTYPES):
        raise TypeError(f"{name} must be integer or {x.dtype} as x, got {weight.dtype}")


def check_rows(name: str, x: Tensor, rows: int) -> None:
    if x.shape[0] != rows:
        raise ValueError(f"{name} must have {rows} rows, got {x.shape[0]}")
