"""Multi-hop features computed once, before training."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.complexes.integers import whole_number
from topodiff.operators import LinearOperator


def sign_filters(operator: LinearOperator, x: Tensor, num_hops: int) -> Tensor:
    """``X, A X, A^2 X, ..., A^r X``, what SIGN feeds to its network (Frasca et al., SIGN: Scalable
    inception graph neural networks, 2020, eq. 4).

    Args:
        operator: A, square: for a normalised adjacency, ``L.identity() - L`` of a normalised
            Laplacian L.
        x: (*col_shape, *channels).
        num_hops: r >= 0.

    Returns:
        (r + 1, *x.shape), with gradients.

    Raises:
        ValueError: for an operator that is not square, or r < 0.
    """
    operator._check_square()
    whole_number("num_hops", num_hops, 0)
    operator._check_state(x)
    hops = [x]
    for _ in range(num_hops):
        hops.append(operator @ hops[-1])
    return torch.stack(hops)
