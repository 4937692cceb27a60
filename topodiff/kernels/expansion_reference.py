"""Sums of Chebyshev polynomials in plain PyTorch: the oracle of the tests."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels.precision import rounded_once
from topodiff.kernels.reference import gather_sum


@torch.no_grad()
@rounded_once
def chebyshev_sum(
    x: Tensor, index: Tensor, ptr: Tensor, value: Tensor, coefficients: Tensor, scale: float,
    shift: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The sums, and the last of the odd and of the even terms."""

    def times_matrix(v: Tensor) -> Tensor:
        return scale * gather_sum(v, index, ptr, value, False) + shift * v

    before, v = x, times_matrix(x)
    weights = coefficients.to(x)
    out = torch.stack([c[0] * x + c[1] * v for c in weights]) if len(weights) else x[None][:0]
    for k in range(2, weights.shape[1]):
        before, v = v, 2 * times_matrix(v) - before
        out = out + weights[:, k, None, None] * v
    last = weights.shape[1] - 1
    return (out, v, before.clone()) if last % 2 else (out, before.clone(), v)


OPERATIONS = (chebyshev_sum,)
