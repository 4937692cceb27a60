"""Sheaf diffusion on complexes with several ranks of cells, such as molecules with their rings."""

from __future__ import annotations

from typing import Any

from topodiff.nn.embedding import InChannels
from topodiff.nn.model import CochainModel
from topodiff.nn.sheaf.cochain_layer import SheafCochainLayer
from topodiff.nn.vertex_model import check_not_negative


class CochainSheafDiffusion(CochainModel):
    """Sheaf diffusion on complexes, such as molecules with their rings: one row of output each.

    Args:
        in_channels, hidden_channels, out_channels: as for :class:`CochainModel`; ``stalk_dim`` must
            divide ``hidden_channels``.
        num_layers: number of :class:`SheafCochainLayer`.
        stalk_dim, maps, parametrization, activation: as for :class:`SheafCochainLayer`.
        max_rank: cells of higher rank are not used.
        options: dropout, jump, init_reduce, readout, final_readout, as for :class:`CochainModel`.
    """

    def __init__(
        self,
        in_channels: InChannels,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 4,
        *,
        stalk_dim: int = 2,
        max_rank: int = 2,
        maps: str = "orthogonal",
        parametrization: str | None = None,
        activation: str = "elu",
        **options: Any,
    ) -> None:
        check_not_negative(num_layers=num_layers)
        layers = [
            SheafCochainLayer(
                hidden_channels, stalk_dim, max_rank,
                maps=maps, parametrization=parametrization, activation=activation,
            )
            for _ in range(num_layers)
        ]  # fmt: skip
        shape = (in_channels, hidden_channels, out_channels)
        super().__init__(layers, *shape, max_rank=max_rank, activation=activation, **options)
