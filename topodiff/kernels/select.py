"""Some segments of an integer array, one after the other: parts of an incidence."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import backend, checks
from topodiff.kernels.reference import check_index, check_ptr

try:
    import topodiff.kernels._cpu as _cpu
except ImportError:
    _cpu = None


def select_segments(ptr: Tensor, values: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    """The segments ``values[ptr[s]:ptr[s + 1]]`` for the s in ``which``, in that order.

    Args:
        ptr: ``(segments + 1,)`` long.
        values: ``(nnz,)`` long.
        which: ``(wanted,)`` long, values in ``0..segments - 1``.

    Returns:
        Their own ``ptr (wanted + 1,)`` and the entries.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or devices; ``ptr`` or ``which`` out of range.
    """
    checks.check_ptr("ptr", ptr)
    for name, tensor in (("values", values), ("which", which)):
        checks.check_index(name, tensor)
    if ptr.shape[0] == 1 and which.shape[0]:
        raise ValueError(f"which must be empty, as there are no segments; got {which.shape[0]}")
    checks.check_devices("select_segments", ptr=ptr, values=values, which=which)
    ptr, values, which = (t.long().contiguous() for t in (ptr, values, which))
    compiled = _cpu is not None and values.device.type == "cpu" and backend.active() != "reference"
    return (_compiled if compiled else _reference)(ptr, values, which)


def _compiled(ptr: Tensor, values: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    new_ptr = torch.empty(len(which) + 1, dtype=torch.long)

    def run(out: int) -> None:
        _cpu.select_segments(
            len(ptr) - 1, len(values), len(which), ptr.data_ptr(), values.data_ptr(),
            which.data_ptr(), new_ptr.data_ptr(), out,
        )  # fmt: skip

    run(0)
    out = torch.empty(int(new_ptr[-1]), dtype=torch.long)
    run(out.data_ptr())
    return new_ptr, out


def _reference(ptr: Tensor, values: Tensor, which: Tensor) -> tuple[Tensor, Tensor]:
    check_ptr(ptr, len(values))
    check_index(which, len(ptr) - 1)
    start = ptr[which]
    length = ptr[which + 1] - start
    new_ptr = torch.cat([length.new_zeros(1), length.cumsum(0)])
    position = torch.arange(int(new_ptr[-1]), device=ptr.device)
    return new_ptr, values[position + (start - new_ptr[:-1]).repeat_interleave(length)]
