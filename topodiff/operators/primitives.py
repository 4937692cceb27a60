"""The three products on which every operator here rests, each with its gradients.

``maps`` carries the signs of the incidences: integers (nnz,) for identities, (nnz,) scalars, (nnz,
d) diagonals or (nnz, d, d). States are (cells, channels), or (cells, d, channels) for stalks; for
scalars the two are alike. Only state and maps are kept for the gradient, never an array of
messages, and sums go over sorted segments, so results are deterministic. Every order of derivative
works.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import Incidence


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


def _map_gradient(on_cells: Tensor, on_faces: Tensor, maps: Tensor, incidence: Incidence) -> Tensor:
    """``sum over channels of y_c x_f^T`` at every incidence, its diagonal for diagonal maps."""
    y, x = on_cells.index_select(0, incidence.cell), on_faces.index_select(0, incidence.face)
    return y @ x.mT if maps.dim() == 3 else (y * x).sum(-1)


class _Coboundary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, maps: Tensor, incidence: Incidence) -> Tensor:
        ctx.save_for_backward(x, maps)
        ctx.incidence = incidence
        gathered = x.index_select(0, incidence.face)
        messages = maps @ gathered if maps.dim() == 3 else maps.unsqueeze(-1) * gathered
        return kernels.segment_reduce(messages, incidence.cell_ptr)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, maps = ctx.saved_tensors
        for_x, for_maps, _ = ctx.needs_input_grad
        dx = adjoint(grads[0], maps, ctx.incidence) if for_x else None
        return dx, _map_gradient(grads[0], x, maps, ctx.incidence) if for_maps else None, None


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, maps: Tensor, incidence: Incidence) -> Tensor:
        ctx.save_for_backward(y, maps)
        ctx.incidence = incidence
        gathered = y.index_select(0, incidence.cell)
        messages = maps.mT @ gathered if maps.dim() == 3 else maps.unsqueeze(-1) * gathered
        return kernels.gather_reduce(messages, incidence.by_face, incidence.face_ptr)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        y, maps = ctx.saved_tensors
        for_y, for_maps, _ = ctx.needs_input_grad
        dy = coboundary(grads[0], maps, ctx.incidence) if for_y else None
        return dy, _map_gradient(y, grads[0], maps, ctx.incidence) if for_maps else None, None
