"""From hidden vectors on cells to one vector per complex."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.kernels.activations import activate
from topodiff.kernels.checks import check_choice
from topodiff.nn.reset import reset_children


class Readout(nn.Module):
    """``out = W (sum over ranks r of act(W_r pool_r(h_r) + b_r)) + b`` (CWN, appendix).

    A rank without cells in a complex is pooled to zero, and contributes ``act(b_r)`` as in the
    published models.

    Args:
        in_channels: width of the cochains.
        hidden_channels: width of the pooled representation.
        out_channels: width of the result.
        max_rank: ranks 0..max_rank are read out.
        readout: ``"sum"`` or ``"mean"`` over the cells of one rank.
        final_readout: ``"sum"`` or ``"mean"`` over the ranks.
        bias: whether ``b_r`` exists.
        activation: of the pooled representation.
        dropout: before the last linear map.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        max_rank: int,
        readout: str = "sum",
        final_readout: str = "sum",
        bias: bool = True,
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("readout", readout, ("sum", "mean"))
        check_choice("final_readout", final_readout, ("sum", "mean"))
        self.in_channels = in_channels
        self.readout, self.final_readout = readout, final_readout
        self.activation = activation
        self.ranks = nn.ModuleList(
            nn.Linear(in_channels, hidden_channels, bias) for _ in range(max_rank + 1)
        )
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex, h: Sequence[Tensor]) -> Tensor:
        """Cochains h[r] (n_r, in_channels), r = 0, 1, ... -> (num_complexes, out_channels)."""
        total: Tensor | float = 0.0
        for r, linear in enumerate(self.ranks):
            if r < len(h):
                pooled = kernels.segment_reduce(h[r], K.ptr[r], self.readout)
            else:
                pooled = h[0].new_zeros(K.num_complexes, self.in_channels)
            total = total + activate(linear(pooled), self.activation)
        if self.final_readout == "mean":
            total = total / len(self.ranks)
        return self.out(self.dropout(total))

    def extra_repr(self) -> str:
        return f"readout={self.readout!r}, final_readout={self.final_readout!r}"


def concat_layers(history: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Jumping knowledge: per rank the outputs of all layers side by side (Xu et al. 2018)."""
    return [torch.cat(rank, 1) for rank in zip(*history, strict=True)]
