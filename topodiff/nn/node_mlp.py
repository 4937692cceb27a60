"""The perceptron on each vertex alone: the baseline that does not see the graph."""

from __future__ import annotations

from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.nn.vertex_model import FeatureMap, Features, VertexModel


class VertexMap(FeatureMap):
    """:class:`FeatureMap` as a layer, for any graph."""

    def forward(self, K: CellComplex, x: Features) -> Tensor:  # type: ignore[override]
        return super().forward(x)


class NodeMLP(VertexModel):
    """Linear maps with relu between them; arguments as for :class:`VertexModel`."""

    def make_layer(self, in_channels: int, out_channels: int) -> VertexMap:
        return VertexMap(in_channels, out_channels)
