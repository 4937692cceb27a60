"""Linear maps of the state of a vertex after dropout: of stalk and channels, and of both ends of an
edge.

One operation each, forward and backward: on small graphs the number of calls is the cost, and on
large ones the number of passes over the state. Second derivatives are composed of plain operations.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import checks, vertex_linear_reference
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.library import define
from topodiff.kernels.step import check_probability, draw_seed


def stalk_linear(
    x: Tensor, left: Tensor | None, right: Tensor | None, p: float = 0.0, seed: int | None = None
) -> Tensor:
    """``out_v = W_1 dropout(x)_v W_2^T``, one matrix for all stalks and one for all channels.

    Args:
        x: ``(n, d, channels)``.
        left: W_1, ``(d, d)``, or none for the identity.
        right: W_2, ``(channels, channels)``, or none for the identity.
        p, seed: of the dropout; see :func:`dropout`.

    Returns:
        ``(n, d, channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes, or p out of range.
    """
    check_stalk_linear(x, left, right, p)
    return _stalk_linear(x, left, right, p, draw_seed(p, seed))


def pair_linear(
    x: Tensor,
    weight: Tensor,
    face: Tensor,
    face_ptr: Tensor,
    by_face: Tensor,
    activation: str = "identity",
    p: float = 0.0,
    seed: int | None = None,
) -> Tensor:
    """``out_i = act(W [y_v || y_u])`` with y = dropout(x), for each incidence i of a vertex v with
    an edge {v, u}: a product per vertex, ``W_1 y_v + W_2 y_u``, and an addition per incidence.

    Args:
        x: ``(n, d, channels)``.
        weight: W_1 and W_2, ``(2, outputs, d channels)``, or ``(2, outputs, channels)`` to act on
            the sum of y over the stalk.
        face, face_ptr, by_face: as for :func:`block_matmul`.
        activation: ``identity``, ``relu``, ``elu``, ``silu`` or ``tanh``.
        p, seed: of the dropout; see :func:`dropout`.

    Returns:
        ``(2 num_edges, outputs)``, rows of tail and head of the first edge, of the second, and so
        on.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    _check_state(x, p)
    _check_alike("weight", weight, x)
    checks.check_incidence(face, face_ptr, by_face)
    checks.check_choice("activation", activation, ACTIVATIONS)
    checks.check_rows("x", x, face_ptr.shape[0] - 1)
    _, d, channels = x.shape
    if weight.dim() != 3 or len(weight) != 2 or weight.shape[2] not in (channels, d * channels):
        raise ValueError(
            f"weight must have shape (2, outputs, {channels}) or (2, outputs, {d * channels}) for "
            f"states of shape {tuple(x.shape)}, got {tuple(weight.shape)}"
        )
    if face.shape[0] % 2:
        raise ValueError(f"face must hold two vertices for each edge, got {face.shape[0]} entries")
    seed = draw_seed(p, seed)
    return _pair_linear(x, weight, face, face_ptr, by_face, activation, p, seed)[0]


def check_stalk_linear(x: Tensor, left: Tensor | None, right: Tensor | None, p: float) -> None:
    """TypeError or ValueError where :func:`stalk_linear` cannot take its arguments."""
    _check_state(x, p)
    for name, w, size in (("left", left, 1), ("right", right, 2)):
        if w is not None:
            _check_alike(name, w, x)
            if w.shape != (x.shape[size], x.shape[size]):
                raise ValueError(
                    f"{name} must have shape {(x.shape[size],) * 2} for states of shape "
                    f"{tuple(x.shape)}, got {tuple(w.shape)}"
                )


def _check_state(x: Tensor, p: float) -> None:
    checks.check_values("x", x)
    if x.dim() != 3:
        raise ValueError(f"x must have shape (n, d, channels), got {tuple(x.shape)}")
    check_probability(p)


def _check_alike(name: str, w: Tensor, x: Tensor) -> None:
    if not isinstance(w, Tensor) or w.dtype is not x.dtype:
        checks.check_tensors(**{name: w})
        raise TypeError(f"x and {name} must share a dtype, got {x.dtype} and {w.dtype}")


def stalk_linear_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _stalk_linear_backward
    if torch.is_grad_enabled():  # of the gradient: every step must be differentiable
        backward = vertex_linear_reference.stalk_linear_backward
    gradients = backward(grad, *a)
    return *(g if n else None for g, n in zip(gradients, needed[:3], strict=True)), None, None


def _pair_linear_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    backward: Any = _pair_linear_backward
    projected = results[1]
    if torch.is_grad_enabled():
        backward = vertex_linear_reference.pair_linear_backward
        projected = vertex_linear_reference.projection(a[0], a[1], *a[6:])
    return *backward(grad, projected, *a), *[None] * 6


def _like(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _like_or_nothing(w: Tensor | None, x: Tensor) -> Tensor:
    return x.new_empty(0) if w is None else _like(w)


_stalk_linear = define(
    "stalk_linear",
    "(Tensor x, Tensor? left, Tensor? right, float p, int seed) -> Tensor",
    lambda x, *_: _like(x),
    stalk_linear_gradient,
    saves=(0, 1, 2),
)
_stalk_linear_backward = define(
    "stalk_linear_backward",
    "(Tensor grad, Tensor x, Tensor? left, Tensor? right, float p, int seed)"
    " -> (Tensor, Tensor, Tensor)",
    lambda grad, x, left, right, *_: (
        _like(x), _like_or_nothing(left, x), _like_or_nothing(right, x)
    ),
)  # fmt: skip
_pair_linear = define(
    "pair_linear",
    "(Tensor x, Tensor weight, Tensor face, Tensor face_ptr, Tensor by_face, str activation,"
    " float p, int seed) -> (Tensor, Tensor)",
    lambda x, weight, face, *_: (
        x.new_empty(face.shape[0], weight.shape[1]), x.new_empty(x.shape[0], 2 * weight.shape[1])
    ),
    _pair_linear_gradient,
    saves=(0, 1, 2, 3, 4),
    saves_results=True,
)  # fmt: skip
_pair_linear_backward = define(
    "pair_linear_backward",
    "(Tensor grad, Tensor projected, Tensor x, Tensor weight, Tensor face, Tensor face_ptr,"
    " Tensor by_face, str activation, float p, int seed) -> (Tensor, Tensor)",
    lambda grad, projected, x, weight, *_: (_like(x), _like(weight)),
)
