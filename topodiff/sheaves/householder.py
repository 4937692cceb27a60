"""Products of Householder reflections ``H(v) = I - 2 v v^T / |v|^2`` (Householder 1958).

Vector i is ``(0, ..., 0, 1, p, ..., p)`` with d - i - 1 free parameters, so that d (d - 1) / 2 of
them serve. The last of d vectors is fixed: it reflects the last coordinate.
"""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.sheaves.skew import polish


def reflections(params: Tensor, dim: int) -> Tensor:
    """``H_1 ... H_d``, of determinant (-1)^d: the family of the published sheaf diffusion models.

    Reaches, of the orthogonal matrices of that determinant, all but those where column i equals the
    basis vector e_i once the columns before it are undone (the limit of infinite parameters).
    """
    product = polish(_first_reflections(params, dim), 1)
    return torch.cat([product[..., :-1], -product[..., -1:]], -1)


def rotation(params: Tensor, dim: int) -> Tensor:
    """``H_1 ... H_{d-1} diag(-1, ..., -1, 1)``, of determinant +1, the identity at zero parameters.

    Reaches all of SO(d) but rotations where column i equals -e_i once the columns before it are
    undone, which are the limit of infinite parameters.
    """
    product = polish(_first_reflections(params, dim), 1)
    return torch.cat([-product[..., :-1], product[..., -1:]], -1)


def _first_reflections(params: Tensor, dim: int) -> Tensor:
    """``H_1 ... H_{d-1}``, from the last factor to the first, each on the block it changes."""
    ones = params.new_ones(*params.shape[:-1], 1)
    product = ones.unsqueeze(-1)
    end = params.shape[-1]
    for size in range(2, dim + 1):
        v = torch.cat([ones, params[..., end - size + 1 : end]], -1)
        end -= size - 1
        # H does not depend on the length of v, so neither does its gradient
        v = v / v.detach().abs().amax(-1, keepdim=True)
        v = (v / (v * v).sum(-1, keepdim=True).sqrt()).unsqueeze(-1)
        corner = v.new_zeros(size, size)
        corner[0, 0] = 1
        product = torch.nn.functional.pad(product, (1, 0, 1, 0)) + corner
        product = product - 2 * v @ (v.mT @ product)
    return product
