"""Oriented message passing on flows (Bodnar et al., Weisfeiler and Lehman Go Topological, 2021)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.kernels.activations import activate
from topodiff.kernels.checks import check_choice
from topodiff.nn.features import cell_features, check_finite
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import check_arguments, check_not_negative


class OrientedSINLayer(nn.Module):
    """Messages between cells of one rank, times their relative orientation:

        x_i' = act(W_0 x_i + W_up sum_j o_ij x_j + W_low sum_j o_ij x_j)

    over upper and lower neighbours j, with ``o_ij`` the off-diagonal entries of
    ``B_{r+1} B_{r+1}^T`` and ``B_r^T B_r``. Reversing a cell reverses
    the sign of its output: no bias, odd activation.

    Args:
        in_channels, out_channels: widths.
        rank: of the cells.
        activation: ``"tanh"`` or ``"identity"``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, rank: int = 1, activation: str = "tanh"
    ) -> None:
        super().__init__()
        check_choice("activation", activation, ("tanh", "identity"))
        self.in_channels, self.out_channels = in_channels, out_channels
        self.rank, self.activation = rank, activation
        self.own = nn.Linear(in_channels, out_channels, bias=False)
        self.upper = nn.Linear(in_channels, out_channels, bias=False)
        self.lower = nn.Linear(in_channels, out_channels, bias=False)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex, x: Tensor) -> Tensor:
        """(n_rank, in_channels) -> (n_rank, out_channels)."""
        out = self.own(x)
        if K.rank > self.rank:
            out = out + self.upper(_through(K, self.rank + 1, x, by_faces=False))
        if self.rank > 0:
            out = out + self.lower(_through(K, self.rank, x, by_faces=True))
        return activate(out, self.activation)

    def extra_repr(self) -> str:
        return f"rank={self.rank}, activation={self.activation!r}"


def _through(K: CellComplex, rank: int, x: Tensor, by_faces: bool) -> Tensor:
    """Off-diagonal part of ``B^T B x`` (``by_faces``) or ``B B^T x`` with ``B`` of ``rank``."""
    inc = K.incidence(rank)
    arrays = (inc.face, inc.cell, inc.sign, inc.cell_ptr, inc.face_ptr, inc.by_face)
    middle = kernels.incidence_matmul(x, *arrays, transpose=not by_faces)
    full = kernels.incidence_matmul(middle, *arrays, transpose=by_faces)
    diagonal = (inc.cell_ptr if by_faces else inc.face_ptr).diff()
    return full - diagonal.unsqueeze(1).to(x.dtype) * x


class OrientedSIN(nn.Module):
    """Classifies flows, whichever way the cells that carry them are oriented.

    :class:`OrientedSINLayer` repeated, absolute values, pooling, two linear maps.

    Args:
        in_channels: real features of each r-cell, which change sign with its orientation.
        hidden_channels: width of the layers and the readout.
        out_channels: width of the result.
        num_layers: number of layers, at least 1.
        rank: of the cells that carry the flow.
        activation: ``"tanh"`` or ``"identity"``.
        readout: ``"sum"`` or ``"mean"`` over the cells.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 4,
        *,
        rank: int = 1,
        activation: str = "tanh",
        readout: str = "mean",
    ) -> None:
        super().__init__()
        check_choice("readout", readout, ("sum", "mean"))
        check_arguments(
            0.0,
            in_channels=in_channels,
            hidden_channels=hidden_channels,
            out_channels=out_channels,
            num_layers=num_layers,
        )
        check_not_negative(rank=rank)
        self.in_channels = in_channels
        self.rank, self.readout = rank, readout
        widths = [in_channels] + [hidden_channels] * num_layers
        self.layers = nn.ModuleList(
            OrientedSINLayer(i, o, rank, activation) for i, o in pairwise(widths)
        )
        self.lin1 = nn.Linear(hidden_channels, hidden_channels)
        self.lin2 = nn.Linear(hidden_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def cochain(self, K: CellComplex) -> Tensor:
        """The last layer's output (n_rank, hidden_channels), which turns with the orientation.

        Raises:
            TypeError, ValueError: see :func:`topodiff.nn.features.cell_features`; flows that are
                not finite.
        """
        x = cell_features(K, None, self.rank, self.in_channels, self.lin1.weight)
        check_finite(x)
        for layer in self.layers:
            x = layer(K, x)
        return x

    def forward(self, K: CellComplex) -> Tensor:
        """A batched complex with flows ``x[rank]`` (n_rank, in_channels) -> (B, out_channels)."""
        pooled = kernels.segment_reduce(self.cochain(K).abs(), K.ptr[self.rank], self.readout)
        return self.lin2(torch.relu(self.lin1(pooled)))

    def extra_repr(self) -> str:
        return f"rank={self.rank}, readout={self.readout!r}"
