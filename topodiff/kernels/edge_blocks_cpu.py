"""Blocks of sheaf Laplacians with diagonal maps, compiled."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import cpu
from topodiff.kernels.cpu import _cpu


def _run(  # type: ignore[no-untyped-def]
    kernel, maps: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, augmented: bool,
    *arrays: Tensor,
) -> None:  # fmt: skip
    face, face_ptr, by_face = face.contiguous(), face_ptr.contiguous(), by_face.contiguous()
    good = kernel(
        maps.dtype is torch.float64, face.dtype is torch.int64, torch.get_num_threads(),
        face_ptr.shape[0] - 1, face.shape[0], maps.shape[1], float(augmented), face.data_ptr(),
        face_ptr.data_ptr(), by_face.data_ptr(), *[a.data_ptr() for a in arrays],
    )  # fmt: skip
    if not good:
        raise ValueError(
            f"face and by_face must lie in range and face_ptr must rise from 0 to {face.shape[0]}"
        )


def edge_blocks(
    maps: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, augmented: bool
) -> tuple[Tensor, Tensor, Tensor]:
    maps = maps.contiguous()
    n, d = face_ptr.shape[0] - 1, maps.shape[1]
    diagonal, scale = cpu._empty(maps, n, d), cpu._empty(maps, n, d)
    blocks = cpu._empty(maps, face.shape[0] // 2, d)
    arrays = (maps, diagonal, blocks, scale)
    _run(_cpu.edge_blocks, maps, face, face_ptr, by_face, augmented, *arrays)
    return diagonal, blocks, scale


def edge_blocks_backward(
    of_diagonal: Tensor, of_blocks: Tensor, maps: Tensor, scale: Tensor, face: Tensor,
    face_ptr: Tensor, by_face: Tensor, augmented: bool,
) -> Tensor:  # fmt: skip
    maps = maps.contiguous()
    out, work = cpu._empty(maps, *maps.shape), cpu._empty(scale, *scale.shape)
    arrays = (maps, scale, of_diagonal.contiguous(), of_blocks.contiguous(), work, out)
    _run(_cpu.edge_blocks_backward, maps, face, face_ptr, by_face, augmented, *arrays)
    return out


OPERATIONS = (edge_blocks, edge_blocks_backward)
