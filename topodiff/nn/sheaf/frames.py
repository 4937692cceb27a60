"""Flat bundles: one orthogonal map per vertex instead of one per incidence."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.dynamics import adjacency
from topodiff.kernels.activations import ACTIVATIONS, activate
from topodiff.kernels.checks import check_choice
from topodiff.nn.dropout import drop
from topodiff.nn.sheaf.families import MapFamily
from topodiff.nn.sheaf.laplacian import FlatOperator, Normalization, graph_operator


class FrameLearner(nn.Module):
    """The frame of a vertex, ``O_v = family(act(W_1 x_v + W_2 mean over neighbours u of x_u))``.

    With ``F_{v<e} = O_v`` the transport from u to v is ``O_v^T O_u`` along any path, so the
    Laplacian is ``O^T (L (x) I) O``: rotate, diffuse on the graph, rotate back, without a matrix
    per edge (Bamberger, Barbero, Dong and Bronstein, Bundle Neural Networks, 2024).

    Args:
        stalk_dim, channels: of the state (n, stalk_dim, channels).
        family: of orthogonal maps.
        activation: of the parameters, one of ``kernels.ACTIVATIONS``.
    """

    def __init__(
        self, stalk_dim: int, channels: int, family: MapFamily, *, activation: str = "tanh"
    ) -> None:
        super().__init__()
        check_choice("sheaf_activation", activation, ACTIVATIONS)
        if family.rotation is None:
            raise ValueError(f"frames are orthogonal maps, not {family.name!r}")
        self.stalk_dim, self.channels = stalk_dim, channels
        self.family, self.activation = family, activation
        self.weight = nn.Parameter(torch.empty(2, family.num_params, stalk_dim * channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As ``torch.nn.Linear`` on the concatenation."""
        bound = 1 / math.sqrt(2 * self.weight.shape[-1])
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, K: CellComplex, x: Tensor) -> Tensor:
        """State (n, stalk_dim, channels) -> frames (n, d, d)."""
        of_vertices = nn.functional.linear(x.flatten(1), self.weight.flatten(0, 1))
        own, around = of_vertices.chunk(2, 1)
        params = own + adjacency(K, x.dtype, normalization="row", loops=0) @ around
        return self.family(activate(params, self.activation))  # type: ignore[return-value]

    def operator(
        self, K: CellComplex, x: Tensor, normalized: Normalization, dropout: float = 0.0
    ) -> FlatOperator:
        """The Laplacian of the bundle learnt from x after dropout."""
        return FlatOperator(self(K, drop(x, dropout)), graph_operator(K, None, normalized, x))

    def extra_repr(self) -> str:
        return f"{self.stalk_dim}, {self.channels}, {self.family}, activation={self.activation!r}"
