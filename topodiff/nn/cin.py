"""Cellular isomorphism networks (Bodnar et al., Weisfeiler and Lehman Go Cellular, 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.complexes.colours import Colours, refine
from topodiff.nn.embedding import InChannels
from topodiff.nn.features import check_cochains, check_complex
from topodiff.nn.linear import MLP, LinearNorm, SplitLinear
from topodiff.nn.messages import boundary_sum, lower_messages, upper_messages
from topodiff.nn.model import CochainModel
from topodiff.nn.reset import reset_children
from topodiff.nn.sharing import SharedCells
from topodiff.nn.vertex_model import check_arguments, check_not_negative


class CINLayer(nn.Module):
    """One layer of a CIN. For a cell i of rank r, with parameters of its own for every rank,

        up_i  = sum over cofaces c of i, faces j != i of c:  act(W [x_j; x_c] + b)
        bd_i  = sum over faces j of i:  x_j
        x_i' <- act(norm(W' [MLP_u(x_i + up_i); MLP_b(x_i + bd_i)] + b'))

    (CWN, eq. 4-6, with eps = 0 as in every published run.) A sum over nothing is zero. With
    ``lower_messages`` a third branch ``MLP_d(x_i + down_i)`` joins them,

        down_i = sum over faces f of i, other cofaces j of f:  act(W_d [x_j; x_f] + b_d)

    (CIN++, Giusti et al. 2023). The message network is linear before its activation, so it is one
    product per cell instead of one per pair of cells, and the sums cost as much as there are
    incidences.

    Args:
        in_channels: width of the input cochains.
        hidden_channels: width inside and of the result.
        max_rank: parameters exist for the ranks 0..max_rank.
        norm: ``"batch"``, ``"clipped"``, ``"layer"`` or ``"none"``, see :class:`NormActivation`.
        activation: one of ``kernels.ACTIVATIONS``.
        coface_features: whether messages see the shared cell; if not, they are ``x_j`` itself.
        lower_messages: whether cells that share a face exchange messages.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        max_rank: int = 2,
        *,
        norm: str = "batch",
        activation: str = "relu",
        coface_features: bool = True,
        lower_messages: bool = False,
    ) -> None:
        super().__init__()
        check_arguments(0.0, in_channels=in_channels, hidden_channels=hidden_channels)
        check_not_negative(max_rank=max_rank)
        self.in_channels, self.hidden_channels = in_channels, hidden_channels
        self.max_rank, self.activation = max_rank, activation
        self.coface_features, self.lower_messages = coface_features, lower_messages
        self.branches = 3 if lower_messages else 2
        networks = max_rank if coface_features else 0
        self.upper = nn.ModuleList(SplitLinear(in_channels) for _ in range(networks))
        if lower_messages:
            self.lower = nn.ModuleList(SplitLinear(in_channels) for _ in range(networks))
        # the networks of the branches side by side, in the order up, boundary, down
        self.mlp = nn.ModuleList(
            MLP(in_channels, hidden_channels, norm, activation, self.branches)
            for _ in range(max_rank + 1)
        )
        self.combine = nn.ModuleList(
            LinearNorm(self.branches * hidden_channels, hidden_channels, norm, activation)
            for _ in range(max_rank + 1)
        )

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex | SharedCells, x: Sequence[Tensor]) -> list[Tensor]:
        """Cochains x[r] (n_r, in_channels), r = 0..R <= max_rank -> same with hidden_channels.

        Raises:
            ValueError: for cochains of too many ranks or of the wrong shape.
        """
        if not isinstance(K, SharedCells):
            check_cochains(K, x, self.in_channels, self.max_rank)
        return [self._update(K, r, x) for r in range(len(x))]

    def _update(self, K: CellComplex | SharedCells, r: int, x: Sequence[Tensor]) -> Tensor:
        own, copies = x[r], None
        if isinstance(K, SharedCells):
            own, copies = K.own(r, own), K.copies(r, own.dtype)
        branches = [
            own + self._up(K, r, x) if r + 1 < len(x) else own,
            own + boundary_sum(K, r, x[r - 1]) if r else own,
        ]
        if self.lower_messages:
            branches.append(own + self._down(K, r, x) if r else own)
        return self.combine[r](self.mlp[r](torch.cat(branches, 1), copies), copies).value()

    def _up(self, K: CellComplex | SharedCells, r: int, x: Sequence[Tensor]) -> Tensor:
        if not self.coface_features:
            return upper_messages(K, r, x[r], None, "identity")
        p, q = self.upper[r](x[r], x[r + 1])
        return upper_messages(K, r, p, q, self.activation)

    def _down(self, K: CellComplex | SharedCells, r: int, x: Sequence[Tensor]) -> Tensor:
        if not self.coface_features:
            return lower_messages(K, r, x[r], None, "identity")
        p, q = self.lower[r - 1](x[r], x[r - 1])
        return lower_messages(K, r, p, q, self.activation)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, max_rank={self.max_rank}, "
            f"activation={self.activation!r}, coface_features={self.coface_features}, "
            f"lower_messages={self.lower_messages}"
        )


class CIN(CochainModel):
    """Cellular isomorphism network: tells apart whatever the cellular Weisfeiler-Lehman test can.

    Published on ZINC: 128 wide, 4 layers, rings up to 18; small 48 wide, 2 layers.

    Cells that the test does not tell apart after as many rounds as there were layers have the same
    features. Where features are categories and many cells are alike, as among the molecules of a
    batch, the first layers compute one row for all of them (nn.sharing), with the same result.

    Args:
        in_channels, hidden_channels, out_channels: as for :class:`CochainModel`; for ZINC
            ``{0: (28,), 1: (4,)}``, 128, 1.
        num_layers: number of :class:`CINLayer`.
        max_rank: cells of higher rank are not used.
        norm, activation, coface_features, lower_messages: as for :class:`CINLayer`.
        options: dropout, jump, init_reduce, readout, final_readout, as for :class:`CochainModel`.
    """

    worth_sharing = 0.85  # largest ratio of colours to cells; keeping the books costs something

    def __init__(
        self,
        in_channels: InChannels,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 4,
        *,
        max_rank: int = 2,
        norm: str = "batch",
        activation: str = "relu",
        coface_features: bool = True,
        lower_messages: bool = False,
        **options: Any,
    ) -> None:
        check_arguments(0.0, hidden_channels=hidden_channels)
        check_not_negative(num_layers=num_layers, max_rank=max_rank)
        layers = [
            CINLayer(
                hidden_channels,
                hidden_channels,
                max_rank,
                norm=norm,
                activation=activation,
                coface_features=coface_features,
                lower_messages=lower_messages,
            )
            for _ in range(num_layers)
        ]
        super().__init__(
            layers,
            in_channels,
            hidden_channels,
            out_channels,
            max_rank=max_rank,
            activation=activation,
            **options,
        )
        self.lower_messages = lower_messages

    def forward(self, K: CellComplex) -> Tensor:
        """A batched complex -> (num_complexes, out_channels).

        Raises:
            TypeError, ValueError: for what is no complex; features that are missing, of the wrong
                kind or out of range.
        """
        check_complex(K)
        rounds = self._rounds(K)
        if len(rounds) < 2:
            return super().forward(K)
        x = [kernels.gather(h, c.first) for h, c in zip(self.embedding(K), rounds[0], strict=True)]
        shared = len(rounds) - 1
        for layer, old, new in zip(self.layers[:shared], rounds, rounds[1:], strict=False):
            x = layer(SharedCells(K, old, new), x)
        x = [kernels.gather(h, c.of) for h, c in zip(x, rounds[-1], strict=True)]
        for layer in self.layers[shared:]:
            x = layer(K, x)
        return self.readout(K, x)

    def _rounds(self, K: CellComplex) -> list[list[Colours]]:
        """Colours before the first layer, after it, and so on while many cells share one."""
        colours = self.embedding.colours(K) if self._may_share(K) else None
        rounds = [] if colours is None else [colours]
        while rounds and len(rounds) <= len(self.layers):
            colours = refine(K, rounds[-1])
            if sum(len(c.first) for c in colours) > self.worth_sharing * sum(K.shape):
                break
            rounds.append(colours)
        return rounds

    def _may_share(self, K: CellComplex) -> bool:
        """Whether cells of one colour have one value: not where some are dropped, nor where lower
        neighbours or what every layer gives are wanted, which colours here leave out."""
        drops = self.training and self.dropout.p > 0
        other = drops or self.lower_messages or self.jump is not None
        return not other and K.device.type == "cpu" and not torch.compiler.is_compiling()
