"""Products with incidences: gather, combine and reduce without an array of messages."""

from __future__ import annotations

from torch import Tensor

from topodiff.kernels import checks, operations
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.library import needs_gradient


def gather_reduce(
    x: Tensor, index: Tensor, ptr: Tensor, weight: Tensor | None = None, reduce: str = "sum"
) -> Tensor:
    """``out[s] = reduce over e in ptr[s]:ptr[s + 1] of weight[e] x[index[e]]``.

    Args:
        x: ``(rows, *channels)``.
        index: ``(nnz,)``, values in ``0..rows - 1``.
        ptr: ``(segments + 1,)``, rising from 0 to ``nnz``.
        weight: ``(nnz,)``, of the dtype of ``x`` (differentiable) or integer; or none.
        reduce: as in :func:`segment_reduce`; ``mean`` divides by the number of entries.

    Returns:
        ``(segments, *channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values of ``index`` or ``ptr``.
    """
    checks.check_values("x", x)
    checks.check_index("index", index)
    checks.check_ptr("ptr", ptr)
    if index.dtype is not ptr.dtype:
        checks.check_same_dtype(index=index, ptr=ptr)
    checks.check_weight("weight", weight, index.shape[0], x)
    checks.check_choice("reduce", reduce, checks.REDUCTIONS)
    if reduce in ("sum", "mean"):
        return operations.gather_sum(x, index, ptr, weight, reduce == "mean")
    where = needs_gradient(x, weight)
    return operations.gather_extreme(x, index, ptr, weight, reduce == "max", where)[0]


def incidence_matmul(
    x: Tensor,
    face: Tensor,
    cell: Tensor,
    sign: Tensor | None,
    cell_ptr: Tensor,
    face_ptr: Tensor,
    by_face: Tensor,
    transpose: bool = False,
) -> Tensor:
    """Boundary ``B x`` (cells to faces) or coboundary ``B^T x`` (faces to cells, ``transpose``).

    ``B[face[e], cell[e]] = sign[e]``. The gradient needs both directions, so both orders of
    the entries are given: entries are sorted by cell, and ``by_face`` sorts them by face.

    Args:
        x: ``(num_cells, *channels)``, with ``transpose`` ``(num_faces, *channels)``.
        face, cell: ``(nnz,)``, sorted by cell.
        sign: ``(nnz,)`` integer, or of the dtype of ``x`` (differentiable); none for all ones.
        cell_ptr: ``(num_cells + 1,)``: entries of cell ``c`` are ``cell_ptr[c]:cell_ptr[c + 1]``.
        face_ptr, by_face: as from ``sort_by_key(face, num_faces)``.

    Returns:
        ``(num_faces, *channels)``, with ``transpose`` ``(num_cells, *channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    checks.check_values("x", x)
    checks.check_incidence(face, face_ptr, by_face, cell_ptr, cell)
    checks.check_weight("sign", sign, face.shape[0], x)
    checks.check_rows("x", x, (face_ptr if transpose else cell_ptr).shape[0] - 1)
    return operations.incidence_sum(x, face, cell, sign, cell_ptr, face_ptr, by_face, transpose)


def coface_message(
    p: Tensor | None,
    q: Tensor | None,
    face: Tensor,
    cell_ptr: Tensor,
    face_ptr: Tensor,
    by_face: Tensor,
    activation: str = "relu",
) -> Tensor:
    """Messages between upper adjacent cells through their shared cofaces.

    ``out_i = sum over cofaces c of i, sum over other faces j of c, of act(p_j + q_c)``.

    Computed as ``sum over c of (S_c - act(p_i + q_c))``, ``S_c = sum over j of act(p_j + q_c)``
    (and as the other term itself where a cell has two faces): linear in incidences, not quadratic
    in the size of a cell, and no array of messages exists. Its rounding error is that of the sum
    over all faces, and a term that is infinite makes NaN of the message to its own face.

    This is the upper message of CW networks (Bodnar et al., Weisfeiler and Lehman Go Cellular,
    NeurIPS 2021) for a message network whose first layer acts on the concatenation of neighbour and
    coface: ``W [x_j, x_c] + b = W_1 x_j + (W_2 x_c + b) = p_j + q_c``.

    Args:
        p: ``(num_faces, *channels)``, or none for zero.
        q: ``(num_cells, *channels)``, or none for zero.
        face: ``(nnz,)``, sorted by cell.
        cell_ptr: ``(num_cells + 1,)``.
        face_ptr, by_face: as from ``sort_by_key(face, num_faces)``.
        activation: ``identity``, ``relu``, ``elu``, ``silu`` or ``tanh``.

    Returns:
        ``(num_faces, *channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    if p is None and q is None:
        raise ValueError("p and q are both None: give at least one")
    checks.check_incidence(face, face_ptr, by_face, cell_ptr)
    if p is not None:
        checks.check_values("p", p)
        checks.check_rows("p", p, face_ptr.shape[0] - 1)
    if q is not None:
        checks.check_values("q", q)
        checks.check_rows("q", q, cell_ptr.shape[0] - 1)
        if p is not None and (p.dtype != q.dtype or p.shape[1:] != q.shape[1:]):
            raise ValueError(
                f"p and q must share dtype and channels; got {p.dtype} {tuple(p.shape[1:])}"
                f" and {q.dtype} {tuple(q.shape[1:])}"
            )
    checks.check_choice("activation", activation, ACTIVATIONS)
    return operations.coface_message(p, q, face, cell_ptr, face_ptr, by_face, activation)
