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

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(VertexMap, in_channels, hidden_channels, out_channels, num_layers, dropout)
