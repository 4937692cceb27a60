"""Products of queries and keys along the entries of a sparse matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import checks, operations


def edge_dot(q: Tensor, k: Tensor, index: Tensor, ptr: Tensor) -> Tensor:
    """``out[e, h] = <q[i, h], k[index[e], h]>`` for the entries e of row i, ``ptr[i]:ptr[i + 1]``.

    Args:
        q: ``(rows, heads, width)``.
        k: ``(columns, heads, width)``.
        index: ``(nnz,)``, values in ``0..columns - 1``.
        ptr: ``(rows + 1,)``, rising from 0 to ``nnz``.

    Returns:
        ``(nnz, heads)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or values.
    """
    checks.check_values("q", q)
    checks.check_index("index", index)
    checks.check_ptr("ptr", ptr)
    checks.check_same_dtype(index=index, ptr=ptr)
    checks.check_rows("q", q, ptr.shape[0] - 1)
    if q.dim() != 3 or k.dim() != 3 or q.shape[1:] != k.shape[1:] or q.dtype != k.dtype:
        raise ValueError(
            "q and k must be (rows, heads, width), alike but for the rows; got "
            f"{tuple(q.shape)} of {q.dtype} and {tuple(k.shape)} of {k.dtype}"
        )
    heads = [
        operations.gather_dot(k[:, h].contiguous(), q[:, h].contiguous(), index, ptr, False)
        for h in range(q.shape[1])
    ]
    return torch.stack(heads, 1) if heads else q.new_zeros(index.shape[0], 0)
