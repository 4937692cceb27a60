"""Tolerances and first steps of adaptive solvers."""

from __future__ import annotations

import math

import torch


def tolerances(
    dtype: torch.dtype, rtol: float | None, atol: float | None, first_step: float | None
) -> tuple[float, float]:
    """rtol and atol, by default 1e-7 and 1e-9, or 1e-4 and 1e-6 below float64.

    Raises:
        ValueError: for numbers with which no step can be right.
    """
    single = dtype != torch.float64
    rtol = (1e-4 if single else 1e-7) if rtol is None else rtol
    atol = (1e-6 if single else 1e-9) if atol is None else atol
    if not (0 <= rtol < math.inf and 0 <= atol < math.inf and rtol + atol > 0):
        raise ValueError(
            f"rtol and atol must be >= 0, finite, and not both 0; got {rtol} and {atol}"
        )
    if first_step is not None and not 0 < first_step < math.inf:
        raise ValueError(f"first_step must be positive and finite, got {first_step}")
    return rtol, atol
