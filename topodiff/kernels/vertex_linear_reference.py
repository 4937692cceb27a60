"""Linear maps of the state after dropout in plain PyTorch: the oracle of the tests."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels.activations import activate, derivative
from topodiff.kernels.reference import check_index, check_ptr, scatter_sum
from topodiff.kernels.step_reference import dropout


def stalk_linear(
    x: Tensor, left: Tensor | None, right: Tensor | None, p: float, seed: int
) -> Tensor:
    y = _dropped(x, p, seed)
    y = y if right is None else y @ right.mT
    return y if left is None else left @ y


def stalk_linear_backward(
    grad: Tensor, x: Tensor, left: Tensor | None, right: Tensor | None, p: float, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, left and right; empty where there is no matrix."""
    y = _dropped(x, p, seed)
    h = grad if right is None else grad @ right
    k = grad if left is None else left.mT @ grad
    dx = _dropped(h if left is None else left.mT @ h, p, seed)
    dleft = x.new_empty(0) if left is None else torch.einsum("nac,nbc->ab", h, y)
    dright = x.new_empty(0) if right is None else torch.einsum("nda,ndb->ab", k, y)
    return dx, dleft, dright


def pair_linear(
    x: Tensor, weight: Tensor, face: Tensor, face_ptr: Tensor, by_face: Tensor, activation: str,
    p: float, seed: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The result, and what W_1 and W_2 make of every vertex."""
    check_ptr(face_ptr, face.shape[0])
    check_index(by_face, face.shape[0])
    check_index(face, x.shape[0])
    projected = projection(x, weight, p, seed)
    return activate(_at_pairs(projected, face), activation), projected


def projection(x: Tensor, weight: Tensor, p: float, seed: int) -> Tensor:
    """``(n, 2 outputs)``: W_1 and W_2 of every vertex."""
    return _input(x, weight, p, seed) @ weight.flatten(0, 1).mT


def pair_linear_backward(
    grad: Tensor, projected: Tensor, x: Tensor, weight: Tensor, face: Tensor, face_ptr: Tensor,
    by_face: Tensor, activation: str, p: float, seed: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gradients of x and weight."""
    dz = grad * derivative(_at_pairs(projected, face), activation)
    of_vertices = torch.cat([dz, _other(dz)], 1)
    of_projection = scatter_sum(of_vertices, face, x.shape[0], False)
    dweight = of_projection.mT @ _input(x, weight, p, seed)
    dy = of_projection @ weight.flatten(0, 1)
    if _folds(weight, x):
        dy = dy[:, None].expand_as(x)
    return _dropped(dy.reshape(x.shape), p, seed), dweight.view(weight.shape)


def _dropped(x: Tensor, p: float, seed: int) -> Tensor:
    return dropout(x, p, seed) if p else x


def _input(x: Tensor, weight: Tensor, p: float, seed: int) -> Tensor:
    y = _dropped(x, p, seed)
    return y.sum(1) if _folds(weight, x) else y.flatten(1)


def _folds(weight: Tensor, x: Tensor) -> bool:
    """Whether W acts on the sum over the stalk."""
    return weight.shape[2] < x.shape[1] * x.shape[2]


def _other(of_incidences: Tensor) -> Tensor:
    """What belongs to the other end of the edge."""
    return of_incidences.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)


def _at_pairs(projected: Tensor, face: Tensor) -> Tensor:
    own, other = projected[face].chunk(2, 1)
    return own + _other(other)


OPERATIONS = (stalk_linear, stalk_linear_backward, pair_linear, pair_linear_backward)
