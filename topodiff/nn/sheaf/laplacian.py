"""The Laplacian of a learnt sheaf with fixed filters beside it, as a function of the state."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import Incidence
from topodiff.nn.sheaf.graph import SheafGraph
from topodiff.operators.blocks import Blocks, sheaf_blocks
from topodiff.sheaves.maps import Maps


class SheafOperator(NamedTuple):
    """``x -> [Delta_F x_1; Delta_fixed x_2]`` for a state x (n, d', channels) whose first stalk
    coordinates carry the learnt sheaf and whose last ones fixed filters."""

    incidence: Incidence
    learnt: Blocks
    fixed: Blocks | None
    stalk_dim: int

    def __call__(self, x: Tensor) -> Tensor:
        i = self.incidence
        graph = (i.face, i.face_ptr, i.by_face)
        if self.fixed is None:
            return kernels.block_matmul(x, *self.learnt, *graph)
        d = self.stalk_dim
        learnt = kernels.block_matmul(x[:, :d], *self.learnt, *graph)
        fixed = kernels.block_matmul(x[:, d:], *self.fixed, *graph)
        return torch.cat([learnt, fixed], 1)


def learnt_blocks(
    maps: Maps,
    graph: SheafGraph,
    weights: Tensor | None,
    normalized: bool | str,
    orthogonal: bool,
    like: Tensor,
) -> Blocks:
    """As :func:`topodiff.operators.blocks.sheaf_blocks`; for orthogonal maps those of the graph
    Laplacian times the transports, ``B_e = b_e F_head^T F_tail``."""
    incidence = graph.incidence
    if not orthogonal:
        return sheaf_blocks(maps, incidence, weights=weights, normalized=normalized)
    if weights is None:
        diagonal, scalars = graph.identity_blocks(normalized, like)
    else:
        diagonal, scalars = sheaf_blocks(None, incidence, weights=weights, normalized=normalized)
    if maps is None:
        return diagonal, scalars
    tail, head = maps[0::2], maps[1::2]
    transports = kernels.small_matmul(head, tail, transpose_a=True)
    return diagonal, transports * scalars[:, None, None]
