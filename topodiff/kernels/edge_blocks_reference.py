"""Blocks of sheaf Laplacians with diagonal maps in plain PyTorch: the oracle of the tests."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels.precision import rounded_once
from topodiff.kernels.reference import check_index, check_ptr, scatter_sum


def scale_of(maps: Tensor, face_ptr: Tensor, by_face: Tensor, augmented: bool) -> Tensor:
    """``(D + 1)^{-1/2}``, or ``D^{-1/2}`` with 0 where D is 0."""
    total = _at_vertices(maps * maps, face_ptr, by_face) + float(augmented)
    positive = total > 0
    return torch.where(positive, torch.where(positive, total, 1.0).rsqrt(), 0.0)


def _at_vertices(of_incidences: Tensor, face_ptr: Tensor, by_face: Tensor) -> Tensor:
    n = face_ptr.shape[0] - 1
    vertex = torch.arange(n, device=by_face.device).repeat_interleave(face_ptr.diff())
    return scatter_sum(of_incidences[by_face], vertex, n, False)


def _other(of_incidences: Tensor) -> Tensor:
    """What belongs to the other end of the edge."""
    return of_incidences.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


@rounded_once
def edge_blocks(
    maps: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, augmented: bool
) -> tuple[Tensor, Tensor, Tensor]:
    check_ptr(face_ptr, face.shape[0])
    check_index(by_face, face.shape[0])
    check_index(face, face_ptr.shape[0] - 1)
    scale = scale_of(maps, face_ptr, by_face, augmented)
    scaled = maps * scale[face]
    diagonal = _at_vertices(maps * maps, face_ptr, by_face) * scale * scale
    return diagonal, -scaled[0::2] * scaled[1::2], scale


@rounded_once
def edge_blocks_backward(
    of_diagonal: Tensor, of_blocks: Tensor, maps: Tensor, scale: Tensor, face: Tensor,
    face_ptr: Tensor, by_face: Tensor, augmented: bool,
) -> Tensor:  # fmt: skip
    both = of_blocks.repeat_interleave(2, 0)
    of_scale = -_at_vertices(both * maps * _other(maps * scale[face]), face_ptr, by_face)
    square = scale * scale
    of_total = of_diagonal * float(augmented) * square * square - of_scale * square * scale / 2
    at_ends = scale[face]
    return 2 * maps * of_total[face] - both * _other(maps) * at_ends * _other(at_ends)


OPERATIONS = (edge_blocks, edge_blocks_backward)
