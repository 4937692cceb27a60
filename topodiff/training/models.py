"""Models by name, and features of whole complexes beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.nn import CIN, GINE, FingerprintMLP
from topodiff.nn.activation import NORMS
from topodiff.nn.embedding import InChannels
from topodiff.training.config import check_names, check_number

MODELS = ("cin", "gine", "mlp")
READOUTS = ("sum", "mean")


@dataclass(frozen=True)
class ModelConfig:
    """Which model, and how large.

    Args:
        name: ``cin`` (atoms, bonds and rings), ``gine`` (atoms and bonds) or ``mlp`` (a network on
            circular fingerprints).
        hidden_channels: width.
        num_layers: layers of messages, or hidden layers of the mlp.
        norm: ``batch``, ``clipped``, ``layer`` or ``none``; see
            :class:`topodiff.nn.NormActivation`.
        dropout: after every layer.
        readout: ``sum`` or ``mean`` over the cells of one rank (not for the mlp).
    """

    name: str = "cin"
    hidden_channels: int = 64
    num_layers: int = 3
    norm: str = "clipped"
    dropout: float = 0.0
    readout: str = "sum"

    def __post_init__(self) -> None:
        check_names([self.name], MODELS, "model")
        check_names([self.norm], NORMS, "norm")
        check_names([self.readout], READOUTS, "readout")
        for field in ("hidden_channels", "num_layers"):
            whole_number(field, getattr(self, field), 1)
        if not 0 <= check_number("dropout", self.dropout) < 1:
            raise ValueError(f"dropout is in [0, 1), got {self.dropout}")

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ModelConfig:
        """From plain values; ValueError for unknown names."""
        check_names(content, [f.name for f in dataclasses.fields(cls)], "setting of the model")
        return cls(**content)


def build_model(
    config: ModelConfig, in_channels: InChannels, out_channels: int, num_features: int = 0
) -> nn.Module:
    """The model of ``config`` for complexes with features as ``in_channels`` says.

    With ``num_features`` it takes a second argument, (n, num_features) numbers per complex; see
    :class:`WithFeatures`.
    """
    width = config.hidden_channels
    options: dict[str, Any] = {"norm": config.norm, "dropout": config.dropout}
    if config.name != "mlp":
        options["readout"] = config.readout
    kind: Any = {"cin": CIN, "gine": GINE, "mlp": FingerprintMLP}[config.name]
    inner_out = width if num_features else out_channels
    model = kind(in_channels, width, inner_out, config.num_layers, **options)
    return WithFeatures(model, width, num_features, out_channels) if num_features else model


class WithFeatures(nn.Module):
    """``out = W_3 relu(W_2 relu([model(K); W_1 f]))`` for features f of whole complexes.

    Args:
        model: maps complexes to (n, hidden_channels).
        hidden_channels: width.
        num_features: width of f.
        out_channels: width of the result.
    """

    def __init__(
        self, model: nn.Module, hidden_channels: int, num_features: int, out_channels: int
    ) -> None:
        super().__init__()
        self.model = model
        self.features = nn.Linear(num_features, hidden_channels)
        self.out = nn.Sequential(
            nn.ReLU(),
            nn.Linear(2 * hidden_channels, hidden_channels),
            nn.ReLU(),
            nn.Linear(hidden_channels, out_channels),
        )

    def forward(self, complexes: CellComplex, features: Tensor) -> Tensor:
        """A batched complex and (n, num_features) -> (n, out_channels)."""
        return self.out(torch.cat([self.model(complexes), self.features(features)], 1))
