"""Linear maps of concatenated inputs, and the two-layer networks of message passing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from topodiff.nn.activation import NormActivation
from topodiff.nn.reset import reset_children


class ConcatLinear(nn.Module):
    """``y = W [x_1; ...; x_k] + b = W_1 x_1 + ... + W_k x_k + b`` without the concatenation.

    Parameters are drawn as those of ``torch.nn.Linear(sum(in_channels), out_channels)``.

    Args:
        in_channels: widths of the parts.
        out_channels: width of the result.
    """

    def __init__(self, in_channels: Sequence[int], out_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels = tuple(in_channels), out_channels
        self.weights = nn.ParameterList(torch.empty(out_channels, n) for n in in_channels)
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform on +-1/sqrt(total width), weights and bias."""
        bound = 1 / math.sqrt(sum(self.in_channels))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, *parts: Tensor) -> Tensor:
        """(n, in_channels[k]) for every k -> (n, out_channels)."""
        out = functional.linear(parts[-1], self.weights[-1], self.bias)
        for x, weight in zip(parts[:-1], self.weights, strict=False):
            out.addmm_(x, weight.T)
        return out

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"


class SplitLinear(ConcatLinear):
    """The terms of a :class:`ConcatLinear` one by one, the last with the bias, not yet added.

    The parts may differ in their number of rows: whatever adds them gathers rows first.
    """

    def forward(self, *parts: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        """(n_k, in_channels[k]) -> (n_k, out_channels) for every k."""
        *others, last = zip(parts, self.weights, strict=True)
        terms = [functional.linear(x, weight) for x, weight in others]
        return *terms, functional.linear(*last, self.bias)


class MLP(nn.Sequential):
    """(Linear, norm, activation) twice, the update network of GIN and its descendants.

    Args:
        in_channels, hidden_channels, out_channels: widths.
        norm, activation: as for :class:`NormActivation`.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        norm: str = "batch",
        activation: str = "relu",
    ) -> None:
        super().__init__(
            nn.Linear(in_channels, hidden_channels),
            NormActivation(hidden_channels, norm, activation),
            nn.Linear(hidden_channels, out_channels),
            NormActivation(out_channels, norm, activation),
        )

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)
