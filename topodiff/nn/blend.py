"""Beltrami neural diffusion (Chamberlain et al., BLEND, NeurIPS 2021)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex, keep
from topodiff.complexes.integers import whole_number
from topodiff.dynamics import (
    AttentionDiffusion,
    BeltramiFlow,
    Entries,
    EntryOperator,
    nearest_neighbors,
    normalize,
    pagerank_rows,
    within_radius,
)
from topodiff.geometry import deepwalk
from topodiff.nn.feature_linear import FeatureLinear, Rows
from topodiff.nn.grand import GRAND


class BLEND(GRAND):
    """GRAND on features and positions of the vertices together: both flow, attention sees both, and
    the graph may follow the positions.

    Args:
        in_channels, hidden_channels, out_channels, num_layers, dropout: see :class:`GRAND`;
            ``hidden_channels`` for the features alone.
        position_channels: width of the positions that come in; with ``position_neighbors`` the
            number of vertices, of which each then has parameters of its own.
        position_hidden: their width in the state.
        position_neighbors: positions are rows of personalised pagerank (with ``teleport``), each
            with so many largest entries; None for those of the complex.
        position_walks: positions are those of :func:`topodiff.geometry.deepwalk`.
        decode_positions: whether the decoder sees the positions, as in the published code.
        position_scale: of positions in the attention; 0 makes features flow as in GRAND.
        neighbors: the graph is that of so many nearest neighbours by the positions that come in
            (published: k = 64), of all vertices where there are fewer; None for the graph itself.
        radius: or that of all positions within this distance.
        moving: neighbours are found at every evaluation, by the positions in the state, which
            move.
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
        position_neighbors: int | None = None,
        position_walks: bool = False,
        decode_positions: bool = False,
        neighbors: int | None = None,
        radius: float | None = None,
        moving: bool = False,
        **options: Any,
    ) -> None:
        if neighbors is not None and radius is not None:
            raise ValueError("give one of neighbors and radius")
        if neighbors is not None:
            whole_number("neighbors", neighbors, 1)
        if moving and neighbors is None and radius is None:
            raise ValueError("a graph that moves needs neighbors or radius")
        if position_walks and position_neighbors is not None:
            raise ValueError("give one of position_walks and position_neighbors")
        if position_channels < 1 or position_hidden < 1:
            raise ValueError(
                f"position_channels and position_hidden are at least 1, got {position_channels} "
                f"and {position_hidden}"
            )
        if options.get("attention") == "constant" and (neighbors or radius):
            raise ValueError("attention='constant' stays on the graph: it has no neighbors, radius")
        if decode_positions and options.get("second_linear"):
            raise ValueError("give one of decode_positions and second_linear")
        self.position_hidden, self.position_scale = position_hidden, position_scale
        # positions stand where other models have augmented channels: the decoder drops them
        augment = options.pop("augment", 0) + position_hidden
        super().__init__(
            in_channels, hidden_channels, out_channels, num_layers, dropout,
            augment=augment, **options,
        )  # fmt: skip
        self.neighbors, self.radius, self.moving = neighbors, radius, moving
        self.position_channels, self.position_neighbors = position_channels, position_neighbors
        self.position_walks, self.decode_positions = position_walks, decode_positions
        self.position_encoder = FeatureLinear(
            position_channels, position_hidden, self.encoder.dropout
        )
        if decode_positions:
            self.decoder = nn.Linear(hidden_channels + position_hidden, out_channels)

    def attention_options(self) -> dict[str, Any]:
        return {"position_channels": self.position_hidden, "position_scale": self.position_scale}

    def encode(self, complex: CellComplex, x: Tensor | None) -> Tensor:
        z = super().encode(complex, x)
        p = self.position_encoder(self.positions(complex, z.dtype))
        return torch.cat([z[:, : z.shape[1] - self.position_hidden], p], 1)

    def positions(self, complex: CellComplex, dtype: torch.dtype) -> Tensor | Rows:
        """(n_0, position_channels); those by pagerank as sparse rows."""
        found = self._positions(complex, dtype)
        if isinstance(found, Tensor):
            return found
        return Rows(found.entries.index, found.entries.ptr, found.weight)

    def _positions(self, complex: CellComplex, dtype: torch.dtype) -> Tensor | EntryOperator:
        """Those by pagerank and by walks are found once for each graph."""
        n = complex.num_cells(0)
        if self.position_walks:
            width = self.position_channels
            return keep(complex, ("deepwalk", width), lambda: deepwalk(complex, width)).to(dtype)
        if self.position_neighbors is None:
            positions = complex.positions
            if positions is None or positions.shape != (n, self.position_channels):
                given = "none" if positions is None else tuple(positions.shape)
                raise ValueError(
                    f"positions must have shape ({n}, {self.position_channels}), got {given}: set "
                    "them with complex.replace(positions=...)"
                )
            return positions.to(dtype)
        if self.position_channels != n:
            raise ValueError(
                f"positions by pagerank have one channel for each of {n} vertices, but "
                f"position_channels is {self.position_channels}"
            )
        k, teleport = min(self.position_neighbors, max(n - 1, 0)), self.teleport

        def make() -> EntryOperator:
            graph = Entries.from_complex(complex, True)
            ones = torch.ones(graph.nnz, dtype=dtype, device=complex.device)
            walk = normalize(graph, ones, "row")
            return EntryOperator(*pagerank_rows(walk, graph, k, teleport=teleport))

        return keep(complex, ("pagerank rows", k, teleport, dtype), make)

    def decode(self, x: Tensor) -> Tensor:
        if not self.decode_positions:
            return super().decode(x)
        seen = [x[..., : self.hidden_channels], x[..., -self.position_hidden :]]
        return self.decoder(self.dropout(torch.cat(seen, -1).relu()))

    def entries(self, complex: CellComplex, x: Tensor) -> Entries:
        rewire = self._rewire(complex)
        if rewire is None:
            return super().entries(complex, x)
        if self.moving:
            return rewire(x[:, -self.position_hidden :].detach())

        def make() -> Entries:
            return rewire(self._positions(complex, x.dtype))

        if self.position_neighbors is None and not self.position_walks:
            return make()
        found_by = (self.position_neighbors, self.teleport, self.position_channels)
        options = (self.neighbors, self.radius, self.loops > 0)
        return keep(complex, ("neighbors", *found_by, *options), make)

    def _rewire(self, complex: CellComplex) -> Any:
        options: dict[str, Any] = {"loops": self.loops > 0, "ptr": complex.ptr[0]}
        if self.neighbors is not None:
            return partial(nearest_neighbors, k=self.neighbors, **options)
        if self.radius is not None:
            return partial(within_radius, radius=self.radius, **options)
        return None

    def diffusion(
        self, complex: CellComplex, entries: Entries, x: Tensor, options: dict[str, Any]
    ) -> AttentionDiffusion:
        if not self.moving:
            return super().diffusion(complex, entries, x, options)
        if self.linear:
            raise ValueError("a graph that moves needs attention that does: set linear=False")
        features = self.state_channels - self.position_hidden
        return BeltramiFlow(
            entries, self._weights(x, entries), features,
            rewire=self._rewire(complex), autonomous=self._autonomous(), **options,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, position_channels={self.position_channels}, "
            f"position_hidden={self.position_hidden}, "
            f"position_neighbors={self.position_neighbors}, "
            f"position_walks={self.position_walks}, neighbors={self.neighbors}, "
            f"radius={self.radius}, moving={self.moving}"
        )
