"""Blocks of normalised sheaf Laplacians with diagonal maps, in one pass each way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import checks, edge_blocks_reference
from topodiff.kernels.library import define


def edge_blocks(
    maps: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, augmented: bool = False
) -> tuple[Tensor, Tensor]:
    """The blocks, for :func:`block_matmul`, of ``D^{-1/2} L D^{-1/2}`` with

        D_v = sum over edges e of v of F_{v<e}^2,    L = delta^T delta,    F diagonal,

    all entry by entry; ``(D + 1)^{-1/2}`` if ``augmented``, and 0 where D is 0 if not.

    Args:
        maps: F, ``(2 num_edges, d)``: of tail and head of the first edge, of the second, and so on.
        face, face_ptr, by_face: as for :func:`block_matmul`.
        augmented: see above.

    Returns:
        ``(n, d)`` and ``(num_edges, d)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    checks.check_values("maps", maps)
    checks.check_incidence(face, face_ptr, by_face)
    if maps.dim() != 2 or maps.shape[0] != face.shape[0] or face.shape[0] % 2:
        raise ValueError(
            f"maps must have shape (2 num_edges, d), one row for each of {face.shape[0]} "
            f"incidences, got {tuple(maps.shape)}"
        )
    diagonal, blocks, _ = _edge_blocks(maps, face, face_ptr, by_face, augmented)
    return diagonal, blocks


def _gradient(needed: Any, a: list, results: tuple, *grads: Tensor) -> tuple:
    backward: Any = _edge_blocks_backward
    maps, face, face_ptr, by_face, augmented = a
    scale = results[2]
    if torch.is_grad_enabled():  # of the gradient: every step must be differentiable
        backward = edge_blocks_reference.edge_blocks_backward
        scale = edge_blocks_reference.scale_of(maps, face_ptr, by_face, augmented)
    dmaps = backward(*grads, maps, scale, face, face_ptr, by_face, augmented)
    return dmaps, None, None, None, None


def _like(maps: Tensor, face: Tensor, face_ptr: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    n, d = face_ptr.shape[0] - 1, maps.shape[1]
    return maps.new_empty(n, d), maps.new_empty(face.shape[0] // 2, d), maps.new_empty(n, d)


_edge_blocks = define(
    "edge_blocks",
    "(Tensor maps, Tensor face, Tensor face_ptr, Tensor by_face, bool augmented)"
    " -> (Tensor, Tensor, Tensor)",
    _like,
    _gradient,
    saves=(0, 1, 2, 3),
    saves_results=True,
    differentiable=2,
)
_edge_blocks_backward = define(
    "edge_blocks_backward",
    "(Tensor of_diagonal, Tensor of_blocks, Tensor maps, Tensor scale, Tensor face,"
    " Tensor face_ptr, Tensor by_face, bool augmented) -> Tensor",
    lambda of_diagonal, of_blocks, maps, *_: torch.empty_like(
        maps, memory_format=torch.contiguous_format
    ),
)
