"""Beltrami neural diffusion (Chamberlain et al., BLEND, NeurIPS 2021)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.dynamics import (
    AttentionDiffusion,
    BeltramiFlow,
    Entries,
    nearest_neighbors,
    within_radius,
)
from topodiff.nn.dropout import Dropout
from topodiff.nn.grand import GRAND


class BLEND(GRAND):
    """GRAND on features and positions of the vertices together: both flow, attention sees both, and
    the graph may follow the positions.

    Args:
        in_channels, hidden_channels, out_channels, num_layers, dropout: see :class:`GRAND`;
            ``hidden_channels`` for the features alone.
        position_channels: width of the positions that come in.
        position_hidden: their width in the state.
        position_scale: of positions in the attention; 0 makes features flow as in GRAND.
        neighbors: the graph is that of so many nearest neighbours at the positions of the start
            (published: k = 64); None for the graph itself.
        radius: or that of all positions within this distance.
        moving: neighbours are found at every evaluation, as positions move.
        options: of :class:`GRAND`.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        position_channels: int,
        position_hidden: int = 16,
        position_scale: float = 1.0,
        neighbors: int | None = None,
        radius: float | None = None,
        moving: bool = False,
        **options: Any,
    ) -> None:
        if neighbors is not None and radius is not None:
            raise ValueError("give one of neighbors and radius")
        if moving and neighbors is None and radius is None:
            raise ValueError("a graph that moves needs neighbors or radius")
        if position_channels < 1 or position_hidden < 1:
            raise ValueError(
                f"position_channels and position_hidden are at least 1, got {position_channels} "
                f"and {position_hidden}"
            )
        if options.get("attention") == "constant" and (neighbors or radius):
            raise ValueError("attention='constant' stays on the graph: it has no neighbors, radius")
        self.position_hidden, self.position_scale = position_hidden, position_scale
        # positions stand where other models have augmented channels: the decoder drops them
        augment = options.pop("augment", 0) + position_hidden
        super().__init__(
            in_channels, hidden_channels, out_channels, num_layers, dropout,
            augment=augment, **options,
        )  # fmt: skip
        self.neighbors, self.radius, self.moving = neighbors, radius, moving
        self.position_channels = position_channels
        self.position_dropout = Dropout(self.encoder.dropout)
        self.position_encoder = nn.Linear(position_channels, position_hidden)

    def attention_options(self) -> dict[str, Any]:
        return {"position_channels": self.position_hidden, "position_scale": self.position_scale}

    def encode(self, complex: CellComplex, x: Tensor | None) -> Tensor:
        z = super().encode(complex, x)
        positions = complex.positions
        n = complex.num_cells(0)
        if positions is None or positions.shape != (n, self.position_channels):
            given = "none" if positions is None else tuple(positions.shape)
            raise ValueError(
                f"positions must have shape ({n}, {self.position_channels}), got {given}: set them "
                "with complex.replace(positions=...)"
            )
        p = self.position_encoder(self.position_dropout(positions.to(z.dtype)))
        return torch.cat([z[:, : z.shape[1] - self.position_hidden], p], 1)

    def entries(self, complex: CellComplex, x: Tensor) -> Entries:
        rewire = self._rewire()
        if rewire is None:
            return super().entries(complex, x)
        return rewire(x[:, -self.position_hidden :].detach())

    def _rewire(self) -> Any:
        loops = self.loops > 0
        if self.neighbors is not None:
            return partial(nearest_neighbors, k=self.neighbors, loops=loops)
        if self.radius is not None:
            return partial(within_radius, radius=self.radius, loops=loops)
        return None

    def diffusion(self, entries: Entries, x: Tensor, options: dict[str, Any]) -> AttentionDiffusion:
        if not self.moving:
            return super().diffusion(entries, x, options)
        if self.linear:
            raise ValueError("a graph that moves needs attention that does: set linear=False")
        features = self.state_channels - self.position_hidden
        return BeltramiFlow(
            entries, self._weights(x, entries), features,
            rewire=self._rewire(), autonomous=self.num_layers == 1, **options,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, position_channels={self.position_channels}, "
            f"position_hidden={self.position_hidden}, neighbors={self.neighbors}, "
            f"radius={self.radius}, moving={self.moving}"
        )
