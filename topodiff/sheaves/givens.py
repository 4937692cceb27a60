"""Products of plane rotations (Givens 1958); for d = 3 these are Euler angles."""

from __future__ import annotations

import torch
from torch import Tensor


def givens(params: Tensor, dim: int) -> Tensor:
    """``prod over i < j of G_ij(angle)`` in lexicographic order, (..., d, d) from d (d - 1) / 2
    angles.

    Reaches all of SO(d); where a middle angle is a quarter turn two angles act alike (gimbal lock).
    """
    cosine, sine = params.cos().unbind(-1), params.sin().unbind(-1)
    identity = torch.eye(dim, dtype=params.dtype, device=params.device)
    columns = list(identity.expand(*params.shape[:-1], dim, dim).unbind(-1))
    planes = [(i, j) for i in range(dim) for j in range(i + 1, dim)]
    for (i, j), c, s in zip(planes, cosine, sine, strict=True):
        a, b = columns[i], columns[j]
        c, s = c.unsqueeze(-1), s.unsqueeze(-1)
        columns[i], columns[j] = c * a + s * b, c * b - s * a
    return torch.stack(columns, -1)
