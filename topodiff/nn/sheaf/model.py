"""Neural sheaf diffusion (Bodnar, Di Giovanni, Chamberlain, Lio, Bronstein, NeurIPS 2022)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.kernels.precision import full_precision
from topodiff.nn.sheaf.base import SheafModel
from topodiff.nn.sheaf.layer import SheafDiffusionLayer
from topodiff.nn.vertex_model import check_not_negative, vertex_features


class NeuralSheafDiffusion(SheafModel):
    """Diffusion along sheaves that are learnt from the features they move:

        x_0     = act(x W_in + b)                                        (n, d', hidden_channels)
        y_t     = act(Delta_{F(x_t)} (I (x) W_1) x_t W_2^T)
        x_{t+1} = (1 + tanh(eps_t)) x_t - y_t
        out     = x_T W_out + b

    with one ``eps_t`` per stalk coordinate and d' = stalk_dim plus one for each fixed filter.
    Dropout acts on ``x_0``, on ``x_t`` before the weights and, with a mask of its own, before the
    sheaf is learnt (not at t = 0). The published models are ``maps="diagonal"``, ``"orthogonal"``
    and ``"general"``; ``"identity"`` is diffusion on the graph, ``"bundle"`` has one rotation per
    vertex (see :class:`FrameLearner`). The weights of a complex are not seen.

    Args:
        in_channels: features of each vertex.
        hidden_channels: width of each stalk coordinate ("hidden" as published).
        out_channels: width of the result.
        stalk_dim: d, of the learnt stalks; at least 2 for orthogonal maps.
        num_layers: T.
        shared_sheaf: one sheaf, learnt from ``x_0``, for all layers.
        options: ``maps``, ``dropout``, ``low_pass``, ... of :class:`SheafModel`.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        stalk_dim: int = 3,
        num_layers: int = 4,
        *,
        shared_sheaf: bool = False,
        **options: Any,
    ) -> None:
        check_not_negative(num_layers=num_layers)
        super().__init__(in_channels, hidden_channels, out_channels, stalk_dim, **options)
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
        features = vertex_features(complex, x, self.in_channels, self.input.weight)
        state = self.encode(features)
        with full_precision(state):
            state = self._diffuse(complex, state)
        return self.output(state.flatten(1))

    def _diffuse(self, complex: CellComplex, state: Tensor) -> Tensor:
        factors = self.epsilon.tanh().unbind()
        dropout = self.dropout.p if self.training else 0.0
        for t, layer in enumerate(self.layers):
            assert isinstance(layer, SheafDiffusionLayer)
            if layer.learner is not None:
                operator = layer.operator(complex, state, dropout if t else 0.0)
            state = layer.step(state, operator, factors[t], dropout)
        return state

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, shared_sheaf={self.shared_sheaf}"
