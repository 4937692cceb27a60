"""GraphSAGE with the mean of all neighbours (Hamilton et al., NeurIPS 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.dynamics import adjacency
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import FeatureMap, Features, VertexModel


class SAGELayer(nn.Module):
    """``x_i' = W_1 x_i + W_2 mean over neighbours j of x_j + b`` (algorithm 1 with the mean
    aggregator); the mean over no neighbours is 0."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.own = FeatureMap(in_channels, out_channels)
        self.others = FeatureMap(in_channels, out_channels, bias=False)

    @property
    def weight(self) -> Tensor:
        """W_1."""
        return self.own.weight

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex, x: Features) -> Tensor:
        """(n_0, in_channels) -> (n_0, out_channels)."""
        others = self.others(x)
        return self.own(x) + adjacency(K, others.dtype, normalization="row", loops=0) @ others


class GraphSAGE(VertexModel):
    """:class:`SAGELayer` with relu between them; arguments as for :class:`VertexModel`."""

    def make_layer(self, in_channels: int, out_channels: int) -> SAGELayer:
        return SAGELayer(in_channels, out_channels)
