"""Products with stalks in plain PyTorch: the oracle of the tests.

States are ``(n, d, channels)``. One map per entry: ``(nnz,)`` scalars, ``(nnz, d)`` diagonals, or
``(nnz, d, d)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels.precision import rounded_once
from topodiff.kernels.reference import check_index, check_ptr, scatter_sum


def act(maps: Tensor, x: Tensor, transpose: bool = False) -> Tensor:
    """Every map on its own row of x."""
    if maps.dim() == 3:
        return (maps.mT if transpose else maps) @ x
    return maps.reshape(*maps.shape, *[1] * (3 - maps.dim())) * x


def outer(y: Tensor, x: Tensor, dim: int) -> Tensor:
    """``y_e x_f^T`` in the form of maps with ``dim`` dimensions: all of it, its diagonal, its
    trace."""
    if dim == 3:
        return y @ x.mT
    product = (y * x).sum(-1)
    return product if dim == 2 else product.sum(-1)


@rounded_once
def sheaf_sum(
    x: Tensor, maps: Tensor, face: Tensor, cell: Tensor, cell_ptr: Tensor, face_ptr: Tensor,
    by_face: Tensor, transpose: bool,
) -> Tensor:  # fmt: skip
    source, target, ptr = (face, cell, cell_ptr) if transpose else (cell, face, face_ptr)
    check_ptr(ptr, face.shape[0])
    check_index(by_face, face.shape[0])
    check_index(source, x.shape[0])
    messages = act(maps, x[source], transpose=not transpose)
    return scatter_sum(messages, target, ptr.shape[0] - 1, False)


@rounded_once
def sheaf_outer(
    y: Tensor, x: Tensor, face: Tensor, cell: Tensor, cell_ptr: Tensor, face_ptr: Tensor,
    by_face: Tensor, dim: int,
) -> Tensor:  # fmt: skip
    check_index(cell, y.shape[0])
    check_index(face, x.shape[0])
    return outer(y[cell], x[face], dim)


@rounded_once
def block_matmul(
    x: Tensor, diagonal: Tensor | None, blocks: Tensor, face: Tensor, face_ptr: Tensor,
    by_face: Tensor,
) -> Tensor:  # fmt: skip
    check_ptr(face_ptr, face.shape[0])
    check_index(by_face, face.shape[0])
    check_index(face, x.shape[0])
    tail, head = face.view(-1, 2).unbind(1)
    out = torch.zeros_like(x) if diagonal is None else act(diagonal, x)
    out = out.index_add(0, head, act(blocks, x[tail]))
    return out.index_add(0, tail, act(blocks, x[head], transpose=True))


@rounded_once
def block_outer(
    g: Tensor, x: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, dim: int
) -> Tensor:
    check_index(face, x.shape[0])
    tail, head = face.view(-1, 2).unbind(1)
    return outer(g[head], x[tail], dim) + outer(x[head], g[tail], dim)


def small_matmul(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    return (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)


def transports(maps: Tensor, factor: Tensor) -> Tensor:
    tail, head = maps[0::2], maps[1::2]
    return factor[:, None, None] * (head.mT @ tail)


@rounded_once
def transports_backward(grad: Tensor, maps: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of maps and factor."""
    tail, head = maps[0::2], maps[1::2]
    scaled = factor[:, None, None] * grad
    dmaps = torch.stack([head @ scaled, tail @ scaled.mT], 1).flatten(0, 1)
    return dmaps, (grad * (head.mT @ tail)).sum((1, 2))


OPERATIONS = (
    sheaf_sum, sheaf_outer, block_matmul, block_outer, small_matmul, transports,
    transports_backward,
)  # fmt: skip
