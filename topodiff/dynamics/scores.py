"""How alike a query and a key are, for each entry of a sparse matrix, and weights made of it.

All scores rest on products ``q_i . k_j``, so there is no array of entries x channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
    return kernels.edge_dot(unit(q), unit(k), entries.index, entries.ptr)


def pearson(q: Tensor, k: Tensor, entries: Entries) -> Tensor:
    """Correlation of the coordinates of q_i with those of k_j; 0 for a vector of equal ones."""
    return cosine(_centred(q), _centred(k), entries)


def exp_kernel(
    q: Tensor, k: Tensor, entries: Entries, length: float | Tensor = 1.0, size: float | Tensor = 1.0
) -> Tensor:
    """``size^2 exp(- |q_i - k_j|^2 / (2 length^2))``, a score (BLEND's published code).

    Args:
        length, size: numbers, or tensors without dimensions.
    """
    # far from the origin squares would leave no digits for near points
    centre = (q.detach().mean(0) + k.detach().mean(0)) / 2
    q, k = q - centre, k - centre
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
    if squash == "softmax":
        return _symmetric_softmax(scores, entries).mean(1)
    if squash == "shifted_squareplus" and scores.numel():
        scores = scores - scores.max()
    return normalize(entries, squareplus(scores), normalization).mean(1)


def _symmetric_softmax(scores: Tensor, entries: Entries) -> Tensor:
    """``exp(s_ij) / sqrt(sum_k exp(s_ik) sum_k exp(s_kj))``: the geometric mean of the softmax over
    rows and over columns, by logarithms, so that rows of scores far below the others keep their
    weights."""
    e = entries
    rows = _log_softmax(scores, e.row, lambda x, how: kernels.segment_reduce(x, e.ptr, how))
    columns = _log_softmax(
        scores,
        e.index,
        lambda x, how: kernels.gather_reduce(x, e.by_column, e.column_ptr, reduce=how),
    )
    return ((rows + columns) / 2).exp()


def _log_softmax(scores: Tensor, owner: Tensor, reduce: Callable[[Tensor, str], Tensor]) -> Tensor:
    """``s - log(sum of exp(s))`` over the row or column that owns each entry."""
    scores = scores - reduce(scores.detach(), "max").index_select(0, owner)
    return scores - reduce(scores.exp(), "sum").index_select(0, owner).log()


def unit(x: Tensor) -> Tensor:
    """Rows divided by their lengths, of any size that a number can have; zeros stay."""
    if x.shape[-1] == 0:
        return x
    # the direction does not depend on the size, so that no gradient goes through it
    size = x.detach().abs().amax(-1, keepdim=True)
    x = x / torch.where(size > 0, size, 1.0)
    # the sum is 1 at least, or 0
    return x * x.square().sum(-1, keepdim=True).clamp(min=1).rsqrt()


def _centred(x: Tensor) -> Tensor:
    if x.shape[-1] == 0:
        return x
    centred = x - x.mean(-1, keepdim=True)
    # what is left of equal coordinates is rounding, and no direction
    largest = [v.detach().abs().amax(-1, keepdim=True) for v in (centred, x)]
    return torch.where(largest[0] > 4 * torch.finfo(x.dtype).eps * largest[1], centred, 0.0)
