"""Graph isomorphism networks, without and with edge features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.nn.embedding import InChannels
from topodiff.nn.linear import MLP
from topodiff.nn.messages import upper_messages
from topodiff.nn.model import CochainModel
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import check_arguments, check_not_negative


class GINLayer(nn.Module):
    """``x_i' = MLP(x_i + sum over neighbours j of x_j)`` (GIN, Xu et al. 2019, eq. 4.1, eps = 0).

    With ``edge_features`` ``x_i' = MLP(x_i + sum of act(x_j + e_ij))`` (GINE, Hu et al. 2020).

    Args:
        channels: width.
        norm, activation: as for :class:`NormActivation`.
        edge_features: whether messages see the edge.
    """

    def __init__(
        self,
        channels: int,
        norm: str = "batch",
        activation: str = "relu",
        edge_features: bool = False,
    ) -> None:
        super().__init__()
        check_arguments(0.0, channels=channels)
        self.channels, self.activation, self.edge_features = channels, activation, edge_features
        self.mlp = MLP(channels, channels, norm, activation)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex, x: Sequence[Tensor]) -> list[Tensor]:
        """Cochains [x_0], or [x_0, x_1] with edge features; those of the edges stay as they are."""
        if K.rank == 0:
            return [self.mlp(x[0]).value()]
        if self.edge_features:
            messages = upper_messages(K, 0, x[0], x[1], self.activation)
        else:
            messages = upper_messages(K, 0, x[0], None, "identity")
        return [self.mlp(x[0] + messages).value(), *x[1:]]

    def extra_repr(self) -> str:
        return f"{self.channels}, edge_features={self.edge_features}"


class GIN(CochainModel):
    """Graph isomorphism network on vertices and edges; cells of higher rank are not used.

    Args:
        in_channels, hidden_channels, out_channels: as for :class:`CochainModel`; rank 0 (and 1).
        num_layers: number of :class:`GINLayer`.
        norm, activation: as for :class:`GINLayer`.
        options: dropout, jump, readout, as for :class:`CochainModel`.
    """

    edge_features = False

    def __init__(
        self,
        in_channels: InChannels,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 4,
        *,
        norm: str = "batch",
        activation: str = "relu",
        **options: Any,
    ) -> None:
        check_arguments(0.0, hidden_channels=hidden_channels)
        check_not_negative(num_layers=num_layers)
        layers = [
            GINLayer(hidden_channels, norm, activation, self.edge_features)
            for _ in range(num_layers)
        ]
        super().__init__(
            layers,
            in_channels,
            hidden_channels,
            out_channels,
            max_rank=1 if self.edge_features else 0,
            readout_rank=0,
            activation=activation,
            **options,
        )


class GINE(GIN):
    """GIN whose messages see the features of the edge."""

    edge_features = True
