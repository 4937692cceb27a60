"""A layer of sheaf diffusion in one operation: linear maps, Laplacian, residual.

On small graphs the number of operations that autograd records is the cost, and this is one where
the parts are three.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import sheaf, step, vertex_linear
from topodiff.kernels.library import define


def diffusion_step(
    x: Tensor,
    left: Tensor | None,
    right: Tensor | None,
    diagonal: Tensor | None,
    blocks: Tensor,
    face: Tensor,
    face_ptr: Tensor,
    by_face: Tensor,
    factor: Tensor,
    activation: str = "elu",
    p: float = 0.0,
    seed: int | None = None,
) -> Tensor:
    """``(1 + factor) x - act(L (W_1 dropout(x) W_2^T))`` (Bodnar et al., Neural Sheaf Diffusion,
    2022, eq. 4): :func:`stalk_linear`, :func:`block_matmul` and :func:`residual`.

    Args:
        x: ``(n, d, channels)``.
        left, right: W_1 and W_2, as for :func:`stalk_linear`.
        diagonal, blocks, face, face_ptr, by_face: L, as for :func:`block_matmul`.
        factor, activation: as for :func:`residual`.
        p, seed: of the dropout; see :func:`dropout`.

    Returns:
        ``(n, d, channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    vertex_linear.check_stalk_linear(x, left, right, p)
    sheaf.check_block_matmul(x, diagonal, blocks, face, face_ptr, by_face)
    step.check_residual(x, x, factor, activation)
    seed = step.draw_seed(p, seed)
    graph = (face, face_ptr, by_face)
    return _diffusion_step(x, left, right, diagonal, blocks, *graph, factor, activation, p, seed)[0]


def _gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, left, right, *of_laplacian, factor, activation, p, seed = a
    y, z = results[1:]
    if torch.is_grad_enabled():  # of the gradient: every step must be differentiable
        y = vertex_linear.stalk_linear(x, left, right, p, seed)
        z = sheaf.block_matmul(y, *of_laplacian)
    dx, dz, dfactor, _ = step.residual_gradient(None, [x, z, factor, activation], (), grad)
    of_product = (True, needed[3], needed[4])
    dy, *dlaplacian = sheaf.block_matmul_gradient(of_product, [y, *of_laplacian], (), dz)
    of_maps = (needed[0], needed[1], needed[2])
    through, dleft, dright, _, _ = vertex_linear.stalk_linear_gradient(
        of_maps, [x, left, right, p, seed], (), dy
    )
    return (
        dx + through if needed[0] else None, dleft, dright, *dlaplacian, dfactor, None, None, None
    )  # fmt: skip


_diffusion_step = define(
    "diffusion_step",
    "(Tensor x, Tensor? left, Tensor? right, Tensor? diagonal, Tensor blocks, Tensor face,"
    " Tensor face_ptr, Tensor by_face, Tensor factor, str activation, float p, int seed)"
    " -> (Tensor, Tensor, Tensor)",
    lambda x, *_: tuple(
        torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(3)
    ),
    _gradient,
    saves=(0, 1, 2, 3, 4, 5, 6, 7, 8),
    saves_results=True,
)
