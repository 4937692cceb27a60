"""Products with a matrix per incidence or per edge, on states that have a stalk at each cell.

No array of the size incidences x d x channels exists, forward or backward. The operations are
bilinear and each other's gradients, so every order of derivative works: :func:`sheaf_matmul` and
the gradient to its maps derive from one form ``sum over incidences of y_c . F_{f<c} x_f``, and
:func:`block_matmul` and the gradient to its blocks from ``y . L x``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import checks
from topodiff.kernels.library import define


def sheaf_matmul(
    x: Tensor,
    maps: Tensor,
    face: Tensor,
    cell: Tensor,
    cell_ptr: Tensor,
    face_ptr: Tensor,
    by_face: Tensor,
    transpose: bool = False,
) -> Tensor:
    """Sheaf coboundary ``(delta x)_c = sum over faces f of c of F_{f<c} x_f`` (``transpose``,
    faces to cells) or its adjoint ``(delta^T y)_f = sum over cofaces c of f of F_{f<c}^T y_c``.

    Index arrays must stay as they are: what is looked up from them is kept, and noticed to be stale
    only after writes by operations of PyTorch, not through ``.data`` or an array of numpy that
    shares the memory. Pass a new tensor then.

    Args:
        x: ``(num_cells, d, channels)``, with ``transpose`` ``(num_faces, d, channels)``.
        maps: ``(nnz, d, d)``, ``(nnz, d)`` diagonals or ``(nnz,)`` scalars, signs included, in the
            order of ``face``.
        face, cell, cell_ptr, face_ptr, by_face: as for :func:`topodiff.kernels.incidence_matmul`.

    Returns:
        ``(num_faces, d, channels)``, with ``transpose`` ``(num_cells, d, channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    checks.check_incidence(face, face_ptr, by_face, cell_ptr, cell)
    _check_state("x", x, (face_ptr if transpose else cell_ptr).shape[0] - 1)
    _check_blocks("maps", maps, face.shape[0], x)
    return sheaf_sum(x, maps, face, cell, cell_ptr, face_ptr, by_face, transpose)


def block_matmul(
    x: Tensor,
    diagonal: Tensor | None,
    blocks: Tensor,
    face: Tensor,
    face_ptr: Tensor,
    by_face: Tensor,
) -> Tensor:
    """Product with a matrix of blocks on a graph, ``B_e`` from tail to head of each edge and its
    transpose back:

        (L x)_v = D_v x_v + sum over edges e from u to v of B_e x_u
                          + sum over edges e from v to u of B_e^T x_u.

    A sheaf Laplacian is ``D_v = sum over e of F_{v<e}^T F_{v<e}`` and
    ``B_e = - F_{head<e}^T F_{tail<e}``: one small product per edge and direction, where
    ``delta^T delta`` takes three.

    Index arrays must stay as they are: what is looked up from them is kept, and noticed to be stale
    only after writes by operations of PyTorch, not through ``.data`` or an array of numpy that
    shares the memory. Pass a new tensor then.

    Args:
        x: ``(n, d, channels)``.
        diagonal: ``(n, d, d)``, ``(n, d)``, ``(n,)``, or none for zero.
        blocks: ``(num_edges, d, d)``, ``(num_edges, d)`` diagonals or ``(num_edges,)`` scalars.
        face: ``(2 num_edges,)``: tail and head of the first edge, of the second, and so on.
        face_ptr, by_face: as from ``sort_by_key(face, n)``.

    Returns:
        ``(n, d, channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    check_block_matmul(x, diagonal, blocks, face, face_ptr, by_face)
    return _block_matmul(x, diagonal, blocks, face, face_ptr, by_face)


def small_matmul(
    a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False
) -> Tensor:
    """``a_i b_i`` (or their transposes) for very many very small square matrices.

    Args:
        a, b: ``(n, d, d)``; strides between matrices may be any.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes.
    """
    checks.check_values("a", a)
    if a.dim() != 3 or a.shape[1] != a.shape[2]:
        raise ValueError(f"a must have shape (n, d, d), got {tuple(a.shape)}")
    if not isinstance(b, Tensor):
        checks.check_tensors(b=b)
    if b.shape != a.shape or b.dtype is not a.dtype:
        raise ValueError(
            f"a and b must share shape and dtype, got {tuple(a.shape)} {a.dtype} and "
            f"{tuple(b.shape)} {b.dtype}"
        )
    return _small_matmul(a, b, transpose_a, transpose_b)


def check_block_matmul(
    x: Tensor, diagonal: Tensor | None, blocks: Tensor, face: Tensor, face_ptr: Tensor,
    by_face: Tensor,
) -> None:  # fmt: skip
    """TypeError or ValueError where :func:`block_matmul` cannot take its arguments."""
    checks.check_incidence(face, face_ptr, by_face)
    if face.shape[0] % 2:
        raise ValueError(f"face must hold two vertices for each edge, got {face.shape[0]} entries")
    _check_state("x", x, face_ptr.shape[0] - 1)
    if diagonal is not None:
        _check_blocks("diagonal", diagonal, x.shape[0], x)
    _check_blocks("blocks", blocks, face.shape[0] // 2, x)


def _check_state(name: str, x: Tensor, rows: int) -> None:
    checks.check_values(name, x)
    if x.dim() != 3:
        raise ValueError(
            f"{name} must have shape (cells, stalk_dim, channels), got {tuple(x.shape)}"
        )
    checks.check_rows(name, x, rows)


def _check_blocks(name: str, blocks: Tensor, count: int, x: Tensor) -> None:
    d = x.shape[1]
    if not isinstance(blocks, Tensor) or blocks.dtype is not x.dtype:
        given = blocks.dtype if isinstance(blocks, Tensor) else type(blocks).__name__
        raise TypeError(f"{name} must be a tensor of {x.dtype} as x, got {given}")
    if blocks.dim() not in (1, 2, 3) or blocks.shape != (count, d, d)[: blocks.dim()]:
        raise ValueError(
            f"{name} must have shape ({count},), ({count}, {d}) or ({count}, {d}, {d}), got "
            f"{tuple(blocks.shape)}"
        )


# ---- operations

_INCIDENCE = "Tensor face, Tensor cell, Tensor cell_ptr, Tensor face_ptr, Tensor by_face"


def _sheaf_sum_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, maps, *incidence, transpose = a
    dx = sheaf_sum(grad, maps, *incidence, not transpose) if needed[0] else None
    dmaps = None
    if needed[1]:
        on_cells, on_faces = (grad, x) if transpose else (x, grad)
        dmaps = sheaf_outer(on_cells, on_faces, *incidence, maps.dim())
    return dx, dmaps, *[None] * 6


def _sheaf_outer_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    y, x, *incidence, _ = a
    dy = sheaf_sum(x, grad, *incidence, True) if needed[0] else None
    dx = sheaf_sum(y, grad, *incidence, False) if needed[1] else None
    return dy, dx, *[None] * 6


sheaf_sum = define(
    "sheaf_sum",
    f"(Tensor x, Tensor maps, {_INCIDENCE}, bool transpose) -> Tensor",
    lambda x, maps, face, cell, cell_ptr, face_ptr, by_face, transpose: x.new_empty(
        (cell_ptr if transpose else face_ptr).shape[0] - 1, *x.shape[1:]
    ),
    _sheaf_sum_gradient,
    saves=(0, 1, 2, 3, 4, 5, 6),
)
sheaf_outer = define(
    "sheaf_outer",
    f"(Tensor y, Tensor x, {_INCIDENCE}, int dim) -> Tensor",
    lambda y, x, face, cell, cell_ptr, face_ptr, by_face, dim: x.new_empty(
        face.shape[0], *[x.shape[1]] * (dim - 1)
    ),
    _sheaf_outer_gradient,
    saves=(0, 1, 2, 3, 4, 5, 6),
)


def block_matmul_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, diagonal, blocks, *graph = a
    dx = ddiagonal = dblocks = None
    if needed[0]:
        adjoint = diagonal.mT if diagonal is not None and diagonal.dim() == 3 else diagonal
        dx = _block_matmul(grad, adjoint, blocks, *graph)
    if needed[1]:
        ddiagonal = _row_outer(grad, x, diagonal.dim())
    if needed[2]:
        dblocks = block_outer(grad, x, *graph, blocks.dim())
    return dx, ddiagonal, dblocks, None, None, None


def _row_outer(g: Tensor, x: Tensor, dim: int) -> Tensor:
    """``g_v x_v^T``, its diagonal or its trace: every row an entry of its own."""
    ptr = torch.arange(x.shape[0] + 1, device=x.device)
    own = ptr[:-1]
    return sheaf_outer(g, x, own, own, ptr, ptr, own, dim)


def _block_outer_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    g, x, *graph, _ = a
    dg = _block_matmul(x, None, grad, *graph) if needed[0] else None
    dx = _block_matmul(g, None, grad, *graph) if needed[1] else None
    return dg, dx, None, None, None, None


_block_matmul = define(
    "block_matmul",
    "(Tensor x, Tensor? diagonal, Tensor blocks, Tensor face, Tensor face_ptr, Tensor by_face)"
    " -> Tensor",
    lambda x, *_: torch.empty_like(x, memory_format=torch.contiguous_format),
    block_matmul_gradient,
    saves=(0, 1, 2, 3, 4, 5),
)
block_outer = define(
    "block_outer",
    "(Tensor g, Tensor x, Tensor face, Tensor face_ptr, Tensor by_face, int dim) -> Tensor",
    lambda g, x, face, face_ptr, by_face, dim: x.new_empty(
        face.shape[0] // 2, *[x.shape[1]] * (dim - 1)
    ),
    _block_outer_gradient,
    saves=(0, 1, 2, 3, 4),
)


def _small_matmul_gradient(needed: Any, a: list, results: tuple, grad: Tensor) -> tuple:
    x, y, tx, ty = a
    dx = dy = None
    if needed[0]:
        dx = _small_matmul(y, grad, ty, True) if tx else _small_matmul(grad, y, False, not ty)
    if needed[1]:
        dy = _small_matmul(grad, x, True, tx) if ty else _small_matmul(x, grad, not tx, False)
    return dx, dy, None, None


_small_matmul = define(
    "small_matmul",
    "(Tensor a, Tensor b, bool transpose_a, bool transpose_b) -> Tensor",
    lambda a, b, *_: torch.empty_like(a, memory_format=torch.contiguous_format),
    _small_matmul_gradient,
    saves=(0, 1),
)
