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


OPERATIONS = (householder, householder_backward, cayley, cayley_backward)
