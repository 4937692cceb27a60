"""Sums of Chebyshev polynomials, compiled."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels import cpu
from topodiff.kernels.cpu import _cpu


def chebyshev_sum(
    x: Tensor, index: Tensor, ptr: Tensor, value: Tensor, coefficients: Tensor, scale: float,
    shift: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    x, index, ptr = x.contiguous(), index.contiguous(), ptr.contiguous()
    value, coefficients = value.contiguous(), coefficients.contiguous()
    times, terms = coefficients.shape
    out = cpu._empty(x, times, *x.shape)
    odd, even = cpu._empty(x, *x.shape), cpu._empty(x, *x.shape)
    _cpu.chebyshev_sum(
        x.dtype is torch.float64, index.dtype is torch.int64, torch.get_num_threads(), x.shape[0],
        index.shape[0], x.shape[1], times, terms, scale, shift, x.data_ptr(), index.data_ptr(),
        ptr.data_ptr(), value.data_ptr(), coefficients.data_ptr(), out.data_ptr(), odd.data_ptr(),
        even.data_ptr(),
    )  # fmt: skip
    return out, odd, even


OPERATIONS = (chebyshev_sum,)
