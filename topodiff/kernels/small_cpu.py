"""Very small matrices, compiled: allocate results, hand over addresses."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import cpu, rotations_reference, sheaf_reference
from topodiff.kernels.cpu import _cpu
from topodiff.kernels.skew import num_entries


def _operand(x: Tensor, transpose: bool) -> tuple[Tensor, int, bool]:
    """Matrices that the kernel can read, the distance between them, whether to transpose them."""
    n, d, _ = x.shape
    stride, *inner = x.stride()
    if d > 1 and inner == [1, d]:
        inner, transpose = [d, 1], not transpose
    if (d > 1 and inner != [d, 1]) or (n > 1 and 0 < stride < d * d):
        x = x.contiguous()
        stride = d * d
    return x, stride, transpose


def small_matmul(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    n, d, _ = a.shape
    if n == 0 or not 0 < d <= _cpu.max_small_matrix:
        return (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)
    a, a_stride, transpose_a = _operand(a, transpose_a)
    b, b_stride, transpose_b = _operand(b, transpose_b)
    out = cpu._empty(a, n, d, d)
    _cpu.small_matmul(
        a.dtype is torch.float64, torch.get_num_threads(), n, d, a.data_ptr(), a_stride,
        transpose_a, b.data_ptr(), b_stride, transpose_b, out.data_ptr(),
    )  # fmt: skip
    return out


def transports(maps: Tensor, factor: Tensor) -> Tensor:
    n, dim = len(factor), maps.shape[-1]
    if not 0 < dim <= _cpu.max_small_matrix:
        return sheaf_reference.transports(maps, factor)
    maps, factor, out = maps.contiguous(), factor.contiguous(), cpu._empty(maps, n, dim, dim)
    _cpu.transports(
        maps.dtype is torch.float64, torch.get_num_threads(), n, dim, maps.data_ptr(),
        factor.data_ptr(), out.data_ptr(),
    )  # fmt: skip
    return out


def transports_backward(grad: Tensor, maps: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    n, dim = len(factor), maps.shape[-1]
    if not 0 < dim <= _cpu.max_small_matrix:
        return sheaf_reference.transports_backward(grad, maps, factor)
    grad, maps, factor = grad.contiguous(), maps.contiguous(), factor.contiguous()
    dmaps, dfactor = cpu._empty(maps, *maps.shape), cpu._empty(factor, n)
    _cpu.transports_backward(
        maps.dtype is torch.float64, torch.get_num_threads(), n, dim, maps.data_ptr(),
        factor.data_ptr(), grad.data_ptr(), dmaps.data_ptr(), dfactor.data_ptr(),
    )  # fmt: skip
    return dmaps, dfactor


def _rotate(  # type: ignore[no-untyped-def]
    kernel, out: Tensor, dim: int, a: Tensor, b: Tensor | None = None, c: Tensor | None = None,
    rotation: bool = False,
) -> Tensor:  # fmt: skip
    a, b, c = (None if t is None else t.contiguous() for t in (a, b, c))  # type: ignore[assignment]
    kernel(
        a.dtype is torch.float64, torch.get_num_threads(), len(out), dim, a.data_ptr(),
        0 if b is None else b.data_ptr(), 0 if c is None else c.data_ptr(), out.data_ptr(),
        rotation,
    )  # fmt: skip
    return out


def householder(params: Tensor, dim: int, rotation: bool) -> Tensor:
    if dim > _cpu.max_rotation:
        return rotations_reference.householder(params, dim, rotation)
    out = cpu._empty(params, len(params), dim, dim)
    return _rotate(_cpu.householder, out, dim, params, rotation=rotation)


def householder_backward(grad: Tensor, params: Tensor, dim: int, rotation: bool) -> Tensor:
    if dim > _cpu.max_rotation:
        return rotations_reference.householder_backward(grad, params, dim, rotation)
    out = cpu._empty(params, *params.shape)
    return _rotate(_cpu.householder_backward, out, dim, params, grad, rotation=rotation)


def cayley(params: Tensor, dim: int) -> Tensor:
    if dim > _cpu.max_rotation:
        return rotations_reference.cayley(params, dim)
    return _rotate(_cpu.cayley, cpu._empty(params, len(params), dim, dim), dim, params)


def cayley_backward(grad: Tensor, matrix: Tensor, params: Tensor) -> Tensor:
    dim = matrix.shape[-1]
    if dim > _cpu.max_rotation:
        return rotations_reference.cayley_backward(grad, matrix, params)
    out = cpu._empty(matrix, len(matrix), num_entries(dim))
    return _rotate(_cpu.cayley_backward, out, dim, matrix, grad, params)


def exponential(params: Tensor, dim: int) -> Tensor:
    return _rotate(_cpu.exponential, cpu._empty(params, len(params), dim, dim), dim, params)


def exponential_backward(grad: Tensor, params: Tensor, dim: int) -> Tensor:
    out = cpu._empty(params, *params.shape)
    return _rotate(_cpu.exponential_backward, out, dim, params, grad)


OPERATIONS = (
    small_matmul, transports, transports_backward, householder, householder_backward, cayley,
    cayley_backward, exponential, exponential_backward,
)  # fmt: skip
