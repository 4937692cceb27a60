"""Checks of whole numbers, single ones and many."""

from __future__ import annotations

import math
from numbers import Integral

import torch
from torch import Tensor

LARGEST = 2**63 - 1  # that a 64-bit integer holds


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """``value`` as an integer; ValueError unless it is one, from ``least`` to ``most``."""
    high = math.inf if most is None else most
    if (
        isinstance(value, bool)
        or not isinstance(value, Integral)
        or not least <= int(value) <= high
    ):
        large = isinstance(value, Integral) and int(value) > LARGEST
        open_ended = most is None or (most == LARGEST and not large)
        span = f">= {least}" if open_ended else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {span}, got {value!r}")
    return int(value)


def whole_numbers(what: str, values: object) -> Tensor:
    """``values`` as integers; TypeError where that would cut something off."""
    try:
        found = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):  # no numbers, no table, too large
        raise TypeError(f"{what} must be whole numbers, got {type(values).__name__}") from None
    if found.numel() and (found.is_floating_point() or found.dtype == torch.bool):
        raise TypeError(f"{what} must be whole numbers, got {found.dtype}")
    return found.long()
