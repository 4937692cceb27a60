"""What models ask of the features of cells before they compute anything."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.solvers.problem import is_finite


def cell_features(K: CellComplex, x: Any, rank: int, in_channels: int, weight: Tensor) -> Tensor:
    """``x``, or ``K.x[rank]`` in its place, (n_rank, in_channels), as ``weight`` of the model is.

    Raises:
        TypeError: for what is no floating-point tensor, or of another dtype or device.
        ValueError: for features that are missing, or of another shape.
    """
    if x is None:
        if rank not in K.x:
            raise ValueError(f"x[{rank}] is missing: give features to {_cells(rank)}, or give x")
        x = K.x[rank]
    if not isinstance(x, Tensor):
        raise TypeError(f"features are a tensor, got {type(x).__name__}: convert them")
    shape = (K.num_cells(rank), in_channels)
    if x.shape != shape:
        raise ValueError(
            f"features of {shape[0]} {_cells(rank)} for this model have shape {shape}, got "
            f"{tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise TypeError(f"features are floating-point numbers, got {x.dtype}: convert with .to()")
    return alike(x, weight)


def _cells(rank: int) -> str:
    return "vertices" if rank == 0 else f"{rank}-cells"


def alike(x: Tensor, weight: Tensor) -> Tensor:
    """x, which must have dtype and device of ``weight``; under autocast, which changes dtypes on
    the way, it is given the dtype."""
    if x.dtype is not weight.dtype and torch.is_autocast_enabled(x.device.type):
        x = x.to(weight.dtype)
    if x.device != weight.device or x.dtype is not weight.dtype:
        raise TypeError(
            f"features are {x.dtype} on {x.device}, the model is {weight.dtype} on "
            f"{weight.device}: move one of them with .to()"
        )
    return x


def check_finite(x: Tensor) -> None:
    """ValueError that names the first row with NaN or infinity."""
    if not is_finite(x):
        row = int((~x.detach().isfinite()).flatten(1).any(1).nonzero()[0, 0])
        raise ValueError(
            f"features of cell {row} are not finite (NaN or infinity): clean or impute them"
        )
