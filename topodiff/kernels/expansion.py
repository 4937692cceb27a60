"""Sums of Chebyshev polynomials of a sparse matrix, all terms in one call."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.kernels import checks
from topodiff.kernels.library import define


def chebyshev_sum(
    x: Tensor,
    index: Tensor,
    ptr: Tensor,
    value: Tensor,
    coefficients: Tensor,
    scale: float = 1.0,
    shift: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """``sum_k c_tk T_k(B) x`` for ``B = scale A + shift I`` and every row t of the coefficients, by
    ``T_{k+1} = 2 B T_k - T_{k-1}``. Each term is one pass over the matrix; without gradients.

    Args:
        x: ``(n, channels)``.
        index, ptr, value: A in compressed rows: row s holds ``value[e]`` in column ``index[e]`` for
            ``ptr[s] <= e < ptr[s + 1]``; ``(nnz,)``, ``(n + 1,)``, ``(nnz,)``.
        coefficients: ``(times, terms)`` float64, at least 2 terms.
        scale, shift: of B.

    Returns:
        The sums ``(times, n, channels)`` and the last two terms ``T_K x`` and ``T_{K-1} x``.

    Raises:
        TypeError, ValueError: wrong dtypes, shapes or indices.
    """
    checks.check_values("x", x)
    checks.check_index("index", index)
    checks.check_ptr("ptr", ptr)
    checks.check_same_dtype(index=index, ptr=ptr)
    checks.check_tensors(value=value, coefficients=coefficients)
    checks.check_weight("value", value, index.shape[0], x)
    if x.dim() != 2 or ptr.shape[0] != x.shape[0] + 1:
        raise ValueError(
            f"x must have shape (n, channels) for a matrix of n = {ptr.shape[0] - 1} rows, got "
            f"{tuple(x.shape)}"
        )
    if value.dtype is not x.dtype or coefficients.dtype is not torch.float64:
        raise TypeError(
            f"value must be {x.dtype} as x and coefficients float64, got {value.dtype} and "
            f"{coefficients.dtype}"
        )
    if coefficients.dim() != 2 or coefficients.shape[1] < 2:
        raise ValueError(
            f"coefficients must have shape (times, terms), terms >= 2, got "
            f"{tuple(coefficients.shape)}"
        )
    out, first, second = _chebyshev_sum(x, index, ptr, value, coefficients, scale, shift)
    terms = coefficients.shape[1]
    if terms == 2:
        return out, first, x.detach()
    return (out, first, second) if terms % 2 == 0 else (out, second, first)


def _like(x: Tensor, index: Tensor, ptr: Tensor, value: Tensor, c: Tensor, *_: Any) -> tuple:
    return x.new_empty(len(c), *x.shape), x.new_empty(x.shape), x.new_empty(x.shape)


# the odd terms, the even ones: what was written last of each
_chebyshev_sum = define(
    "chebyshev_sum",
    "(Tensor x, Tensor index, Tensor ptr, Tensor value, Tensor coefficients, float scale,"
    " float shift) -> (Tensor, Tensor, Tensor)",
    _like,
)
