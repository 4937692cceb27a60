"""The three products on which every operator here rests, each with its gradients.

``maps`` carries the signs of the incidences: integers (nnz,) for identities, (nnz,) scalars, (nnz,
d) diagonals or (nnz, d, d). States are (cells, channels), or (cells, d, channels) for stalks; for
scalars the two are alike. The coboundary, its adjoint and the gradient to the maps are the
derivatives of the one form ``sum over incidences of y_c . F_{f<c} x_f``, so they are each other's
gradients, to any order.

Sums go over sorted segments, so results are deterministic. Messages exist for about a megabyte of
incidences at a time only; they then stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import Incidence

_CHUNK_BYTES = 1 << 20


def coboundary(x: Tensor, maps: Tensor, incidence: Incidence) -> Tensor:
    """``(delta x)_c = sum over faces f of c of F_{f<c} x_f``: faces to cells."""
    if maps.dim() == 1:
        return _scalar_product(x, maps, incidence, transpose=True)
    return _Coboundary.apply(x, maps, incidence)


def adjoint(y: Tensor, maps: Tensor, incidence: Incidence) -> Tensor:
    """``(delta^T y)_f = sum over cofaces c of f of F_{f<c}^T y_c``: cells to faces."""
    if maps.dim() == 1:
        return _scalar_product(y, maps, incidence, transpose=False)
    return _Adjoint.apply(y, maps, incidence)


def laplacian(x: Tensor, maps: Tensor, incidence: Incidence, weight: Tensor | None) -> Tensor:
    """``delta^T W delta x`` with one weight (num_cells,) for each cell, or none."""
    y = coboundary(x, maps, incidence)
    if weight is not None:
        y = y * weight.reshape(-1, *[1] * (y.dim() - 1))
    return adjoint(y, maps, incidence)


def _scalar_product(x: Tensor, sign: Tensor, incidence: Incidence, transpose: bool) -> Tensor:
    i = incidence
    return kernels.incidence_matmul(
        x, i.face, i.cell, sign, i.cell_ptr, i.face_ptr, i.by_face, transpose
    )


def _act(maps: Tensor, x: Tensor, transpose: bool) -> Tensor:
    """Every map on its own row of x, which may be overwritten."""
    if maps.dim() == 2:
        return x.mul_(maps.unsqueeze(-1))
    return torch.bmm(maps.mT if transpose else maps, x)


def _chunks(ptr: Tensor, row: Tensor, nnz: int) -> Iterator[tuple[int, int, int, int]]:
    """Ranges of segments and of the entries in them, about a megabyte of rows each."""
    entries = max(_CHUNK_BYTES // max(row.element_size() * row.numel(), 1), 1)
    if nnz <= entries or ptr.is_cuda:
        yield 0, ptr.numel() - 1, 0, nnz
        return
    bounds = torch.searchsorted(ptr[:-1], torch.arange(0, nnz, entries, device=ptr.device))
    bounds[0] = 0
    bounds = torch.cat([bounds.unique_consecutive(), bounds.new_tensor([ptr.numel() - 1])])
    starts = ptr[bounds].tolist()
    segments = bounds.tolist()
    yield from zip(segments, segments[1:], starts, starts[1:], strict=False)


class _Coboundary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, maps: Tensor, incidence: Incidence) -> Tensor:
        ctx.save_for_backward(x, maps)
        ctx.incidence = incidence
        out = x.new_empty(incidence.num_cells, *x.shape[1:])
        ptr = incidence.cell_ptr
        for a, b, start, end in _chunks(ptr, x[:1], incidence.nnz):
            gathered = x.index_select(0, incidence.face[start:end])
            messages = _act(maps[start:end], gathered, transpose=False)
            out[a:b] = kernels.segment_reduce(messages, ptr[a : b + 1] - start)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, maps = ctx.saved_tensors
        for_x, for_maps, _ = ctx.needs_input_grad
        dx = adjoint(grads[0], maps, ctx.incidence) if for_x else None
        dmaps = _MapGradient.apply(grads[0], x, ctx.incidence, maps.dim()) if for_maps else None
        return dx, dmaps, None


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, maps: Tensor, incidence: Incidence) -> Tensor:
        ctx.save_for_backward(y, maps)
        ctx.incidence = incidence
        out = y.new_empty(incidence.num_faces, *y.shape[1:])
        ptr = incidence.face_ptr
        for a, b, start, end in _chunks(ptr, y[:1], incidence.nnz):
            gathered = y.index_select(0, incidence.cell_by_face[start:end])
            of_faces = maps.index_select(0, incidence.by_face[start:end])
            messages = _act(of_faces, gathered, transpose=True)
            out[a:b] = kernels.segment_reduce(messages, ptr[a : b + 1] - start)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        y, maps = ctx.saved_tensors
        for_y, for_maps, _ = ctx.needs_input_grad
        dy = coboundary(grads[0], maps, ctx.incidence) if for_y else None
        dmaps = _MapGradient.apply(y, grads[0], ctx.incidence, maps.dim()) if for_maps else None
        return dy, dmaps, None


class _MapGradient(torch.autograd.Function):
    """``sum over channels of y_c x_f^T`` at every incidence; only its diagonal if ``dim`` is 2."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, incidence: Incidence, dim: int) -> Tensor:
        ctx.save_for_backward(y, x)
        ctx.incidence = incidence
        out = x.new_empty(incidence.nnz, *[x.shape[1]] * (dim - 1))
        for _, _, start, end in _chunks(incidence.cell_ptr, x[:1], incidence.nnz):
            of_cells = y.index_select(0, incidence.cell[start:end])
            of_faces = x.index_select(0, incidence.face[start:end])
            if dim == 3:
                torch.bmm(of_cells, of_faces.mT, out=out[start:end])
            else:
                torch.sum(of_cells.mul_(of_faces), -1, out=out[start:end])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        y, x = ctx.saved_tensors
        for_y, for_x, _, _ = ctx.needs_input_grad
        dy = coboundary(x, grads[0], ctx.incidence) if for_y else None
        dx = adjoint(y, grads[0], ctx.incidence) if for_x else None
        return dy, dx, None, None
