"""What models of vertices share: their input, their arguments, and a plain stack of layers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.kernels.activations import activate
from topodiff.nn.reset import reset_children

MakeLayer = Callable[[int, int], nn.Module]


def vertex_features(K: CellComplex, x: Tensor | None, in_channels: int) -> Tensor:
    """``x``, or ``K.x[0]`` in its place, which must be (n_0, in_channels)."""
    if x is None:
        if 0 not in K.x:
            raise ValueError("x[0] is missing: give features to the vertices, or give x")
        x = K.x[0]
    if x.shape != (K.num_cells(0), in_channels):
        raise ValueError(
            f"features of {K.num_cells(0)} vertices for this model have shape "
            f"({K.num_cells(0)}, {in_channels}), got {tuple(x.shape)}"
        )
    return x


def check_arguments(dropout: float, **positive: int) -> None:
    """ValueError for a dropout outside [0, 1), or one of the others below 1."""
    for name, value in positive.items():
        if value < 1:
            raise ValueError(f"{name} is at least 1, got {value}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is in [0, 1), got {dropout}")


class VertexModel(nn.Module):
    """``x <- act(layer(K, dropout(x)))`` for every layer, without the activation in the last one.

    Args:
        make_layer: (in_channels, out_channels) -> a module that maps (K, x) to the next x.
        in_channels: width of the features.
        hidden_channels: width between the layers.
        out_channels: width of the result.
        num_layers: number of layers, the last one included.
        dropout: before every layer, the first one included.
        activation: one of ``kernels.ACTIVATIONS``.
        make_last: as ``make_layer``, for the last layer.
    """

    def __init__(
        self,
        make_layer: MakeLayer,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int,
        dropout: float,
        activation: str = "relu",
        make_last: MakeLayer | None = None,
    ) -> None:
        super().__init__()
        check_arguments(
            dropout,
            in_channels=in_channels,
            hidden_channels=hidden_channels,
            out_channels=out_channels,
            num_layers=num_layers,
        )
        self.in_channels, self.dropout, self.activation = in_channels, dropout, activation
        widths = [in_channels, *[hidden_channels] * (num_layers - 1)]
        layers = [make_layer(a, b) for a, b in pairwise(widths)]
        self.layers = nn.ModuleList([*layers, (make_last or make_layer)(widths[-1], out_channels)])

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Complexes and features (n_0, in_channels), by default ``complex.x[0]`` ->
        (n_0, out_channels)."""
        x = vertex_features(complex, x, self.in_channels)
        for k, layer in enumerate(self.layers):
            x = activate(x, self.activation) if k else x
            x = layer(complex, F.dropout(x, self.dropout, self.training))
        return x

    def extra_repr(self) -> str:
        return f"dropout={self.dropout}, activation={self.activation!r}"
