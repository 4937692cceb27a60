"""The matrix exponential of a skew-symmetric matrix; it reaches every rotation."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import quaternions, rotations
from topodiff.kernels.rotations_reference import ANGLE_BOUND
from topodiff.kernels.skew import polish, skew

# Diagonal Pade approximant of order 6: exact to rounding of float64 for |A| <= 1/2, and orthogonal.
_EVEN = (1.0, 5 / 44, 1 / 792, 1 / 665280)
_ODD = (1 / 2, 1 / 66, 1 / 15840)


def exponential(params: Tensor, dim: int) -> Tensor:
    """``exp(A)`` (..., d, d), A skew with ``params`` (..., d (d - 1) / 2) below its diagonal.

    d = 2 is the angle, d = 3 the formula of Rodrigues, d = 4 a pair of commuting quaternions;
    above, scaling and squaring of a Pade approximant. For d >= 3 parameters are clamped to +-1000.
    """
    if dim == 2:
        return quaternions.plane_rotation(params[..., 0].cos(), params[..., 0].sin())
    if dim <= 4:
        return rotations.exponential(params, dim)
    params = params.clamp(-ANGLE_BOUND, ANGLE_BOUND)
    return _squaring(params, dim)


def _squaring(params: Tensor, dim: int) -> Tensor:
    """``exp(A) = exp(A / 2^s)^(2^s)``, each matrix with its own s."""
    # eigenvalues of A come in pairs, so its norm is at most |A|_F / sqrt(2), the norm of params
    norm = params.detach().norm(dim=-1).nan_to_num(1.0).clamp(min=0.5)
    squarings = (2 * norm).log2().ceil()
    a = skew(params * (-squarings).exp2().unsqueeze(-1), dim)
    a2 = a @ a
    a4 = a2 @ a2
    identity = torch.eye(dim, dtype=a.dtype, device=a.device)
    even = _EVEN[0] * identity + _EVEN[1] * a2 + _EVEN[2] * a4 + _EVEN[3] * (a4 @ a2)
    odd = a @ (_ODD[0] * identity + _ODD[1] * a2 + _ODD[2] * a4)
    rotation = torch.linalg.solve(even - odd, even + odd)
    for k in range(int(squarings.max()) if squarings.numel() else 0):
        again = (squarings > k)[..., None, None]
        rotation = torch.where(again, rotation @ rotation, rotation)
    return polish(rotation)
