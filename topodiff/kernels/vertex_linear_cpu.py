"""Linear maps of the state after dropout, compiled: allocate results, hand over addresses."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import cpu
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.cpu import _cpu
from topodiff.kernels.step import threshold_of


def _state(x: Tensor, p: float, seed: int) -> tuple:
    """The first arguments of every kernel; x is contiguous."""
    wide = x.dtype is torch.float64
    return wide, torch.get_num_threads(), *x.shape, seed, *threshold_of(p), x.data_ptr()


def stalk_linear(
    x: Tensor, left: Tensor | None, right: Tensor | None, p: float, seed: int
) -> Tensor:
    x = x.contiguous()
    left, right = _matrix(left), _matrix(right)
    out = cpu._empty(x, *x.shape)
    _cpu.stalk_linear(*_state(x, p, seed), _address(left), _address(right), out.data_ptr())
    return out


def stalk_linear_backward(
    grad: Tensor, x: Tensor, left: Tensor | None, right: Tensor | None, p: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, left and right; empty where there is no matrix."""
    grad, x = grad.contiguous(), x.contiguous()
    left, right = _matrix(left), _matrix(right)
    dx = cpu._empty(x, *x.shape)
    dleft = cpu._empty(x, *(0,) if left is None else left.shape)
    dright = cpu._empty(x, *(0,) if right is None else right.shape)
    _cpu.stalk_linear_backward(
        *_state(x, p, seed), _address(left), _address(right), grad.data_ptr(), dx.data_ptr(),
        dleft.data_ptr(), dright.data_ptr(),
    )  # fmt: skip
    return dx, dleft, dright


def _matrix(w: Tensor | None) -> Tensor | None:
    return None if w is None else w.contiguous()


def _address(w: Tensor | None) -> int:
    return 0 if w is None else w.data_ptr()


def _run_pairs(  # type: ignore[no-untyped-def]
    kernel, projected: Tensor, x: Tensor, weight: Tensor, face: Tensor, face_ptr: Tensor,
    by_face: Tensor, activation: str, p: float, seed: int, *arrays: Tensor,
) -> None:  # fmt: skip
    weight, face = weight.contiguous(), face.contiguous()
    face_ptr, by_face = face_ptr.contiguous(), by_face.contiguous()
    _, outputs, width = weight.shape
    good = kernel(
        *_state(x, p, seed), weight.data_ptr(), outputs, width, ACTIVATIONS.index(activation),
        face.dtype is torch.int64, face.shape[0], face.data_ptr(), face_ptr.data_ptr(),
        by_face.data_ptr(), projected.data_ptr(), *[a.data_ptr() for a in arrays],
    )  # fmt: skip
    if not good:
        raise ValueError(
            f"face and by_face must lie in range and face_ptr must rise from 0 to {face.shape[0]}"
        )


def pair_linear(
    x: Tensor, weight: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, activation: str,
    p: float, seed: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    x, outputs = x.contiguous(), weight.shape[1]
    out, projected = cpu._empty(x, face.shape[0], outputs), cpu._empty(x, len(x), 2 * outputs)
    graph = (face, face_ptr, by_face)
    _run_pairs(_cpu.pair_linear, projected, x, weight, *graph, activation, p, seed, out)
    return out, projected


def pair_linear_backward(
    grad: Tensor, projected: Tensor, x: Tensor, weight: Tensor, face: Tensor, face_ptr: Tensor,
    by_face: Tensor, activation: str, p: float, seed: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    grad, projected, x = grad.contiguous(), projected.contiguous(), x.contiguous()
    dx, dweight = cpu._empty(x, *x.shape), cpu._empty(x, *weight.shape)
    arguments = (projected, x, weight, face, face_ptr, by_face, activation, p, seed)
    _run_pairs(_cpu.pair_linear_backward, *arguments, grad, dx, dweight)
    return dx, dweight


OPERATIONS = (stalk_linear, stalk_linear_backward, pair_linear, pair_linear_backward)
