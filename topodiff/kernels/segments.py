"""Reductions over sorted segments and over an unsorted index."""

from __future__ import annotations

from torch import Tensor

from topodiff.kernels import checks, operations
from topodiff.kernels.library import needs_gradient


def segment_reduce(x: Tensor, ptr: Tensor, reduce: str = "sum") -> Tensor:
    """Reduce consecutive rows: ``out[s] = reduce(x[ptr[s]:ptr[s + 1]])``.

    Args:
        x: ``(nnz, *channels)``, floating point.
        ptr: ``(segments + 1,)`` int64 or int32, rising from 0 to ``nnz``.
        reduce: ``sum``, ``mean``, ``max`` or ``min``. An empty segment gives 0. The gradient of an
            extreme goes to the first row that attains it.

    Returns:
        ``(segments, *channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes or shapes, or ``ptr`` does not rise from 0 to ``nnz``.
    """
    checks.check_values("x", x)
    checks.check_ptr("ptr", ptr)
    checks.check_choice("reduce", reduce, checks.REDUCTIONS)
    if reduce in ("sum", "mean"):
        return operations.segment_sum(x, ptr, reduce == "mean")
    return operations.segment_extreme(x, ptr, reduce == "max", needs_gradient(x))[0]


def segment_softmax(x: Tensor, ptr: Tensor) -> Tensor:
    """Softmax within segments: ``y[e] = exp(x[e]) / sum of exp(x) over the segment of e``.

    Args:
        x: ``(nnz, *channels)``.
        ptr: ``(segments + 1,)``, rising from 0 to ``nnz``.

    Returns:
        ``(nnz, *channels)``; sums to 1 over each segment that is not empty.

    Raises:
        TypeError, ValueError: as :func:`segment_reduce`.
    """
    checks.check_values("x", x)
    checks.check_ptr("ptr", ptr)
    return operations.segment_softmax(x, ptr)


def scatter_reduce(x: Tensor, index: Tensor, num_segments: int, reduce: str = "sum") -> Tensor:
    """Reduce rows that share an index: ``out[s] = reduce(x[e] for e with index[e] = s)``.

    Rows are taken in the order of ``e``, so the result does not depend on the number of threads.

    Args:
        x: ``(nnz, *channels)``.
        index: ``(nnz,)``, values in ``0..num_segments - 1``.
        num_segments: rows of the result.
        reduce: as in :func:`segment_reduce`.

    Returns:
        ``(num_segments, *channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or an index out of range.
    """
    checks.check_values("x", x)
    checks.check_index("index", index, x.shape[0])
    num_segments = checks.check_count("num_segments", num_segments)
    checks.check_choice("reduce", reduce, checks.REDUCTIONS)
    if reduce in ("sum", "mean"):
        return operations.scatter_sum(x, index, num_segments, reduce == "mean")
    where = needs_gradient(x)
    return operations.scatter_extreme(x, index, num_segments, reduce == "max", where)[0]


def gather(x: Tensor, index: Tensor) -> Tensor:
    """``out[e] = x[index[e]]``, the transpose of a scatter sum, which is its gradient.

    Args:
        x: ``(rows, *channels)``.
        index: ``(nnz,)``, values in ``0..rows - 1``.

    Returns:
        ``(nnz, *channels)``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or an index out of range.
    """
    checks.check_values("x", x)
    checks.check_index("index", index)
    return operations.scatter_expand(x, index, False)


def sort_by_key(key: Tensor, num_keys: int) -> tuple[Tensor, Tensor]:
    """Stable counting sort.

    Args:
        key: ``(nnz,)`` int64 or int32, values in ``0..num_keys - 1``.
        num_keys: number of keys.

    Returns:
        ``ptr (num_keys + 1,)`` and ``perm (nnz,)``, in the dtype of ``key``: the entries with
        key ``k`` are ``perm[ptr[k]:ptr[k + 1]]``, in rising order.

    Raises:
        TypeError, ValueError: wrong dtype, shape or a key out of range.
    """
    checks.check_index("key", key)
    num_keys = checks.check_count("num_keys", num_keys)
    return operations.sort_by_key(key, num_keys)
