"""Laplacians as functions of the state: by blocks, through frames, with fixed filters beside."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex, Incidence, keep
from topodiff.operators.blocks import Blocks, sheaf_blocks
from topodiff.sheaves.maps import Maps, multiply
from topodiff.sheaves.sections import incidence_at

Normalization = bool | str


class Operator(Protocol):
    """A linear map of states (n, d, channels)."""

    def __call__(self, x: Tensor, /) -> Tensor: ...


class BlockOperator(NamedTuple):
    """``x -> L x`` for x (n, d, channels) and L given by its blocks."""

    incidence: Incidence
    diagonal: Tensor
    blocks: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        i = self.incidence
        return kernels.block_matmul(x, self.diagonal, self.blocks, i.face, i.face_ptr, i.by_face)

    def step(
        self,
        x: Tensor,
        left: Tensor | None,
        right: Tensor | None,
        factor: Tensor,
        activation: str,
        dropout: float,
    ) -> Tensor:
        """``(1 + factor) x - act(L (left dropout(x) right^T))``."""
        i = self.incidence
        graph = (i.face, i.face_ptr, i.by_face)
        laplacian = (self.diagonal, self.blocks, *graph)
        return kernels.diffusion_step(x, left, right, *laplacian, factor, activation, dropout)


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
    """The Laplacian of the graph with ``F_{v<e} = weights`` (2 n_1,), one for both ends of an edge;
    of ones, which is kept, if None."""
    incidence = incidence_at(K, 1)
    if weights is None:
        return BlockOperator(incidence, *_graph_blocks(K, normalized, like))
    return BlockOperator(incidence, *sheaf_blocks(weights, incidence, normalized=normalized))


def _graph_blocks(K: CellComplex, normalized: Normalization, like: Tensor) -> Blocks:
    def make() -> Blocks:
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
    """The Laplacian on the vertices of the sheaf with maps ``weights * maps``, weights (2 n_1,).

    For orthogonal maps its blocks are those of the graph times the transports, ``B_e = b_e F_head^T
    F_tail``.
    """
    incidence = incidence_at(K, 1)
    if orthogonal:
        graph = graph_operator(K, weights, normalized, like)
        if maps is None:
            return graph
        return graph._replace(blocks=kernels.transports(maps, graph.blocks))
    assert maps is not None, "only identity maps are None, and they are orthogonal"
    if weights is not None:
        maps = multiply(weights, maps)
    return BlockOperator(incidence, *sheaf_blocks(maps, incidence, normalized=normalized))


def filter_operator(
    K: CellComplex, low: bool, high: bool, normalized: Normalization, like: Tensor
) -> BlockOperator:
    """``D + A`` (``low``) and ``D - A`` (``high``), each on one coordinate of the stalk."""

    def make() -> Blocks:
        diagonal, blocks = _graph_blocks(K, normalized, like)
        return diagonal, torch.stack([-blocks] * low + [blocks] * high, 1)

    blocks = keep(K, ("filter blocks", low, high, normalized, like.dtype), make)
    return BlockOperator(incidence_at(K, 1), *blocks)
