"""What the models on complexes have in common: embed the cells, exchange messages, read out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.kernels.checks import check_choice
from topodiff.nn.embedding import CellEmbedding, InChannels
from topodiff.nn.features import check_complex
from topodiff.nn.readout import Readout, concat_layers
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import check_arguments


class CochainModel(nn.Module):
    """Embedding, layers that map cochains to cochains, readout; one row of output per complex.

    Args:
        layers: modules ``layer(K, h) -> h`` on lists of cochains, one per rank, all
            ``hidden_channels`` wide.
        in_channels: rank -> number of real features, or the numbers of categories of the integer
            columns of ``K.x[rank]``. Ranks that are left out get the sum over their vertices.
        hidden_channels: width of every layer; the readout is twice as wide.
        out_channels: width of the result.
        max_rank: cells of higher rank are not used.
        readout_rank: cells of higher rank are not read out; ``max_rank`` by default.
        activation: of the readout.
        dropout: probability after the embedding, after every layer and before the last linear map.
        jump: ``None``, or ``"cat"`` to read out the outputs of all layers side by side (the linear
            map of each rank then has no bias, as published).
        init_reduce: ``"sum"`` or ``"mean"`` over the vertices of cells without features.
        readout: ``"sum"`` or ``"mean"`` over the cells of one rank.
        final_readout: ``"sum"`` or ``"mean"`` over the ranks.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        in_channels: InChannels,
        hidden_channels: int,
        out_channels: int,
        *,
        max_rank: int,
        readout_rank: int | None = None,
        activation: str = "relu",
        dropout: float = 0.0,
        jump: str | None = None,
        init_reduce: str = "sum",
        readout: str = "sum",
        final_readout: str = "sum",
    ) -> None:
        super().__init__()
        check_choice("jump", jump, (None, "cat"))
        check_arguments(dropout, out_channels=out_channels)
        if jump and not layers:
            raise ValueError("jump='cat' puts layers side by side, but there are none: omit it")
        self.in_channels, self.hidden_channels = in_channels, hidden_channels
        self.out_channels, self.max_rank, self.jump = out_channels, max_rank, jump
        self.embedding = CellEmbedding(in_channels, hidden_channels, max_rank, init_reduce, dropout)
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)
        self.readout = Readout(
            hidden_channels * (len(layers) if jump else 1),
            2 * hidden_channels,
            out_channels,
            max_rank if readout_rank is None else readout_rank,
            readout,
            final_readout,
            bias=jump is None,
            activation=activation,
            dropout=dropout,
        )

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex) -> Tensor:
        """A batched complex -> (num_complexes, out_channels).

        Raises:
            TypeError, ValueError: for what is no complex; features that are missing, of the wrong
                kind or out of range.
        """
        check_complex(K)
        h = self.embedding(K)
        history = []
        for layer in self.layers:
            # a layer may hand on a cochain as it is; that is not dropped again
            h = [x if x is old else self.dropout(x) for x, old in zip(layer(K, h), h, strict=True)]
            history.append(h)
        return self.readout(K, concat_layers(history) if self.jump else h)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, {self.out_channels}, "
            f"num_layers={len(self.layers)}, max_rank={self.max_rank}, jump={self.jump!r}"
        )
