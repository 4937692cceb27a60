"""What the discrete and the continuous sheaf diffusion models share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from topodiff.kernels.activations import activate
from topodiff.kernels.checks import check_choice
from topodiff.nn.dropout import Dropout
from topodiff.nn.feature_linear import FeatureLinear
from topodiff.nn.reset import reset_children
from topodiff.nn.sheaf.families import MAPS, MapFamily
from topodiff.nn.sheaf.frames import FrameLearner
from topodiff.nn.sheaf.layer import SheafDiffusionLayer
from topodiff.nn.sheaf.learner import SheafLearner
from topodiff.nn.vertex_model import Features, check_arguments


class SheafModel(nn.Module):
    """Encoder to states (n, d', hidden_channels), decoder, and the making of layers between.

    Args:
        in_channels: features of each vertex.
        hidden_channels: width of each stalk coordinate ("hidden" as published).
        out_channels: width of the result.
        stalk_dim: d, of the learnt stalks; at least 2 for orthogonal maps.
        maps: ``"identity"``, ``"scalar"``, ``"diagonal"``, ``"orthogonal"``,
            ``"special_orthogonal"``, ``"general"`` or ``"bundle"``.
        parametrization: of orthogonal maps; see :class:`topodiff.sheaves.Orthogonal`, and for what
            activated parameters reach :class:`topodiff.nn.sheaf.families.MapFamily`.
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
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        stalk_dim: int = 3,
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
    ) -> None:
        super().__init__()
        check_arguments(
            dropout,
            in_channels=in_channels,
            hidden_channels=hidden_channels,
            out_channels=out_channels,
        )
        check_choice("maps", maps, MAPS)
        self.flat = maps == "bundle"
        if self.flat and (edge_weights or learner != "concat"):
            raise ValueError("a bundle has one frame per vertex: no edge_weights, no other learner")
        name = "special_orthogonal" if self.flat else maps
        self.family = MapFamily(name, stalk_dim, parametrization)
        self.in_channels, self.hidden_channels = in_channels, hidden_channels
        self.out_channels, self.activation = out_channels, activation
        self.stalk_dim = stalk_dim + low_pass + high_pass
        self._of_learners: dict[str, Any] = {"activation": sheaf_activation}
        if not self.flat:
            self._of_learners |= {"kind": learner, "edge_weights": edge_weights}
        self._of_layers: dict[str, Any] = {
            "low_pass": low_pass, "high_pass": high_pass, "left_weights": left_weights,
            "right_weights": right_weights, "activation": activation, "normalized": normalized,
        }  # fmt: skip
        width = self.stalk_dim * hidden_channels
        self.input = FeatureLinear(in_channels, width, input_dropout)
        self.second = nn.Linear(width, width) if second_linear else None
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(width, out_channels)

    def make_layer(self, learns: bool = True) -> SheafDiffusionLayer:
        """A new layer, with a learner of its own or without."""
        learner: SheafLearner | FrameLearner | None = None
        if learns:
            kind: Callable[..., SheafLearner | FrameLearner]
            kind = FrameLearner if self.flat else SheafLearner
            shape = (self.stalk_dim, self.hidden_channels, self.family)
            learner = kind(*shape, **self._of_learners)
        return SheafDiffusionLayer(learner, self.stalk_dim, self.hidden_channels, **self._of_layers)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def encode(self, x: Features) -> Tensor:
        """(n, in_channels) -> (n, d', hidden_channels)."""
        h = self.dropout(activate(self.input(x), self.activation))
        if self.second is not None:
            h = self.second(h).to(h.dtype)  # which autocast lowers
        return h.unflatten(1, (self.stalk_dim, self.hidden_channels))

    def parameter_groups(self, weight_decay: float, sheaf_weight_decay: float) -> list[dict]:
        """Groups for an optimiser: the learners of maps have a weight decay of their own."""
        maps = [p for name, p in self.named_parameters() if name.endswith("learner.weight")]
        of_maps = {id(p) for p in maps}
        others = [p for p in self.parameters() if id(p) not in of_maps]
        groups = [{"params": others, "weight_decay": weight_decay}]
        return groups + [{"params": maps, "weight_decay": sheaf_weight_decay}] * bool(maps)

    def extra_repr(self) -> str:
        maps = "bundle, " if self.flat else ""
        return (
            f"{self.in_channels}, {self.hidden_channels}, {self.out_channels}, "
            f"stalk_dim={self.stalk_dim}, {maps}{self.family}, activation={self.activation!r}"
        )
