"""Skew-symmetric matrices from parameters, and the last rounding errors of a rotation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def num_entries(dim: int) -> int:
    """d (d - 1) / 2, the dimension of SO(d)."""
    return dim * (dim - 1) // 2


def skew(params: Tensor, dim: int) -> Tensor:
    """``A = -A^T`` with ``params`` (..., d (d - 1) / 2) below the diagonal, row by row."""
    # entry (i, j) below the diagonal is params[i (i - 1) / 2 + j]; all others are a zero put behind
    i, j = (k.to(params.device) for k in torch.meshgrid(*[torch.arange(dim)] * 2, indexing="ij"))
    place = torch.where(i > j, i * (i - 1) // 2 + j, num_entries(dim)).flatten()
    lower = pad(params, (0, 1)).index_select(-1, place).unflatten(-1, (dim, dim))
    return lower - lower.mT


def polish(rotation: Tensor, steps: int = 2) -> Tensor:
    """Newton-Schulz steps ``R <- R (3 I - R^T R) / 2`` towards the nearest orthogonal matrix.

    An error e becomes about e^2, so two steps take 1e-3 below the rounding of float64.
    """
    identity = torch.eye(rotation.shape[-1], dtype=rotation.dtype, device=rotation.device)
    for _ in range(steps):
        rotation = rotation @ (1.5 * identity - 0.5 * (rotation.mT @ rotation))
    return rotation
