"""Linear maps of several inputs side by side, and the two-layer networks of message passing."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.nn.activation import Copies, NormActivation, Pending
from topodiff.nn.reset import reset_children


class LinearNorm(nn.Module):
    """(Linear, norm, activation) on each of several groups of channels, with maps of their own.

    Reads a result of its kind before it is activated, and hands on its own likewise, so that two
    of them in a row read and write every array once.

    Args:
        in_channels, out_channels: widths of one group.
        norm, activation: as for :class:`NormActivation`.
        groups: number of groups.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: str = "batch",
        activation: str = "relu",
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(groups, out_channels, in_channels))
        self.bias = nn.Parameter(torch.empty(groups * out_channels))
        self.norm = NormActivation(out_channels, norm, activation, groups)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Every group as ``torch.nn.Linear``; the norm as the identity."""
        bound = 1 / math.sqrt(self.weight.shape[2])
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        reset_children(self)

    def forward(self, x: Tensor | Pending, copies: Copies | None = None) -> Pending:
        """(n, groups * in_channels) -> (n, groups * out_channels).

        With ``copies`` every row stands for several in the statistics of the norm.
        """
        x, norm, activation = x if isinstance(x, Pending) else (x, None, "identity")
        count, rows = copies or (None, len(x))
        statistics = self.norm.uses_statistics(rows)
        y, mean, var = kernels.norm_linear(
            x, self.weight, self.bias, norm, activation, statistics, count
        )
        return self.norm.pending(y, mean, var, rows) if statistics else self.norm.pending(y)

    def extra_repr(self) -> str:
        groups, out_channels, in_channels = self.weight.shape
        return f"{in_channels}, {out_channels}, groups={groups}"


class MLP(nn.Module):
    """(Linear, norm, activation) twice: the update network of GIN and its descendants.

    Args:
        in_channels, hidden_channels: widths of one group; the result is as wide as hidden.
        norm, activation: as for :class:`NormActivation`.
        groups: number of networks side by side.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        norm: str = "batch",
        activation: str = "relu",
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.first = LinearNorm(in_channels, hidden_channels, norm, activation, groups)
        self.second = LinearNorm(hidden_channels, hidden_channels, norm, activation, groups)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, x: Tensor, copies: Copies | None = None) -> Pending:
        """(n, groups * in_channels) -> (n, groups * hidden_channels)."""
        return self.second(self.first(x, copies), copies)


class SplitLinear(nn.Module):
    """``W [x; c] + b = p + q`` with ``p = W_1 x`` and ``q = W_2 c + b``, not yet added.

    The two may differ in their number of rows: whoever adds them gathers rows first. Parameters
    are drawn as those of ``torch.nn.Linear(2 * channels, channels)``.

    Args:
        channels: width of x, of c, of p and of q.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.empty(2, channels, channels))
        self.bias = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform on +-1/sqrt(2 channels)."""
        bound = 1 / math.sqrt(2 * self.channels)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """(n, channels), (m, channels) -> the same."""
        of_x, of_c = self.weight.split(1)
        p, *_ = kernels.norm_linear(x, of_x)
        q, *_ = kernels.norm_linear(c, of_c, self.bias)
        return p, q

    def extra_repr(self) -> str:
        return f"{self.channels}"
