"""Neural sheaf diffusion (Bodnar, Di Giovanni, Chamberlain, Lio, Bronstein, NeurIPS 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.kernels.activations import activate
from topodiff.nn.dropout import Dropout
from topodiff.nn.feature_linear import FeatureLinear
from topodiff.nn.reset import reset_children
from topodiff.nn.sheaf.families import MapFamily
from topodiff.nn.sheaf.graph import SheafGraph
from topodiff.nn.sheaf.layer import SheafDiffusionLayer
from topodiff.nn.sheaf.learner import SheafLearner


class NeuralSheafDiffusion(nn.Module):
    """Diffusion along sheaves that are learnt from the features they move:

        x_0     = act(x W_in + b)                                        (n, d', hidden_channels)
        y_t     = act(Delta_{F(x_t)} (I (x) W_1) x_t W_2)
        x_{t+1} = (1 + tanh(eps_t)) x_t - y_t
        out     = x_T W_out + b

    with one ``eps_t`` per stalk coordinate and d' = stalk_dim plus one for each fixed filter.
    Dropout acts on ``x_0``, on ``x_t`` before the weights and, with a mask of its own, before the
    sheaf is learnt (not at t = 0). The published models are ``maps="diagonal"``, ``"orthogonal"``
    and ``"general"``; ``"identity"`` is diffusion on the graph.

    Args:
        in_channels: features of each vertex.
        hidden_channels: width of each stalk coordinate ("hidden" as published).
        out_channels: width of the result.
        stalk_dim: d, of the learnt stalks.
        num_layers: T.
        maps: one of ``MAP_FAMILIES``.
        parametrization: of orthogonal maps; see :class:`topodiff.sheaves.Orthogonal`.
        dropout, input_dropout: probabilities.
        low_pass, high_pass: one more stalk coordinate each, on which the operator is fixed:
            ``D + A`` averages over neighbours, ``D - A`` takes differences (the graph Laplacian).
        edge_weights: learn one for each edge. (The published models do so for orthogonal maps.)
        second_linear: one more linear map before diffusion.
        left_weights, right_weights: learn W_1 and W_2.
        activation: act, one of ``kernels.ACTIVATIONS``.
        sheaf_activation: of the parameters of the maps.
        normalized: False, True or ``"augmented"``, ``(D + I)^{-1/2} L (D + I)^{-1/2}``.
        learner: ``"concat"``, ``"sum"`` or ``"attention"``; see :class:`SheafLearner`.
        shared_sheaf: one sheaf, learnt from ``x_0``, for all layers.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        stalk_dim: int = 3,
        num_layers: int = 4,
        *,
        maps: str = "orthogonal",
        parametrization: str | None = None,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        low_pass: bool = False,
        high_pass: bool = False,
        edge_weights: bool = False,
        second_linear: bool = False,
        left_weights: bool = True,
        right_weights: bool = True,
        activation: str = "elu",
        sheaf_activation: str = "tanh",
        normalized: bool | str = "augmented",
        learner: str = "concat",
        shared_sheaf: bool = False,
    ) -> None:
        super().__init__()
        family = MapFamily(maps, stalk_dim, parametrization)
        self.in_channels, self.hidden_channels = in_channels, hidden_channels
        self.out_channels, self.activation = out_channels, activation
        self.shared_sheaf = shared_sheaf
        self.stalk_dim = stalk_dim + low_pass + high_pass
        width = self.stalk_dim * hidden_channels
        self.input = FeatureLinear(in_channels, width, input_dropout)
        self.second = nn.Linear(width, width) if second_linear else None
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList()
        for t in range(num_layers):
            of_its_own = None
            if t == 0 or not shared_sheaf:
                of_its_own = SheafLearner(
                    self.stalk_dim, hidden_channels, family,
                    kind=learner, activation=sheaf_activation, edge_weights=edge_weights,
                )  # fmt: skip
            layer = SheafDiffusionLayer(
                of_its_own, self.stalk_dim, hidden_channels,
                low_pass=low_pass, high_pass=high_pass, left_weights=left_weights,
                right_weights=right_weights, activation=activation, normalized=normalized,
            )  # fmt: skip
            self.layers.append(layer)
        self.epsilon = nn.Parameter(torch.zeros(num_layers, self.stalk_dim, 1))
        self.output = nn.Linear(width, out_channels)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        nn.init.zeros_(self.epsilon)
        reset_children(self)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Features x (n_0, in_channels), by default ``complex.x[0]`` -> (n_0, out_channels).

        Raises:
            TypeError, ValueError: features that are missing, not finite, or of the wrong shape,
                dtype or device.
        """
        graph = SheafGraph(complex)
        x = self.encode(vertex_features(complex, x))
        factor = self.epsilon.tanh()
        for t, layer in enumerate(self.layers):
            if layer.learner is not None:
                operator = layer.operator(self.dropout(x) if t else x, graph)
            y = layer(self.dropout(x), operator)
            x = torch.addcmul(x - y, factor[t], x)
        return self.output(x.flatten(1))

    def encode(self, x: Tensor) -> Tensor:
        """(n, in_channels) -> x_0 (n, stalk_dim, hidden_channels)."""
        h = self.dropout(activate(self.input(x), self.activation))
        if self.second is not None:
            h = self.second(h)
        return h.unflatten(1, (self.stalk_dim, self.hidden_channels))

    def parameter_groups(self, weight_decay: float, sheaf_weight_decay: float) -> list[dict]:
        """Groups for an optimiser: the maps' learners have a weight decay of their own."""
        maps = [p for name, p in self.named_parameters() if name.endswith("learner.weight")]
        of_maps = {id(p) for p in maps}
        others = [p for p in self.parameters() if id(p) not in of_maps]
        groups = [{"params": others, "weight_decay": weight_decay}]
        return groups + [{"params": maps, "weight_decay": sheaf_weight_decay}] * bool(maps)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, {self.out_channels}, "
            f"stalk_dim={self.stalk_dim}, num_layers={len(self.layers)}, "
            f"shared_sheaf={self.shared_sheaf}"
        )


def vertex_features(complex: CellComplex, x: Tensor | None) -> Tensor:
    """``x``, by default ``complex.x[0]``; ValueError unless there is one row for each vertex."""
    if x is None:
        if 0 not in complex.x:
            raise ValueError("the complex has no features x[0]: pass x, or complex.replace(x=...)")
        x = complex.x[0]
    if isinstance(x, Tensor) and x.shape[:1] != (complex.shape[0],):
        raise ValueError(
            f"features must have one row for each of {complex.shape[0]} vertices, "
            f"got shape {tuple(x.shape)}"
        )
    return x
