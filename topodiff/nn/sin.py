"""Message passing simplicial networks (Bodnar et al., Weisfeiler and Lehman Go Topological)."""

from __future__ import annotations

from typing import Any

from topodiff.nn.cin import CIN
from topodiff.nn.embedding import InChannels


class SIN(CIN):
    """Simplicial isomorphism network, the MPSN of the published experiments.

        x_i' <- act(norm(W [MLP_u(x_i + sum of x_j over upper neighbours j);
                            MLP_b(x_i + sum of x_j over faces j)] + b))

    A :class:`CIN` meant for clique complexes of any rank (``CliqueLifting``). As published,
    messages carry the neighbour alone, which is cheaper, and weaker than the simplicial
    Weisfeiler-Lehman test; with ``coface_features`` they are those of the MPSN of the theory,
    ``act(W [x_j; x_c] + b)`` through the shared coface c, and tell apart what the test does
    (``topodiff.diagnostics.weisfeiler_lehman``).

    Args:
        in_channels, hidden_channels, out_channels, num_layers, max_rank: as for :class:`CIN`.
        coface_features, options: as for :class:`CIN`.
    """

    def __init__(
        self,
        in_channels: InChannels,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 4,
        *,
        max_rank: int = 2,
        coface_features: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(
            in_channels,
            hidden_channels,
            out_channels,
            num_layers,
            max_rank=max_rank,
            coface_features=coface_features,
            **options,
        )
