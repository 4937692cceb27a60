"""Graph convolutional networks (Kipf and Welling, ICLR 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.dynamics import adjacency
from topodiff.nn.vertex_model import Features, VertexModel


class GCNLayer(nn.Module):
    """``X' = A' X W + b`` with ``A' = D^{-1/2} (A + I) D^{-1/2}``, D the degrees of A + I (eq. 2).

    Args:
        in_channels, out_channels: widths.
        bias: whether there is b.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """W as Glorot and Bengio (2010), b = 0."""
        nn.init.xavier_uniform_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, K: CellComplex, x: Features) -> Tensor:
        """(n_0, in_channels) -> (n_0, out_channels)."""
        mapped = x @ self.weight
        out: Tensor = adjacency(K, mapped.dtype) @ mapped
        return out if self.bias is None else out + self.bias

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, bias={self.bias is not None}"


class GCN(VertexModel):
    """:class:`GCNLayer` with relu between them; arguments as for :class:`VertexModel`.

    Edges count alike: it does not see the weights of a complex.
    """

    def make_layer(self, in_channels: int, out_channels: int) -> GCNLayer:
        return GCNLayer(in_channels, out_channels)
