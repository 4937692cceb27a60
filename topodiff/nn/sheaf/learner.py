"""Restriction maps and edge weights from the features at both ends of an edge."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.checks import check_choice
from topodiff.nn.dropout import leave_drop
from topodiff.nn.sheaf.families import MapFamily
from topodiff.nn.sheaf.laplacian import BlockOperator, Normalization, sheaf_operator
from topodiff.sheaves.maps import Maps
from topodiff.sheaves.sections import incidence_at

LEARNERS = ("concat", "sum", "attention")


class SheafLearner(nn.Module):
    """The map of vertex v on the edge {v, u}, ``F_{v<e} = family(act(W [x_v || x_u]))``, and the
    edge weight ``w_e = s(a [x_v || x_u]) s(a [x_u || x_v])`` with the sigmoid s, which multiplies
    the maps of both ends.

    The map of u has the ends change places, so nothing depends on how edges are oriented or
    numbered. The linear map of a concatenation is a sum, ``W [x_v || x_u] = W_1 x_v + W_2 x_u``:
    one product per vertex, and one addition of short rows per incidence.

    Kinds: ``"concat"`` is that of the published models (Bodnar et al., Neural Sheaf Diffusion,
    2022). ``"sum"`` adds the coordinates of a stalk first, so that W has stalk_dim times fewer
    columns. ``"attention"`` (general maps only) is ``F = I - softmax(W [x_v || x_u])``, by rows.

    Args:
        stalk_dim, channels: of the state (n, stalk_dim, channels).
        family: of the maps.
        kind: see above.
        activation: of the parameters, one of ``kernels.ACTIVATIONS``.
        edge_weights: whether to learn weights.
    """

    def __init__(
        self,
        stalk_dim: int,
        channels: int,
        family: MapFamily,
        *,
        kind: str = "concat",
        activation: str = "tanh",
        edge_weights: bool = False,
    ) -> None:
        super().__init__()
        check_choice("learner", kind, LEARNERS)
        check_choice("sheaf_activation", activation, ACTIVATIONS)
        if kind == "attention" and family.name != "general":
            raise ValueError(f"the attention learner gives general maps, not {family.name!r}")
        self.stalk_dim, self.channels = stalk_dim, channels
        self.family, self.kind, self.activation = family, kind, activation
        self.weight, self.edge_weight = None, None
        if family.num_params:
            width = channels if kind == "sum" else stalk_dim * channels
            self.weight = nn.Parameter(torch.empty(2, family.num_params, width))
        if edge_weights:
            self.edge_weight = nn.Parameter(torch.empty(2, 1, stalk_dim * channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As ``torch.nn.Linear`` on the concatenation."""
        for weight in self.parameters():
            bound = 1 / math.sqrt(2 * weight.shape[-1])
            nn.init.uniform_(weight, -bound, bound)

    def forward(
        self, K: CellComplex, x: Tensor, dropout: float = 0.0
    ) -> tuple[Maps, Tensor | None]:
        """State (n, stalk_dim, channels), seen after dropout -> maps of the incidences of vertices
        and edges, and the weights of their edges (2 n_1,), or none."""
        x, p = leave_drop(x, dropout)
        seed, i = kernels.draw_seed(p), incidence_at(K, 1)

        def of_ends(weight: Tensor, activation: str) -> Tensor:
            graph = (i.face, i.face_ptr, i.by_face)
            return kernels.pair_linear(x, weight, *graph, activation, p, seed)

        maps, weights = None, None
        if self.weight is not None:
            attends = self.kind == "attention"
            params = of_ends(self.weight, "identity" if attends else self.activation)
            maps = self._attention(params) if attends else self.family(params)
        if self.edge_weight is not None:
            seen = of_ends(self.edge_weight, "identity").sigmoid().view(-1, 2)
            weights = (seen * seen.flip(1)).flatten()
        return maps, weights

    def operator(
        self, K: CellComplex, x: Tensor, normalized: Normalization, dropout: float = 0.0
    ) -> BlockOperator:
        """The Laplacian of the sheaf learnt from x after dropout."""
        maps, weights = self(K, x, dropout)
        return sheaf_operator(K, maps, weights, normalized, self.family.orthogonal, x)

    def _attention(self, params: Tensor) -> Tensor:
        weights = self.family(params).softmax(-1)  # type: ignore[union-attr]
        return torch.eye(weights.shape[-1]).to(weights) - weights

    def extra_repr(self) -> str:
        return (
            f"{self.stalk_dim}, {self.channels}, {self.family}, kind={self.kind!r}, "
            f"activation={self.activation!r}, edge_weights={self.edge_weight is not None}"
        )
