"""One round of colour refinement, the step of the Weisfeiler-Lehman tests."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import backend, checks
from topodiff.kernels.reference import check_index, check_ptr

try:
    import topodiff.kernels._cpu as _cpu
except ImportError:
    _cpu = None


def refine_colours(
    own: Tensor, ptr: Tensor, neighbour: Tensor, colour: Tensor
) -> tuple[Tensor, Tensor]:
    """New colours: equal where the old ones and the multisets of the neighbours' are equal.

    They count from 0 in the order in which they are met. Exact; one thread.

    Args:
        own: ``(cells,)`` long.
        ptr: ``(cells + 1,)`` long; cell i has neighbours ``neighbour[ptr[i]:ptr[i + 1]]``.
        neighbour: ``(nnz,)`` long, rows of ``colour``.
        colour: ``(rows,)`` long.

    Returns:
        The new colours ``(cells,)`` and the first cell of each ``(colours,)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or devices; ``ptr`` or ``neighbour`` out of
            range.
    """
    for name, tensor in (("own", own), ("neighbour", neighbour), ("colour", colour)):
        checks.check_index(name, tensor)
    checks.check_ptr("ptr", ptr)
    checks.check_rows("own", own, ptr.shape[0] - 1)
    if colour.shape[0] == 0 and neighbour.shape[0]:
        raise ValueError(f"neighbour must be empty as colour is; got {neighbour.shape[0]} entries")
    checks.check_devices("refine_colours", own=own, ptr=ptr, neighbour=neighbour, colour=colour)
    arguments = [t.long().contiguous() for t in (own, ptr, neighbour, colour)]
    compiled = _cpu is not None and own.device.type == "cpu" and backend.active() != "reference"
    return (_compiled if compiled else _reference)(*arguments)


def _compiled(own: Tensor, ptr: Tensor, neighbour: Tensor, colour: Tensor) -> tuple[Tensor, Tensor]:
    refined, first = torch.empty_like(own), torch.empty_like(own)
    colours = _cpu.refine_colours(
        own.shape[0], neighbour.shape[0], colour.shape[0], own.data_ptr(), ptr.data_ptr(),
        neighbour.data_ptr(), colour.data_ptr(), refined.data_ptr(), first.data_ptr(),
    )  # fmt: skip
    return refined, first[:colours]


def _reference(
    own: Tensor, ptr: Tensor, neighbour: Tensor, colour: Tensor
) -> tuple[Tensor, Tensor]:
    check_ptr(ptr, len(neighbour))
    check_index(neighbour, len(colour))
    seen, ends = colour[neighbour].tolist(), ptr.tolist()
    number: dict[tuple, int] = {}
    refined, first = [], []
    for i, mine in enumerate(own.tolist()):
        key = (mine, *sorted(seen[ends[i] : ends[i + 1]]))
        if key not in number:
            number[key] = len(number)
            first.append(i)
        refined.append(number[key])
    return own.new_tensor(refined), own.new_tensor(first)
