"""Learnt attention for diffusion: the weights of GRAND and BLEND."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.dynamics import (
    Entries,
    EntryOperator,
    attention_weights,
    cosine,
    exp_kernel,
    pearson,
    scaled_dot,
)
from topodiff.dynamics.entries import check_normalization
from topodiff.dynamics.scores import SCORES
from topodiff.kernels.checks import check_choice
from topodiff.nn.vertex_model import check_arguments


class DiffusionAttention(nn.Module):
    """Weights ``a_ij`` of the entries of a matrix from queries ``W_Q z_i + b`` and keys
    ``W_K z_j + c``, the mean over heads (Chamberlain et al., GRAND, 2021, eq. 10).

    Args:
        channels: width of the state z.
        attention_channels: width of queries and keys, all heads together.
        heads: number of heads.
        score: ``scaled_dot``, ``cosine``, ``pearson``, or ``exp_kernel`` with a length and a size
            that are learnt.
        squash, normalization: of :func:`topodiff.dynamics.attention_weights`.
        position_channels: how many of the channels, the last ones, are positions: for BLEND.
            ``exp_kernel`` then is the product of a kernel of features and a kernel of positions.
        position_scale: of the positions in the attention; with 0 they are not seen.
        init: ``small``: all entries of W_Q and W_K are 1e-5, as published, so that attention is
            uniform at first; ``glorot``.
    """

    def __init__(
        self,
        channels: int,
        attention_channels: int,
        heads: int = 1,
        *,
        score: str = "scaled_dot",
        squash: str = "softmax",
        normalization: str = "row",
        position_channels: int = 0,
        position_scale: float = 1.0,
        init: str = "small",
    ) -> None:
        super().__init__()
        check_arguments(0.0, channels=channels, attention_channels=attention_channels, heads=heads)
        check_choice("score", score, SCORES)
        check_choice("squash", squash, kernels.SQUASHES)
        check_choice("init", init, ("small", "glorot"))
        check_normalization(normalization)
        if attention_channels % heads:
            raise ValueError(f"{heads} heads do not divide attention_channels={attention_channels}")
        if not 0 <= position_channels < channels:
            raise ValueError(
                f"position_channels must be 0 to {channels - 1}, less than all channels; got "
                f"{position_channels}"
            )
        self.heads, self.score, self.squash = heads, score, squash
        self.normalization, self.init = normalization, init
        self.position_channels, self.position_scale = position_channels, position_scale
        self.of_positions: DiffusionAttention | None = None
        if score == "exp_kernel":
            self.length = nn.Parameter(torch.ones(()))
            self.size = nn.Parameter(torch.ones(()))
            if position_channels:
                channels -= position_channels
                self.of_positions = DiffusionAttention(
                    position_channels, attention_channels, heads, score=score, init=init
                )
        self.channels = channels
        self.query = nn.Linear(channels, attention_channels)
        self.key = nn.Linear(channels, attention_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As ``init`` says; length and size 1, biases as ``torch.nn.Linear``."""
        for linear in (self.query, self.key):
            linear.reset_parameters()
            if self.init == "small":
                nn.init.constant_(linear.weight, 1e-5)
            else:
                nn.init.xavier_uniform_(linear.weight)
        if self.score == "exp_kernel":
            nn.init.ones_(self.length)
            nn.init.ones_(self.size)
        if self.of_positions is not None:
            self.of_positions.reset_parameters()

    def _projected(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys (n, heads, width) of a state."""
        if self.position_channels and self.of_positions is None:
            features, positions = self._split(z)
            z = torch.cat([features, positions], 1)
        q, k = self.query(z), self.key(z)
        return q.unflatten(1, (self.heads, -1)), k.unflatten(1, (self.heads, -1))

    def _split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and positions to scale."""
        width = z.shape[1] - self.position_channels
        return z[:, :width], self.position_scale * z[:, width:]

    def scores(self, z: Tensor, entries: Entries) -> Tensor:
        """(n, channels) -> (nnz, heads)."""
        if self.of_positions is not None:
            features, positions = self._split(z)
            of_features = exp_kernel(*self._projected(features), entries, self.length, self.size)
            return of_features * self.of_positions.scores(positions, entries)
        if self.score == "exp_kernel":
            return exp_kernel(*self._projected(z), entries, self.length, self.size)
        functions = {"scaled_dot": scaled_dot, "cosine": cosine, "pearson": pearson}
        return functions[self.score](*self._projected(z), entries)

    def forward(self, z: Tensor, entries: Entries) -> Tensor:
        """(n, channels) -> weights (nnz,)."""
        return attention_weights(
            self.scores(z, entries), entries, squash=self.squash, normalization=self.normalization
        )

    def product(self, z: Tensor, entries: Entries) -> Tensor:
        """``A z`` with the weights at z; by one kernel where scores are scaled products and rows
        have a softmax."""
        if (self.score, self.squash, self.normalization) == ("scaled_dot", "softmax", "row"):
            return kernels.edge_attention(*self._projected(z), z, entries.index, entries.ptr)
        return EntryOperator(entries, self(z, entries)) @ z

    def extra_repr(self) -> str:
        return (
            f"{self.channels}, heads={self.heads}, score={self.score!r}, squash={self.squash!r}, "
            f"normalization={self.normalization!r}, position_channels={self.position_channels}"
        )
