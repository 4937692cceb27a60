"""Unit quaternions and the rotations of 2, 3 and 4 dimensions that they make.

A unit quaternion q turns R^3 by ``x -> q x q*``; a pair (l, r) turns R^4 by ``x -> l x r``. Both
are double covers (Conway and Smith, On Quaternions and Octonions, 2003, chapters 3 and 4), so a
rotation is orthogonal to rounding as soon as its quaternions have length one.
"""

from __future__ import annotations

import torch
from torch import Tensor


def normalise(q: Tensor) -> Tensor:
    """``q / |q|`` for (..., k) of any finite size; rows shorter than rounding become (1, 0,
    ...)."""
    # the result does not depend on the scale, so neither does its gradient
    scale = q.detach().abs().amax(-1, keepdim=True)
    short = scale < torch.finfo(q.dtype).eps
    one = torch.zeros_like(q).index_fill(-1, torch.tensor(0, device=q.device), 1.0)
    q = torch.where(short, one, q / torch.where(short, 1.0, scale))
    return q / (q * q).sum(-1, keepdim=True).sqrt()


def exponential(v: Tensor) -> Tensor:
    """``exp(v) = (cos |v|, v sin |v| / |v|)`` of imaginary quaternions v (..., 3)."""
    square = (v * v).sum(-1, keepdim=True)
    small = square < 1e-4
    angle = torch.where(small, 1.0, square).sqrt()
    # series in |v|^2, so that derivatives at v = 0 exist; exact to rounding below the threshold, as
    # are their first derivatives
    of_cosine = 1 - square / 2 + square**2 / 24 - square**3 / 720
    of_sinc = 1 - square / 6 + square**2 / 120 - square**3 / 5040
    cosine = torch.where(small, of_cosine, angle.cos())
    sinc = torch.where(small, of_sinc, angle.sin() / angle)
    return torch.cat([cosine, sinc * v], -1)


def plane_rotation(cosine: Tensor, sine: Tensor) -> Tensor:
    """(..., 2, 2) ``[[c, -s], [s, c]]``."""
    return torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))


def space_rotation(q: Tensor) -> Tensor:
    """(..., 3, 3) rotation ``x -> q x q*`` of a unit quaternion (..., 4)."""
    a, b, c, d = q.unbind(-1)
    rows = [
        a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c),
        2 * (b * c + a * d), a * a - b * b + c * c - d * d, 2 * (c * d - a * b),
        2 * (b * d - a * c), 2 * (c * d + a * b), a * a - b * b - c * c + d * d,
    ]  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def left_product(q: Tensor) -> Tensor:
    """(..., 4, 4) matrix of ``x -> q x``."""
    a, b, c, d = q.unbind(-1)
    rows = [a, -b, -c, -d, b, a, -d, c, c, d, a, -b, d, -c, b, a]
    return torch.stack(rows, -1).unflatten(-1, (4, 4))


def right_product(q: Tensor) -> Tensor:
    """(..., 4, 4) matrix of ``x -> x q``."""
    a, b, c, d = q.unbind(-1)
    rows = [a, -b, -c, -d, b, a, d, -c, c, -d, a, b, d, c, -b, a]
    return torch.stack(rows, -1).unflatten(-1, (4, 4))


def rotation_vector(params: Tensor) -> Tensor:
    """The w (..., 3) with ``A x = w x x`` for the skew matrix A of three parameters."""
    p, q, r = params.unbind(-1)
    return torch.stack([r, -q, p], -1)


def split(params: Tensor) -> tuple[Tensor, Tensor]:
    """Imaginary quaternions (a, b) with ``A x = a x + x b`` for the skew matrix A of six
    parameters."""
    a10, a20, a21, a30, a31, a32 = params.unbind(-1)
    a = torch.stack([a10 + a32, a20 - a31, a30 + a21], -1)
    b = torch.stack([a10 - a32, a20 + a31, a30 - a21], -1)
    return a / 2, b / 2


def quaternion(params: Tensor, dim: int) -> Tensor:
    """Rotation of ``normalise(1 + p)``: one quaternion (4 parameters) for d = 3, two for d = 4.

    Covers the whole group (twice) and is smooth except where ``1 + p = 0``: there it is the
    identity and its gradient is 0.
    """
    q = normalise(params.unflatten(-1, (-1, 4)) + params.new_tensor([1.0, 0, 0, 0]))
    if dim == 3:
        return space_rotation(q[..., 0, :])
    return left_product(q[..., 0, :]) @ right_product(q[..., 1, :])
