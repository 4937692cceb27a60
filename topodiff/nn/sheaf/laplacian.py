"""Laplacians as functions of the state: by blocks, through frames, with fixed filters beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex, Incidence
from topodiff.nn.neighbors import keep
from topodiff.operators.blocks import Blocks, sheaf_blocks
from topodiff.sheaves.maps import Maps
from topodiff.sheaves.sections import incidence_at

Operator = Callable[[Tensor], Tensor]
Normalization = bool | str


class BlockOperator(NamedTuple):
    """``x -> L x`` for x (n, d, channels) and L given by its blocks."""

    incidence: Incidence
    diagonal: Tensor
    blocks: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        i = self.incidence
        return kernels.block_matmul(x, self.diagonal, self.blocks, i.face, i.face_ptr, i.by_face)


class FlatOperator(NamedTuple):
    """``x -> O^T (L (x) I) O x`` with one orthogonal ``frame`` (n, d, d) for each vertex."""

    frame: Tensor
    graph: BlockOperator

    def __call__(self, x: Tensor) -> Tensor:
        return self.frame.mT @ self.graph(self.frame @ x)


class FilteredOperator(NamedTuple):
    """``learnt`` on the first ``stalk_dim`` coordinates of a stalk, ``fixed`` on the others."""

    learnt: Operator
    fixed: Operator
    stalk_dim: int

    def __call__(self, x: Tensor) -> Tensor:
        d = self.stalk_dim
        return torch.cat([self.learnt(x[:, :d]), self.fixed(x[:, d:])], 1)


def graph_operator(
    K: CellComplex, weights: Tensor | None, normalized: Normalization, like: Tensor
) -> BlockOperator:
    """The Laplacian of the graph, with the given weights (n_1,) or none; kept without weights."""
    incidence = incidence_at(K, 1)
    if weights is not None:
        blocks = sheaf_blocks(None, incidence, weights=weights, normalized=normalized)
    else:
        blocks = _graph_blocks(K, normalized, like)
    return BlockOperator(incidence, *blocks)


def _graph_blocks(K: CellComplex, normalized: Normalization, like: Tensor) -> Blocks:
    def make() -> Blocks:
        with torch.no_grad():
            return sheaf_blocks(None, incidence_at(K, 1), like=like, normalized=normalized)

    return keep(K, ("graph blocks", normalized, like.dtype), make)


def sheaf_operator(
    K: CellComplex,
    maps: Maps,
    weights: Tensor | None,
    normalized: Normalization,
    orthogonal: bool,
    like: Tensor,
) -> BlockOperator:
    """The Laplacian of a sheaf on the vertices; see :func:`.operators.blocks.sheaf_blocks`.

    For orthogonal maps its blocks are those of the graph times the transports, ``B_e = b_e F_head^T
    F_tail``.
    """
    if not orthogonal:
        incidence = incidence_at(K, 1)
        blocks = sheaf_blocks(maps, incidence, weights=weights, normalized=normalized)
        return BlockOperator(incidence, *blocks)
    graph = graph_operator(K, weights, normalized, like)
    if maps is None:
        return graph
    transports = kernels.small_matmul(maps[1::2], maps[0::2], transpose_a=True)
    return graph._replace(blocks=transports * graph.blocks[:, None, None])


def filter_operator(
    K: CellComplex, low: bool, high: bool, normalized: Normalization, like: Tensor
) -> BlockOperator:
    """``D + A`` (``low``) and ``D - A`` (``high``), each on one coordinate of the stalk."""

    def make() -> Blocks:
        diagonal, blocks = _graph_blocks(K, normalized, like)
        return diagonal, torch.stack([-blocks] * low + [blocks] * high, 1)

    blocks = keep(K, ("filter blocks", low, high, normalized, like.dtype), make)
    return BlockOperator(incidence_at(K, 1), *blocks)
