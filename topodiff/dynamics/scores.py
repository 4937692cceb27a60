"""How alike a query and a key are, for each entry of a sparse matrix, and weights made of it.

All scores rest on products ``q_i . k_j``, so there is no array of entries x channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.dynamics.entries import Entries, check_normalization, normalize
from topodiff.kernels import SQUASHES, checks
from topodiff.kernels.activations import squareplus

SCORES = ("scaled_dot", "cosine", "pearson", "exp_kernel")


def scaled_dot(q: Tensor, k: Tensor, entries: Entries) -> Tensor:
    """``q_i . k_j / sqrt(d)`` (Vaswani et al. 2017); (n, heads, d) -> (nnz, heads).

    GRAND's eq. 10 divides by d; its published code, as here, by the root.
    """
    scale = 1 / math.sqrt(max(q.shape[-1], 1))
    return kernels.edge_dot(q, k, entries.index, entries.ptr, scale)


def cosine(q: Tensor, k: Tensor, entries: Entries) -> Tensor:
    """``cos(q_i, k_j)``; 0 for a vector of zeros."""
    return kernels.edge_dot(_unit(q), _unit(k), entries.index, entries.ptr)


def pearson(q: Tensor, k: Tensor, entries: Entries) -> Tensor:
    """Correlation of the coordinates of q_i with those of k_j."""
    return cosine(_centred(q), _centred(k), entries)


def exp_kernel(
    q: Tensor, k: Tensor, entries: Entries, length: float | Tensor = 1.0, size: float | Tensor = 1.0
) -> Tensor:
    """``size^2 exp(- |q_i - k_j|^2 / (2 length^2))``, a score (BLEND's published code).

    Args:
        length, size: numbers, or tensors without dimensions.
    """
    dots = kernels.edge_dot(q, k, entries.index, entries.ptr)
    own = q.square().sum(-1).index_select(0, entries.row)
    other = k.square().sum(-1).index_select(0, entries.index)
    # rounding may leave a distance just below 0
    square = (own + other - 2 * dots).clamp(min=0)
    return size**2 * torch.exp(-square / (2 * length**2))


def attention_weights(
    scores: Tensor, entries: Entries, *, squash: str = "softmax", normalization: str = "row"
) -> Tensor:
    """(nnz, heads) scores -> the mean over heads of positive, normalised weights (nnz,).

    Args:
        squash: of :func:`topodiff.kernels.segment_weights`. With ``shifted_squareplus``, as
            published for GRAND, weights depend on edges far away.
        normalization: ``row``, ``col`` or ``sym``; see :func:`normalize`. Published are both of
            the first: attention_norm_idx 0 and 1.
    """
    check_normalization(normalization)
    if normalization == "row":
        return kernels.segment_weights(scores, entries.ptr, squash=squash)
    if normalization == "col":
        return kernels.segment_weights(scores, entries.column_ptr, entries.by_column, squash)
    checks.check_choice("squash", squash, SQUASHES)
    return normalize(entries, _positive(scores, squash), normalization).mean(1)


def _positive(scores: Tensor, squash: str) -> Tensor:
    """Up to a factor, which the normalisation takes out."""
    if not scores.numel():
        return scores
    if squash == "softmax":
        # one factor for all entries of a head leaves the symmetric normalisation as it is
        return (scores - scores.detach().amax(0)).exp()
    return squareplus(scores - scores.max() if squash == "shifted_squareplus" else scores)


def _unit(x: Tensor) -> Tensor:
    return x / x.square().sum(-1, keepdim=True).clamp(min=1e-10).sqrt()


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)
