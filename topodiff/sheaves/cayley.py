"""The Cayley transform ``R = (I - A/2)^-1 (I + A/2)`` of a skew-symmetric matrix A (Cayley 1846).

It agrees with ``exp(A)`` to second order and turns an eigenvalue ``i t`` of A into the angle
``2 atan(t / 2)``; rotations with an eigenvalue -1 (an angle of exactly pi) are reached in the limit
only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.sheaves import quaternions
from topodiff.sheaves.skew import polish, skew

# Squares of parameters must not overflow; beyond this all angles are pi to rounding anyway.
_LARGE = 1e15
# The solve loses |A| eps, and the polish needs that to be small.
_BOUND = {torch.float64: 1e6}


def cayley(params: Tensor, dim: int) -> Tensor:
    """(..., d, d) from (..., d (d - 1) / 2); closed forms up to d = 4, a linear solve above.

    For d >= 5 parameters are clamped to +-1e6 in float64 and +-1e3 in other dtypes, where angles
    are within 4e-6 and 4e-3 of pi.
    """
    if dim <= 4:
        return _closed_form(params.clamp(-_LARGE, _LARGE) / 2, dim)
    bound = _BOUND.get(params.dtype, 1e3)
    half = skew(params.clamp(-bound, bound) / 2, dim)
    identity = torch.eye(dim, dtype=half.dtype, device=half.device)
    return polish(torch.linalg.solve(identity - half, identity + half))


def _closed_form(half: Tensor, dim: int) -> Tensor:
    one = torch.ones_like(half[..., :1])
    if dim == 2:
        c, s = quaternions.normalise(torch.cat([one, half], -1)).unbind(-1)
        return quaternions.plane_rotation(c * c - s * s, 2 * c * s)
    if dim == 3:
        q = torch.cat([one, quaternions.rotation_vector(half)], -1)
        return quaternions.space_rotation(quaternions.normalise(q))
    # angles atan(|a| + |b|) and atan(|a| - |b|), added and subtracted
    a, b = quaternions.split(half)
    product = (a * a).sum(-1, keepdim=True) - (b * b).sum(-1, keepdim=True)
    left = quaternions.normalise(torch.cat([1 - product, 2 * a], -1))
    right = quaternions.normalise(torch.cat([1 + product, 2 * b], -1))
    return quaternions.left_product(left) @ quaternions.right_product(right)
