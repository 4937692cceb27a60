"""Where numbers are not finite."""

from __future__ import annotations

from torch import Tensor


def is_finite(x: Tensor) -> bool:
    """Whether all entries are finite, by one sum where that settles it."""
    x = x.detach()
    return bool(x.sum().isfinite()) or bool(x.isfinite().all())


def row_not_finite(x: Tensor) -> int | None:
    """The first row with NaN or infinity, if there is one."""
    return None if is_finite(x) else int((~x.detach().isfinite()).nonzero()[0, 0])
