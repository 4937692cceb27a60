"""Inverse square roots of positive semidefinite blocks, with gradients where eigenvalues repeat.

The derivative of ``S = M^{-1/2}`` obeys ``P dP + dP P = dM`` for ``P = M^{1/2}`` and ``dS = -S dP
S`` (Higham, Functions of Matrices, 2008, section 6.1). In the eigenbasis of M the Sylvester
equation divides by ``p_i + p_j``, which is positive, where the gradient of an eigendecomposition
divides by ``m_i - m_j``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from topodiff.kernels import small_matmul
from topodiff.kernels.finite import row_not_finite
from topodiff.kernels.precision import at_least_single


class Eigen(NamedTuple):
    """What gradients of ``S = M^{-1/2}`` need: S itself, eigenvectors of M, and the square roots of
    its eigenvalues (1 on the kernel)."""

    inverse: Tensor
    vectors: Tensor
    root: Tensor


def inverse_sqrt(blocks: Tensor, *, check: bool = True, eigen: Eigen | None = None) -> Tensor:
    """``M^{-1/2}`` of (n,) numbers, (n, d) diagonals or (n, d, d) symmetric blocks.

    On the kernel of M (below d eps times its largest eigenvalue), as on an isolated vertex, the
    result is 0: a pseudo-inverse, whose kernel counts as constant in the gradient. Of blocks in
    float16 and bfloat16 it is computed in float32.

    Args:
        blocks: M.
        check: whether to look at numbers and diagonals, which waits for a GPU; without it NaN stays
            NaN. Matrices are looked at always.
        eigen: :func:`decompose` of these matrices, if it is known.

    Raises:
        ValueError: for a block that is not finite.
    """
    if blocks.dim() == 3:
        eigen = decompose(blocks.detach()) if eigen is None else eigen
        return _InverseSqrt.apply(at_least_single(blocks), *eigen).to(blocks.dtype)
    if check:
        check_finite(blocks)
    zero = blocks <= 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, blocks).rsqrt())


def decompose(blocks: Tensor) -> Eigen:
    """Of (n, d, d) symmetric blocks, without gradients, at least in float32.

    Raises:
        ValueError: for a block that is not finite.
    """
    # eigh of something else than numbers may raise, or not
    check_finite(blocks)
    values, vectors = torch.linalg.eigh(at_least_single(blocks))
    rounding = blocks.shape[-1] * torch.finfo(blocks.dtype).eps
    positive = values > rounding * values[..., -1:].clamp(min=0)
    root = torch.where(positive, values, 1.0).sqrt()
    return Eigen(_from_eigen(torch.where(positive, 1 / root, 0.0), vectors), vectors, root)


def check_finite(blocks: Tensor) -> None:
    """ValueError names the first block that is not finite."""
    row = row_not_finite(blocks)
    if row is not None:
        raise ValueError(f"block {row} is not finite: check maps and weights")


def _from_eigen(values: Tensor, vectors: Tensor) -> Tensor:
    return small_matmul(vectors * values.unsqueeze(-2), vectors, transpose_b=True)


def _symmetric(m: Tensor) -> Tensor:
    return (m + m.mT) / 2


class _InverseSqrt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, m: Tensor, inverse: Tensor, vectors: Tensor, root: Tensor) -> Tensor:
        s = inverse.clone()
        ctx.save_for_backward(m, s, vectors, root)
        return s

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        m, s, vectors, root = ctx.saved_tensors
        h = small_matmul(small_matmul(s, _symmetric(grads[0])), s)
        p = _symmetric(small_matmul(s, m))
        return -_Sylvester.apply(p, h, vectors, root), None, None, None


class _Sylvester(torch.autograd.Function):
    """Z of ``P Z + Z P = H`` for symmetric P (with eigenvectors and eigenvalues p) and H."""

    @staticmethod
    def forward(ctx: Any, p: Tensor, h: Tensor, vectors: Tensor, values: Tensor) -> Tensor:
        total = values.unsqueeze(-1) + values.unsqueeze(-2)
        inside = small_matmul(small_matmul(vectors, h, transpose_a=True), vectors) / total
        z = small_matmul(small_matmul(vectors, inside), vectors, transpose_b=True)
        ctx.save_for_backward(p, z, vectors, values)
        return z

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        p, z, vectors, values = ctx.saved_tensors
        v = _Sylvester.apply(p, _symmetric(grads[0]), vectors, values)
        return -(small_matmul(v, z) + small_matmul(z, v)), v, None, None
