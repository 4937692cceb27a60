"""Orthogonal matrices from parameters in plain PyTorch: the oracle, and the gradient of the
gradient.

Parameters are ``(n, d (d - 1) / 2)``, matrices ``(n, d, d)``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from topodiff.kernels import quaternions
from topodiff.kernels.skew import polish, skew

# Squares of parameters must not overflow; beyond this all angles are pi to rounding anyway.
_LARGE = 1e15
# The solve loses |A| eps, and the polish needs that to be small.
_BOUND = {torch.float64: 1e6}
# Angles repeat long before this, and beyond it floating point no longer resolves them well.
ANGLE_BOUND = 1e3


def householder(params: Tensor, dim: int, rotation: bool) -> Tensor:
    """``H_1 ... H_{d-1}`` with the columns that :func:`_flip` negates negated."""
    return _flip(polish(_products(*_vectors(params, dim))[0], 1), rotation)


def _flip(matrix: Tensor, rotation: bool) -> Tensor:
    """All columns but the last negated (``rotation``), or the last."""
    first, last = matrix[..., :-1], matrix[..., -1:]
    return torch.cat([-first, last] if rotation else [first, -last], -1)


def _vectors(params: Tensor, dim: int) -> tuple[list[Tensor], list[Tensor]]:
    """Unit vectors ``(n, k, 1)``, k = d, ..., 2, of the reflections, and what they were divided
    by."""
    one = params.new_ones(len(params), 1)
    units, lengths = [], []
    for p in params.split(list(range(dim - 1, 0, -1)), -1):
        v = torch.cat([one, p], -1)
        # H does not depend on the length of v, so neither does its gradient
        scale = v.detach().abs().amax(-1, keepdim=True)
        v = v / scale
        norm = (v * v).sum(-1, keepdim=True).sqrt()
        units.append((v / norm).unsqueeze(-1))
        lengths.append(scale * norm)
    return units, lengths


def _products(units: list[Tensor], lengths: list[Tensor]) -> list[Tensor]:
    """``H_k ... H_{d-1}`` for k = 1, ..., d, each on the block it changes."""
    products = [torch.ones_like(units[-1][:, :1])]
    for v in reversed(units):
        product = pad(products[0], (1, 0, 1, 0)) + _corner(v)
        products.insert(0, product - 2 * v @ (v.mT @ product))
    return products


def _corner(v: Tensor) -> Tensor:
    """The matrix of one entry, 1, in the first place."""
    corner = v.new_zeros(v.shape[1], v.shape[1])
    corner[0, 0] = 1
    return corner


def householder_backward(grad: Tensor, params: Tensor, dim: int, rotation: bool) -> Tensor:
    """With ``P_k = H_k P_{k+1}`` and its gradient G_k: ``G_{k+1} = H_k G_k``, and H_k has
    ``W = G_k P_{k+1}^T``; a unit vector v then has ``4 (v . W v) v - 2 (W + W^T) v``.

    No gradient passes through the polish, which changes rounding alone.
    """
    units, lengths = _vectors(params, dim)
    products = _products(units, lengths)[1:]
    grad, found = _flip(grad, rotation), []
    for v, length, after in zip(units, lengths, products, strict=True):
        product = pad(after, (1, 0, 1, 0)) + _corner(v)
        along = grad.mT @ v
        wv = grad @ (product.mT @ v)
        dv = 4 * (v * wv).sum(1, keepdim=True) * v - 2 * (wv + product @ along)
        found.append(dv[:, 1:, 0] / length)
        grad = (grad - 2 * v @ along.mT)[:, 1:, 1:]
    return torch.cat(found, -1)


def _bound(params: Tensor, dim: int) -> float:
    return _LARGE if dim <= 4 else _BOUND.get(params.dtype, 1e3)


def cayley(params: Tensor, dim: int) -> Tensor:
    """Closed forms up to d = 4, a linear solve above."""
    bound = _bound(params, dim)
    half = params.clamp(-bound, bound) / 2
    if dim <= 4:
        return _closed_form(half, dim)
    half = skew(half, dim)
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


def cayley_backward(grad: Tensor, matrix: Tensor, params: Tensor) -> Tensor:
    """``(I - A/2)^-1 = (I + R) / 2 = K / 2``, so that A has the gradient ``K^T G K^T / 4``."""
    dim = matrix.shape[-1]
    k = matrix + torch.eye(dim, dtype=matrix.dtype, device=matrix.device)
    found = (k.mT @ grad @ k.mT) / 4
    i, j = torch.tril_indices(dim, dim, -1, device=matrix.device)
    found = (found - found.mT)[:, i, j]
    return torch.where(params.abs() <= _bound(params, dim), found, 0)


def _imaginary(params: Tensor, dim: int) -> tuple[Tensor, ...]:
    """The quaternions ``(n, 3)`` whose exponentials turn: one, or one for each side."""
    params = params.clamp(-ANGLE_BOUND, ANGLE_BOUND)
    return (quaternions.rotation_vector(params) / 2,) if dim == 3 else quaternions.split(params)


def exponential(params: Tensor, dim: int) -> Tensor:
    """``exp(A)`` for d = 3 (Rodrigues) and d = 4 (a pair of commuting quaternions)."""
    turns = [quaternions.exponential(v) for v in _imaginary(params, dim)]
    if dim == 3:
        return quaternions.space_rotation(*turns)
    left, right = turns
    return quaternions.left_product(left) @ quaternions.right_product(right)


def exponential_backward(grad: Tensor, params: Tensor, dim: int) -> Tensor:
    """Rotations of space are the pair (q, q*), which leaves the real axis alone."""
    imaginary = _imaginary(params, dim)
    left = quaternions.exponential(imaginary[0])
    if dim == 3:
        conjugate = left.new_tensor([1.0, -1.0, -1.0, -1.0])
        on_left, on_right = _pair_gradient(pad(grad, (1, 0, 1, 0)), left, left * conjugate)
        x, y, z = _exponential_gradient(on_left + conjugate * on_right, imaginary[0]).unbind(-1)
        found = torch.stack([z, -y, x], -1) / 2
    else:
        pair = _pair_gradient(grad, left, quaternions.exponential(imaginary[1]))
        gradients = [_exponential_gradient(g, v) for g, v in zip(pair, imaginary, strict=True)]
        (ax, ay, az), (bx, by, bz) = (g.unbind(-1) for g in gradients)
        found = torch.stack([ax + bx, ay + by, az - bz, az + bz, by - ay, ax - bx], -1) / 2
    return torch.where(params.abs() <= ANGLE_BOUND, found, 0)


def _pair_gradient(grad: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of l and r from that of the matrix of ``x -> l x r``."""
    basis = torch.eye(4, dtype=grad.dtype, device=grad.device)
    on_left = grad @ quaternions.right_product(right).mT
    on_right = quaternions.left_product(left).mT @ grad
    return (
        torch.einsum("nij,mij->nm", on_left, quaternions.left_product(basis)),
        torch.einsum("nij,mij->nm", on_right, quaternions.right_product(basis)),
    )


def _exponential_gradient(grad: Tensor, v: Tensor) -> Tensor:
    """The gradient of v from that of ``exp(v) = (cos t, v sin t / t)``, t = |v|."""
    square = (v * v).sum(-1, keepdim=True)
    small = square < 1e-2
    t = torch.where(small, 1.0, square).sqrt()
    sinc = torch.where(small, _series(square, 0), t.sin() / t)
    slope = torch.where(small, -_series(square, 1) / 3, (t.cos() - sinc) / (t * t))
    real, imaginary = grad[:, :1], grad[:, 1:]
    return sinc * imaginary + v * (slope * (v * imaginary).sum(-1, keepdim=True) - sinc * real)


def _series(square: Tensor, order: int) -> Tensor:
    """``sin t / t`` (order 0), and minus three times its derivative over t (order 1)."""
    total = torch.ones_like(square)
    for k in range(7, 0, -1):
        total = 1 - square * total / ((2 * k + 1 + 2 * order) * 2 * k)
    return total


OPERATIONS = (
    householder, householder_backward, cayley, cayley_backward, exponential, exponential_backward,
)  # fmt: skip
