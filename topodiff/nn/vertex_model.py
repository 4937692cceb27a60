"""What models of vertices share: their input, their arguments, and a plain stack of layers."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.kernels.activations import activate
from topodiff.nn.dropout import Dropout
from topodiff.nn.feature_linear import Rows, drop_entries, sparse_rows
from topodiff.nn.features import cell_features
from topodiff.nn.reset import reset_children

Features = Tensor | Rows


def vertex_features(K: CellComplex, x: Tensor | None, in_channels: int, weight: Tensor) -> Features:
    """``x``, or ``K.x[0]`` in its place, which must be (n_0, in_channels), finite, and as
    ``weight`` of the model is; by their entries where these are few.

    Raises:
        TypeError, ValueError: see :func:`topodiff.nn.features.cell_features`; features that are not
            finite.
    """
    x = cell_features(K, x, 0, in_channels, weight)
    rows = sparse_rows(x)
    return x if rows is None else rows


class FeatureDropout(Dropout):
    """:class:`Dropout` of a tensor, or of the entries of sparse rows, which has the same law."""

    def forward(self, x: Features) -> Features:  # type: ignore[override]
        if isinstance(x, Rows):
            return drop_entries(x, self.p if self.training else 0.0)
        return super().forward(x)


class FeatureMap(nn.Module):
    """``x_i' = W^T x_i + b`` on tensors or sparse rows; drawn as ``torch.nn.Linear``.

    Args:
        in_channels, out_channels: widths.
        bias: whether there is b.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform on +-1/sqrt(in_channels)."""
        bound = 1 / math.sqrt(len(self.weight))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Features) -> Tensor:
        """(n, in_channels) -> (n, out_channels)."""
        x = x @ self.weight
        return x if self.bias is None else x + self.bias

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, bias={self.bias is not None}"


def check_arguments(dropout: float, **positive: int) -> None:
    """ValueError for a dropout outside [0, 1), others that are no whole numbers >= 1."""
    for name, value in positive.items():
        whole_number(name, value, 1)
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is in [0, 1), got {dropout}")


def check_not_negative(**numbers: int) -> None:
    """ValueError for one that is no whole number >= 0."""
    for name, value in numbers.items():
        whole_number(name, value, 0)


class VertexModel(nn.Module):
    """``x <- act(layer(K, dropout(x)))`` for every layer, without the activation in the last one.

    Subclasses say what a layer is.

    Args:
        in_channels: width of the features.
        hidden_channels: width between the layers.
        out_channels: width of the result.
        num_layers: number of layers, the last one included.
        dropout: before every layer, the first one included.
    """

    activation = "relu"

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_arguments(
            dropout,
            in_channels=in_channels,
            hidden_channels=hidden_channels,
            out_channels=out_channels,
            num_layers=num_layers,
        )
        self.in_channels = in_channels
        self.dropout = FeatureDropout(dropout)
        widths = [in_channels, *[hidden_channels] * (num_layers - 1)]
        layers = [self.make_layer(a, b) for a, b in pairwise(widths)]
        self.layers = nn.ModuleList([*layers, self.make_last(widths[-1], out_channels)])

    def make_layer(self, in_channels: int, out_channels: int) -> nn.Module:
        """A module that maps (K, x) to the next x, with ``weight`` for x."""
        raise NotImplementedError

    def make_last(self, in_channels: int, out_channels: int) -> nn.Module:
        """The last layer."""
        return self.make_layer(in_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Complexes and features (n_0, in_channels), by default ``complex.x[0]`` ->
        (n_0, out_channels)."""
        first, *others = self.layers
        features = vertex_features(complex, x, self.in_channels, first.weight)  # type: ignore[arg-type]
        h: Tensor = first(complex, self.dropout(features))
        for layer in others:
            h = layer(complex, self.dropout(activate(h, self.activation)))
        return h

    def extra_repr(self) -> str:
        return f"activation={self.activation!r}"
