"""What heat that starts at a cell leaves there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from topodiff.operators import LinearOperator, spectral_embedding

_LARGEST = 10_000


def heat_kernel_signature(operator: LinearOperator, times: Sequence[float] | Tensor) -> Tensor:
    """``HKS_t(i) = sum_k exp(-t lambda_k) phi_k(i)^2``, the diagonal of ``exp(-t L)``, with the
    eigenvalues and orthonormal eigenvectors of L (Sun, Ovsjanikov and Guibas, A concise and
    provably informative multi-scale signature based on heat diffusion, 2009). Cells that a symmetry
    of the complex exchanges have the same one.

    All eigenvectors are found, densely: time n^3, memory n^2, and no gradient.

    Args:
        operator: L, symmetric positive semidefinite, of at most 10,000 rows.
        times: t >= 0 of each column.

    Returns:
        (n, times); on a sheaf the trace over each stalk.

    Raises:
        ValueError: for another operator, or times that are negative or not finite.
    """
    t = torch.as_tensor(times, dtype=operator._any_dtype(), device=operator.device)
    if t.dim() != 1 or not bool(((t >= 0) & t.isfinite()).all()):
        raise ValueError(f"times must be a vector of finite numbers >= 0, got {times}")
    n = operator.shape[0]
    if n > _LARGEST:
        raise ValueError(f"all eigenvectors of {n} rows are too many: at most {_LARGEST}")
    if n == 0:
        return t.new_zeros(0, len(t))
    values, vectors = spectral_embedding(operator, n)
    squares = vectors.square().reshape(operator.row_shape[0], -1, n).sum(1)
    return squares @ torch.exp(-values.unsqueeze(1) * t)
