"""Normalisation followed by an activation, the pair that ends every block of the models here."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from topodiff.kernels.activations import ACTIVATIONS, activate

NORMS = ("batch", "clipped", "layer", "none")


class NormActivation(nn.Module):
    """``y = act(norm(x))`` on the rows of (n, channels).

    ``"batch"`` normalises each channel over the rows, as ``torch.nn.BatchNorm1d``. A batch of fewer
    than two rows has no variance (a single ring among all molecules of a batch): it is normalised
    with the running statistics, which it leaves as they are. ``"layer"`` normalises each row.

    ``"clipped"`` is ``"batch"`` in training; in evaluation what lies more than ``limit`` standard
    deviations off is moved there. In training no row can lie far off, as it is part of the
    statistics; in evaluation one cell unlike all seen before (a bond in twelve rings of a cage)
    would, and grow from layer to layer.

    Args:
        channels: width of the rows.
        norm: ``"batch"``, ``"clipped"``, ``"layer"`` or ``"none"``.
        activation: one of ``kernels.ACTIVATIONS``.
    """

    eps = 1e-5
    momentum = 0.1
    limit = 8.0
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, norm: str = "batch", activation: str = "relu") -> None:
        super().__init__()
        check_choice("norm", norm, NORMS)
        check_choice("activation", activation, ACTIVATIONS)
        self.channels, self.norm, self.activation = channels, norm, activation
        if norm != "none":
            self.weight = nn.Parameter(torch.empty(channels))
            self.bias = nn.Parameter(torch.empty(channels))
        if norm in ("batch", "clipped"):
            self.register_buffer("running_mean", torch.empty(channels))
            self.register_buffer("running_var", torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The identity: unit scale, no shift, no statistics seen."""
        if self.norm != "none":
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)
        if self.norm in ("batch", "clipped"):
            self.running_mean.zero_()
            self.running_var.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        if self.norm == "layer":
            x = functional.layer_norm(x, (self.channels,), self.weight, self.bias, self.eps)
        elif self.norm != "none":
            x = functional.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                self.training and len(x) > 1,
                self.momentum,
                self.eps,
            )
            if self.norm == "clipped" and not self.training:
                width = self.limit * self.weight.abs()
                x = x.clamp(self.bias - width, self.bias + width)
        return activate(x, self.activation)

    def extra_repr(self) -> str:
        return f"{self.channels}, norm={self.norm!r}, activation={self.activation!r}"


def check_choice(name: str, value: str | None, choices: tuple[str | None, ...]) -> None:
    """ValueError that lists the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")
