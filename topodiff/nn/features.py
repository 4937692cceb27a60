"""What models ask of the features of cells before they compute anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.kernels.finite import row_not_finite


def cell_features(K: CellComplex, x: Any, rank: int, in_channels: int, weight: Tensor) -> Tensor:
    """``x``, or ``K.x[rank]`` in its place, (n_rank, in_channels), as ``weight`` of the model is.

    Raises:
        TypeError: for what is no complex, no floating-point tensor, or of another dtype or device.
        ValueError: for features that are missing, or of another shape.
    """
    check_complex(K)
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


def check_complex(K: Any) -> None:
    """TypeError that says where complexes come from."""
    if not isinstance(K, CellComplex):
        raise TypeError(
            f"models take a CellComplex, got {type(K).__name__}: topodiff.from_networkx, from_pyg, "
            "from_smiles and topodiff.liftings make complexes, topodiff.batch one of many"
        )


def check_cochains(K: CellComplex, x: Sequence[Tensor], channels: int, max_rank: int) -> None:
    """ValueError unless x are cochains (n_r, channels) of the ranks 0 to at most ``max_rank``."""
    top = min(K.rank, max_rank)
    if not 1 <= len(x) <= top + 1:
        raise ValueError(
            f"cochains of {len(x)} ranks; a layer with max_rank={max_rank} takes those of ranks 0 "
            f"to at most {top} from a complex of rank {K.rank}"
        )
    for r, cochain in enumerate(x):
        if cochain.shape != (K.num_cells(r), channels):
            shape = (K.num_cells(r), channels)
            raise ValueError(f"x[{r}] must have shape {shape}, got {tuple(cochain.shape)}")


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
    row = row_not_finite(x)
    if row is not None:
        raise ValueError(
            f"features of cell {row} are not finite (NaN or infinity): clean or impute them"
        )
