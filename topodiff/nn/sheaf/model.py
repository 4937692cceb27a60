"""Neural sheaf diffusion (Bodnar, Di Giovanni, Chamberlain, Lio, Bronstein, NeurIPS 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.nn.sheaf.base import SheafModel
from topodiff.nn.sheaf.layer import SheafDiffusionLayer
from topodiff.nn.vertex_model import vertex_features


class NeuralSheafDiffusion(SheafModel):
    """Diffusion along sheaves that are learnt from the features they move:

        x_0     = act(x W_in + b)                                        (n, d', hidden_channels)
        y_t     = act(Delta_{F(x_t)} (I (x) W_1) x_t W_2)
        x_{t+1} = (1 + tanh(eps_t)) x_t - y_t
        out     = x_T W_out + b

    with one ``eps_t`` per stalk coordinate and d' = stalk_dim plus one for each fixed filter.
    Dropout acts on ``x_0``, on ``x_t`` before the weights and, with a mask of its own, before the
    sheaf is learnt (not at t = 0). The published models are ``maps="diagonal"``, ``"orthogonal"``
    and ``"general"``; ``"identity"`` is diffusion on the graph, ``"bundle"`` has one rotation per
    vertex (see :class:`FrameLearner`).

    Args:
        in_channels: features of each vertex.
        hidden_channels: width of each stalk coordinate ("hidden" as published).
        out_channels: width of the result.
        stalk_dim: d, of the learnt stalks; at least 2 for orthogonal maps.
        num_layers: T.
        maps: ``"identity"``, ``"scalar"``, ``"diagonal"``, ``"orthogonal"``,
            ``"special_orthogonal"``, ``"general"`` or ``"bundle"``.
        parametrization: of orthogonal maps; see :class:`topodiff.sheaves.Orthogonal`. Angles are
            2 pi times their activated parameters, rotation vectors pi times.
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
        if num_layers < 0:
            raise ValueError(f"num_layers must be at least 0, got {num_layers}")
        super().__init__(
            in_channels, hidden_channels, out_channels, stalk_dim,
            maps=maps, parametrization=parametrization, dropout=dropout,
            input_dropout=input_dropout, low_pass=low_pass, high_pass=high_pass,
            edge_weights=edge_weights, second_linear=second_linear, activation=activation,
            sheaf_activation=sheaf_activation, learner=learner, left_weights=left_weights,
            right_weights=right_weights, normalized=normalized,
        )  # fmt: skip
        self.shared_sheaf = shared_sheaf
        layers = [self.make_layer(t == 0 or not shared_sheaf) for t in range(num_layers)]
        self.layers = nn.ModuleList(layers)
        self.epsilon = nn.Parameter(torch.zeros(num_layers, self.stalk_dim))

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        super().reset_parameters()
        nn.init.zeros_(self.epsilon)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Features x (n_0, in_channels), by default ``complex.x[0]`` -> (n_0, out_channels).

        Raises:
            TypeError, ValueError: features that are missing, not finite, or of the wrong shape,
                dtype or device.
        """
        state = self.encode(vertex_features(complex, x, self.in_channels))
        factors = self.epsilon.tanh().unbind()
        for t, layer in enumerate(self.layers):
            assert isinstance(layer, SheafDiffusionLayer)
            if layer.learner is not None:
                operator = layer.operator(complex, self.dropout(state) if t else state)
            change = layer.change(self.dropout(state), operator)
            state = kernels.residual(state, change, factors[t], self.activation)
        return self.output(state.flatten(1))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, shared_sheaf={self.shared_sheaf}"
