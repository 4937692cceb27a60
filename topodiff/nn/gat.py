"""Graph attention networks (Velickovic et al., ICLR 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.dynamics import Entries
from topodiff.nn.vertex_model import Features, VertexModel, check_arguments


class GATLayer(nn.Module):
    """``x_i' = sum over j of alpha_ij W x_j + b``, j the neighbours of i and i itself, with

        ``alpha_ij = softmax over j of LeakyReLU(a^T W x_i + c^T W x_j)``, slope 0.2

    for every head (eq. 1 to 5). The results of the heads stand side by side, or with ``average``
    their mean is taken.

    Args:
        in_channels: width of x.
        out_channels: width of x'; of all heads together unless ``average``.
        heads: number of heads.
        dropout: of the attention.
        average: whether heads are averaged.
    """

    slope = 0.2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        heads: int = 1,
        dropout: float = 0.0,
        average: bool = False,
    ) -> None:
        super().__init__()
        check_arguments(dropout, heads=heads)
        if not average and out_channels % heads:
            raise ValueError(f"{heads} heads side by side cannot make {out_channels} channels")
        width = out_channels if average else out_channels // heads
        self.heads, self.dropout, self.average = heads, dropout, average
        self.weight = nn.Parameter(torch.empty(in_channels, heads * width))
        self.own = nn.Parameter(torch.empty(heads, width))
        self.others = nn.Parameter(torch.empty(heads, width))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """W, a and c as Glorot and Bengio (2010), b = 0."""
        for matrix in (self.weight, self.own, self.others):
            nn.init.xavier_uniform_(matrix)
        nn.init.zeros_(self.bias)

    def forward(self, K: CellComplex, x: Features) -> Tensor:
        """(n_0, in_channels) -> (n_0, out_channels)."""
        e = Entries.from_complex(K, loops=True)
        h = (x @ self.weight).unflatten(1, (self.heads, -1))
        alpha = F.dropout(self.attention(e, h), self.dropout, self.training)
        # attention is a diagonal map of the stalk of heads on each entry
        graph = (e.index, e.row, e.ptr, e.column_ptr, e.by_column)
        out = kernels.sheaf_matmul(h, alpha, *graph, transpose=True)
        return (out.mean(1) if self.average else out.flatten(1)) + self.bias

    def attention(self, entries: Entries, h: Tensor) -> Tensor:
        """(nnz, heads) weights of the entries, from (n_0, heads, width)."""
        # a and c of all heads as one matrix: a block of each for every head
        heads = torch.eye(self.heads, dtype=h.dtype, device=h.device)[:, None, :]
        both = torch.cat([self.own[:, :, None] * heads, self.others[:, :, None] * heads], 2)
        of_ends = (h.flatten(1) @ both.flatten(0, 1)).view(-1, self.heads)
        scores = kernels.gather_reduce(of_ends, *entries.both_ends)
        return kernels.segment_softmax(F.leaky_relu(scores, self.slope), entries.ptr)

    def extra_repr(self) -> str:
        width = self.own.shape[1]
        return f"{self.weight.shape[0]}, {width}, heads={self.heads}, average={self.average}"


class GAT(VertexModel):
    """:class:`GATLayer` with elu between them; arguments as for :class:`VertexModel`.

    Args:
        hidden_channels: width of all heads together.
        heads: number of heads; those of the last layer are averaged.
        attention_dropout: of the attention.
    """

    activation = "elu"

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.5,
        heads: int = 8,
        attention_dropout: float = 0.0,
    ) -> None:
        self.heads, self.attention_dropout = heads, attention_dropout
        super().__init__(in_channels, hidden_channels, out_channels, num_layers, dropout)

    def make_layer(self, in_channels: int, out_channels: int) -> GATLayer:
        return GATLayer(in_channels, out_channels, self.heads, self.attention_dropout)

    def make_last(self, in_channels: int, out_channels: int) -> GATLayer:
        options = self.heads, self.attention_dropout
        return GATLayer(in_channels, out_channels, *options, average=True)
