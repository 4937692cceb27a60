"""Orthogonal matrices from unconstrained parameters, very many at a time, each in one pass.

Gradients are one pass too; derivatives of gradients are composed of plain operations. Of float16
and bfloat16 both are computed in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import checks, rotations_reference
from topodiff.kernels.library import define
from topodiff.kernels.precision import at_least_single
from topodiff.kernels.skew import num_entries


def reflections(params: Tensor, dim: int) -> Tensor:
    """``H_1 ... H_d`` of Householder reflections ``H(v) = I - 2 v v^T / |v|^2`` (Householder 1958),
    of determinant (-1)^d: the family of the published sheaf diffusion models.

    Vector i is ``(0, ..., 0, 1, p, ..., p)`` with d - i free parameters, i = 1, ..., d. Reaches, of
    the orthogonal matrices of that determinant, all but those where column i equals the basis
    vector e_i once the columns before it are undone (the limit of infinite parameters).

    Args:
        params: ``(..., d (d - 1) / 2)``.
        dim: d >= 2.

    Returns:
        ``(..., d, d)``, orthogonal to rounding.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes.
    """
    return _unflatten(_householder(_flatten(params, dim), dim, False), params)


def rotation(params: Tensor, dim: int) -> Tensor:
    """``H_1 ... H_{d-1} diag(-1, ..., -1, 1)``, of determinant +1, the identity at zero parameters.

    As :func:`reflections`. Reaches all of SO(d) but rotations where column i equals -e_i once the
    columns before it are undone, which are the limit of infinite parameters.
    """
    return _unflatten(_householder(_flatten(params, dim), dim, True), params)


def cayley(params: Tensor, dim: int) -> Tensor:
    """``R = (I - A/2)^-1 (I + A/2)`` of the skew-symmetric matrix A with ``params`` below its
    diagonal, row by row (Cayley 1846).

    It agrees with ``exp(A)`` to second order and turns an eigenvalue ``i t`` of A into the angle
    ``2 atan(t / 2)``; rotations with an eigenvalue -1 (an angle of exactly pi) are reached in the
    limit only. For d >= 5 parameters are clamped to +-1e6 in float64 and +-1e3 in other dtypes,
    where angles are within 4e-6 and 4e-3 of pi. Arguments as for :func:`reflections`.
    """
    return _unflatten(_cayley(_flatten(params, dim), dim), params)


def exponential(params: Tensor, dim: int) -> Tensor:
    """``exp(A)`` of the skew-symmetric matrix A with ``params`` below its diagonal, for d = 3 and
    d = 4: the formula of Rodrigues and a pair of commuting quaternions.

    Reaches every rotation. Parameters are clamped to +-1000. Arguments as for :func:`reflections`.
    """
    if dim not in (3, 4):
        raise ValueError(f"the closed form of exp exists for d = 3 and d = 4, got d = {dim}")
    return _unflatten(_exponential(_flatten(params, dim), dim), params)


def _flatten(params: Tensor, dim: int) -> Tensor:
    checks.check_values("params", params)
    if dim < 2 or params.shape[-1] != num_entries(dim):
        raise ValueError(
            f"params must have shape (..., d (d - 1) / 2) for d = {dim} >= 2, "
            f"got {tuple(params.shape)}"
        )
    params = at_least_single(params)
    return params if params.dim() == 2 else params.reshape(-1, params.shape[-1])


def _unflatten(matrix: Tensor, params: Tensor) -> Tensor:
    shape = (*params.shape[:-1], *matrix.shape[1:])
    if matrix.dtype is not params.dtype:
        matrix = matrix.to(params.dtype)
    return matrix if params.dim() == 2 else matrix.reshape(shape)


def _householder_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _householder_backward
    if torch.is_grad_enabled():
        backward = rotations_reference.householder_backward
    return backward(grad, *a), None, None


def _cayley_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _cayley_backward
    if torch.is_grad_enabled():
        backward = rotations_reference.cayley_backward
    return backward(grad, *results, a[0]), None


def _exponential_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _exponential_backward
    if torch.is_grad_enabled():
        backward = rotations_reference.exponential_backward
    return backward(grad, *a), None


def _like_params(grad: Tensor, params: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(params, memory_format=torch.contiguous_format)


_householder = define(
    "householder",
    "(Tensor params, int dim, bool rotation) -> Tensor",
    lambda params, dim, rotation: params.new_empty(params.shape[0], dim, dim),
    _householder_gradient,
    saves=(0,),
)
_householder_backward = define(
    "householder_backward",
    "(Tensor grad, Tensor params, int dim, bool rotation) -> Tensor",
    _like_params,
)
_cayley = define(
    "cayley",
    "(Tensor params, int dim) -> Tensor",
    lambda params, dim: params.new_empty(params.shape[0], dim, dim),
    _cayley_gradient,
    saves=(0,),
    saves_results=True,
)
_cayley_backward = define(
    "cayley_backward",
    "(Tensor grad, Tensor matrix, Tensor params) -> Tensor",
    lambda grad, matrix, params: _like_params(grad, params),
)
_exponential = define(
    "exponential",
    "(Tensor params, int dim) -> Tensor",
    lambda params, dim: params.new_empty(params.shape[0], dim, dim),
    _exponential_gradient,
    saves=(0,),
)
_exponential_backward = define(
    "exponential_backward",
    "(Tensor grad, Tensor params, int dim) -> Tensor",
    _like_params,
)
