"""GCNII (Chen et al., Simple and Deep Graph Convolutional Networks, ICML 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.dynamics import adjacency
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import FeatureDropout, FeatureMap, check_arguments, vertex_features


class GCNIILayer(nn.Module):
    """``X' = ((1 - alpha) A' X + alpha X_0) ((1 - beta) I + beta W)``, A' as in :class:`GCNLayer`
    (eq. 5, before the activation).

    Args:
        channels: width.
        alpha: share of the initial X_0.
        beta: share of W.
    """

    def __init__(self, channels: int, alpha: float, beta: float) -> None:
        super().__init__()
        self.alpha, self.beta = alpha, beta
        self.weight = nn.Parameter(torch.empty(channels, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform on +-1/sqrt(channels), as in the published code."""
        bound = 1 / math.sqrt(len(self.weight))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, K: CellComplex, x: Tensor, x_0: Tensor) -> Tensor:
        """(n_0, channels) twice -> (n_0, channels)."""
        mixed = torch.lerp(adjacency(K, x.dtype) @ x, x_0, self.alpha)
        mapped = mixed @ self.weight
        if mapped.dtype is not mixed.dtype:  # autocast lowers it
            mapped = mapped.to(mixed.dtype)
        return torch.lerp(mixed, mapped, self.beta)

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, alpha={self.alpha:g}, beta={self.beta:.3g}"


class GCNII(nn.Module):
    """``X_0 = relu(W_in x)``, ``X_l = relu(layer_l(X_{l-1}))`` with ``beta_l = log(lambda / l +
    1)``, ``out = W_out X_L``, and dropout before every map.

    Args:
        in_channels, hidden_channels, out_channels: widths.
        num_layers: L.
        dropout: before W_in, W_out and every layer.
        alpha: share of X_0 in every layer.
        lambda_: sets how fast the share of W falls with depth.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 8,
        dropout: float = 0.5,
        alpha: float = 0.1,
        lambda_: float = 0.5,
    ) -> None:
        super().__init__()
        check_arguments(
            dropout,
            in_channels=in_channels,
            hidden_channels=hidden_channels,
            out_channels=out_channels,
            num_layers=num_layers,
        )
        if not 0 <= alpha <= 1 or not lambda_ >= 0:
            raise ValueError(f"alpha is in [0, 1] and lambda_ >= 0, got {alpha} and {lambda_}")
        self.in_channels = in_channels
        self.dropout = FeatureDropout(dropout)
        self.embed = FeatureMap(in_channels, hidden_channels)
        self.layers = nn.ModuleList(
            GCNIILayer(hidden_channels, alpha, math.log(lambda_ / k + 1))
            for k in range(1, num_layers + 1)
        )
        self.classify = nn.Linear(hidden_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Complexes and features (n_0, in_channels), by default ``complex.x[0]`` ->
        (n_0, out_channels)."""
        features = vertex_features(complex, x, self.in_channels, self.embed.weight)
        x = x_0 = self.embed(self.dropout(features)).relu()
        for layer in self.layers:
            x = layer(complex, self.dropout(x), x_0).relu()
        return self.classify(self.dropout(x))
