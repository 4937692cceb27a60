"""Inverse square roots of positive semidefinite blocks, with gradients where eigenvalues repeat.

The derivative of ``S = M^{-1/2}`` obeys ``P dP + dP P = dM`` for ``P = M^{1/2}`` and ``dS = -S dP
S`` (Higham, Functions of Matrices, 2008, section 6.1). In the eigenbasis of M the Sylvester
equation divides by ``p_i + p_j``, which is positive, where the gradient of an eigendecomposition
divides by ``m_i - m_j``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def inverse_sqrt(blocks: Tensor) -> Tensor:
    """``M^{-1/2}`` of (n,) numbers, (n, d) diagonals or (n, d, d) symmetric blocks.

    On the kernel of M (below d eps times its largest eigenvalue), as on an isolated vertex, the
    result is 0: a pseudo-inverse, whose kernel counts as constant in the gradient.

    Raises:
        ValueError: for a block that is not finite.
    """
    if blocks.dim() == 3:
        # eigh of something else than numbers may raise, or not
        bad = ~blocks.detach().isfinite().flatten(1).all(1)
        if bool(bad.any()):
            raise ValueError(f"block {int(bad.nonzero()[0])} is not finite: check maps and weights")
        return _InverseSqrt.apply(blocks)
    positive = blocks > 0
    return torch.where(positive, torch.where(positive, blocks, 1.0).rsqrt(), 0.0)


def _from_eigen(values: Tensor, vectors: Tensor) -> Tensor:
    return (vectors * values.unsqueeze(-2)) @ vectors.mT


def _symmetric(m: Tensor) -> Tensor:
    return (m + m.mT) / 2


class _InverseSqrt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, m: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(m)
        rounding = m.shape[-1] * torch.finfo(m.dtype).eps
        positive = values > rounding * values[..., -1:].clamp(min=0)
        root = torch.where(positive, values, 1.0).sqrt()
        s = _from_eigen(torch.where(positive, 1 / root, 0.0), vectors)
        ctx.save_for_backward(m, s, vectors, root)
        return s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        m, s, vectors, root = ctx.saved_tensors
        h = s @ _symmetric(grads[0]) @ s
        return -_Sylvester.apply(_symmetric(s @ m), h, vectors, root)


class _Sylvester(torch.autograd.Function):
    """Z of ``P Z + Z P = H`` for symmetric P (with eigenvectors and eigenvalues p) and H."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, h: Tensor, vectors: Tensor, values: Tensor) -> Tensor:
        total = values.unsqueeze(-1) + values.unsqueeze(-2)
        z = vectors @ ((vectors.mT @ h @ vectors) / total) @ vectors.mT
        ctx.save_for_backward(p, z, vectors, values)
        return z

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        p, z, vectors, values = ctx.saved_tensors
        v = _Sylvester.apply(p, _symmetric(grads[0]), vectors, values)
        return -(v @ z + z @ v), v, None, None
