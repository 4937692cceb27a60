"""The operations: what each is called in ``torch.ops.topodiff``, its shapes and its gradient.

Sums, gathers and their transposes are closed under differentiation: each gradient is one of the
others, so every order of derivative works. The two fused nonlinear gradients (softmax, coface
message) are spelled out in those linear operations where a derivative of the gradient is asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels.activations import derivative
from topodiff.kernels.library import Operation, define


def _rows(x: Tensor, rows: Any) -> Tensor:
    return x.new_empty((rows, *x.shape[1:]))


def _extreme(x: Tensor, rows: Any, where: bool) -> tuple[Tensor, Tensor]:
    out = _rows(x, rows)
    return out, out.new_empty(out.shape if where else (0,), dtype=torch.int64)


# ---- sorted segments

segment_sum: Operation = define(
    "segment_sum",
    "(Tensor x, Tensor ptr, bool mean) -> Tensor",
    lambda x, ptr, mean: _rows(x, ptr.shape[0] - 1),
    lambda needed, a, results, grad: (segment_expand(grad, a[1], a[0][0], a[2]), None, None),
    saves=(1,),
)
segment_expand: Operation = define(
    "segment_expand",
    "(Tensor x, Tensor ptr, SymInt nnz, bool mean) -> Tensor",
    lambda x, ptr, nnz, mean: _rows(x, nnz),
    lambda needed, a, results, grad: (segment_sum(grad, a[1], a[3]), None, None, None),
    saves=(1,),
)
segment_extreme: Operation = define(
    "segment_extreme",
    "(Tensor x, Tensor ptr, bool largest, bool where) -> (Tensor, Tensor)",
    lambda x, ptr, largest, where: _extreme(x, ptr.shape[0] - 1, where),
    lambda needed, a, results, grad: (place(grad, results[1], a[0][0], True), *[None] * 3),
    saves_results=True,
)


def _softmax_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    y, ptr = results[0], a[1]
    if not torch.is_grad_enabled():
        return segment_softmax_backward(grad, y, ptr), None
    inner = segment_sum(grad * y, ptr, False)
    return y * (grad - segment_expand(inner, ptr, y.shape[0], False)), None


segment_softmax: Operation = define(
    "segment_softmax",
    "(Tensor x, Tensor ptr) -> Tensor",
    lambda x, ptr: _rows(x, x.shape[0]),
    _softmax_gradient,
    saves=(1,),
    saves_results=True,
)
segment_softmax_backward: Operation = define(
    "segment_softmax_backward",
    "(Tensor grad, Tensor y, Tensor ptr) -> Tensor",
    lambda grad, y, ptr: _rows(y, y.shape[0]),
)

# ---- unsorted index


scatter_sum: Operation = define(
    "scatter_sum",
    "(Tensor x, Tensor index, SymInt num_segments, bool mean) -> Tensor",
    lambda x, index, num_segments, mean: _rows(x, num_segments),
    lambda needed, a, results, grad: (scatter_expand(grad, a[1], a[3]), None, None, None),
    saves=(1,),
)
scatter_expand: Operation = define(
    "scatter_expand",
    "(Tensor x, Tensor index, bool mean) -> Tensor",
    lambda x, index, mean: _rows(x, index.shape[0]),
    lambda needed, a, results, grad: (scatter_sum(grad, a[1], a[0][0], a[2]), None, None),
    saves=(1,),
)
scatter_extreme: Operation = define(
    "scatter_extreme",
    "(Tensor x, Tensor index, SymInt num_segments, bool largest, bool where) -> (Tensor, Tensor)",
    lambda x, index, num_segments, largest, where: _extreme(x, num_segments, where),
    lambda needed, a, results, grad: (place(grad, results[1], a[0][0], True), *[None] * 4),
    saves_results=True,
)
place: Operation = define(
    "place",
    "(Tensor x, Tensor rows, SymInt num_rows, bool unique) -> Tensor",
    lambda x, rows, num_rows, unique: _rows(x, num_rows),
    lambda needed, a, results, grad: (pick(grad, a[1]), None, None, None),
    saves=(1,),
)
pick: Operation = define(
    "pick",
    "(Tensor x, Tensor rows) -> Tensor",
    lambda x, rows: _rows(x, rows.shape[0]),
    lambda needed, a, results, grad: (place(grad, a[1], a[0][0], False), None),
    saves=(1,),
)

# ---- gather and reduce


def _gather_sum_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, index, ptr, weight, mean = a
    dx = spread_sum(grad, index, ptr, weight, x.shape[0], mean) if needed[0] else None
    dw = gather_dot(x, grad, index, ptr, mean) if needed[3] else None
    return dx, None, None, dw, None


def _spread_sum_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, index, ptr, weight, _, mean = a
    dx = gather_sum(grad, index, ptr, weight, mean) if needed[0] else None
    dw = gather_dot(grad, x, index, ptr, mean) if needed[3] else None
    return dx, None, None, dw, None, None


def _gather_dot_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, g, index, ptr, mean = a
    dx = spread_sum(g, index, ptr, grad, x.shape[0], mean) if needed[0] else None
    dg = gather_sum(x, index, ptr, grad, mean) if needed[1] else None
    return dx, dg, None, None, None


def _gather_extreme_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, index, _, weight = a[:4]
    entry = results[1]
    rows = index.long()[entry.clamp(min=0)].masked_fill(entry < 0, -1) if index.numel() else entry
    if weight is None:
        return place(grad, rows, x.shape[0], False), *[None] * 5
    chosen = pick(weight.to(x.dtype), entry.flatten()).reshape(entry.shape)
    dx = place(grad * chosen, rows, x.shape[0], False) if needed[0] else None
    dw = None
    if needed[3]:
        product = (grad * pick(x, rows)).reshape(-1)  # flatten knows no batches
        dw = place(product, entry.flatten(), weight.shape[0], False)
    return dx, None, None, dw, None, None


gather_sum: Operation = define(
    "gather_sum",
    "(Tensor x, Tensor index, Tensor ptr, Tensor? weight, bool mean) -> Tensor",
    lambda x, index, ptr, weight, mean: _rows(x, ptr.shape[0] - 1),
    _gather_sum_gradient,
    saves=(0, 1, 2, 3),
)
gather_extreme: Operation = define(
    "gather_extreme",
    "(Tensor x, Tensor index, Tensor ptr, Tensor? weight, bool largest, bool where)"
    " -> (Tensor, Tensor)",
    lambda x, index, ptr, weight, largest, where: _extreme(x, ptr.shape[0] - 1, where),
    _gather_extreme_gradient,
    saves=(0, 1, 3),
    saves_results=True,
)
spread_sum: Operation = define(
    "spread_sum",
    "(Tensor x, Tensor index, Tensor ptr, Tensor? weight, SymInt num_rows, bool mean) -> Tensor",
    lambda x, index, ptr, weight, num_rows, mean: _rows(x, num_rows),
    _spread_sum_gradient,
    saves=(0, 1, 2, 3),
)
gather_dot: Operation = define(
    "gather_dot",
    "(Tensor x, Tensor g, Tensor index, Tensor ptr, bool mean) -> Tensor",
    lambda x, g, index, ptr, mean: x.new_empty(index.shape[0]),
    _gather_dot_gradient,
    saves=(0, 1, 2, 3),
)


def _few_channels(x: Tensor) -> bool:
    """Whether to add to faces in the order of cells: one access at random for each entry, where
    the order of faces takes three, but every thread reads all entries. The sums are the same.
    """
    few = x.is_cpu and x.shape[0] > 0 and x.numel() <= 8 * x.shape[0]
    return few and torch.get_num_threads() <= 2


def _incidence_sum_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, face, cell, sign, cell_ptr, face_ptr, by_face, transpose = a
    dx = dw = None
    if needed[0] and transpose and _few_channels(grad):
        dx = spread_sum(grad, face, cell_ptr, sign, face_ptr.shape[0] - 1, False)
    elif needed[0]:
        arrays = (face, cell, sign, cell_ptr, face_ptr, by_face)
        dx = incidence_sum(grad, *arrays, not transpose)
    if needed[3]:
        on_faces, on_cells = (x, grad) if transpose else (grad, x)
        dw = gather_dot(on_faces, on_cells, face, cell_ptr, False)
    return dx, None, None, dw, None, None, None, None


incidence_sum: Operation = define(
    "incidence_sum",
    "(Tensor x, Tensor face, Tensor cell, Tensor? sign, Tensor cell_ptr, Tensor face_ptr,"
    " Tensor by_face, bool transpose) -> Tensor",
    lambda x, face, cell, sign, cell_ptr, face_ptr, by_face, transpose: _rows(
        x, (cell_ptr if transpose else face_ptr).shape[0] - 1
    ),
    _incidence_sum_gradient,
    saves=(0, 1, 2, 3, 4, 5, 6),
)

# ---- coface message


def _fake_coface(
    p: Any, q: Any, face: Tensor, cell_ptr: Tensor, face_ptr: Tensor, *_: Any
) -> Tensor:
    return _rows(q if p is None else p, face_ptr.shape[0] - 1)


def _fake_coface_backward(
    grad: Tensor, p: Any, q: Any, face: Tensor, cell_ptr: Tensor, face_ptr: Tensor,
    by_face: Tensor, activation: str, need_p: bool, need_q: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    dp = _rows(grad, face_ptr.shape[0] - 1) if need_p else grad.new_empty(0)
    dq = _rows(grad, cell_ptr.shape[0] - 1) if need_q else grad.new_empty(0)
    return dp, dq


def _coface_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    if torch.is_grad_enabled():
        dp, dq = _coface_composite(grad, *a)
    else:
        dp, dq = coface_message_backward(grad, *a, *needed[:2])
    return dp if needed[0] else None, dq if needed[1] else None, *[None] * 5


def _coface_composite(
    grad: Tensor, p: Tensor | None, q: Tensor | None, face: Tensor, cell_ptr: Tensor,
    face_ptr: Tensor, by_face: Tensor, activation: str,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The gradient in differentiable operations, one row per incidence."""
    nnz = face.shape[0]
    terms = [] if p is None else [scatter_expand(p, face, False)]
    terms += [] if q is None else [segment_expand(q, cell_ptr, nnz, False)]
    total = gather_sum(grad, face, cell_ptr, None, False)
    others = segment_expand(total, cell_ptr, nnz, False) - scatter_expand(grad, face, False)
    dz = others * derivative(sum(terms[1:], terms[0]), activation)
    return scatter_sum(dz, face, face_ptr.shape[0] - 1, False), segment_sum(dz, cell_ptr, False)


coface_message: Operation = define(
    "coface_message",
    "(Tensor? p, Tensor? q, Tensor face, Tensor cell_ptr, Tensor face_ptr, Tensor by_face,"
    " str activation) -> Tensor",
    _fake_coface,
    _coface_gradient,
    saves=(0, 1, 2, 3, 4, 5),
)
coface_message_backward: Operation = define(
    "coface_message_backward",
    "(Tensor grad, Tensor? p, Tensor? q, Tensor face, Tensor cell_ptr, Tensor face_ptr,"
    " Tensor by_face, str activation, bool need_p, bool need_q) -> (Tensor, Tensor)",
    _fake_coface_backward,
)

# ---- sorting

sort_by_key: Operation = define(
    "sort_by_key",
    "(Tensor key, SymInt num_keys) -> (Tensor, Tensor)",
    lambda key, num_keys: (key.new_empty(num_keys + 1), torch.empty_like(key)),
)
