"""Normalisation followed by an activation, the pair that ends every block of the models here."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from topodiff import kernels
from topodiff.kernels.activations import ACTIVATIONS
from topodiff.kernels.checks import check_choice

NORMS = ("batch", "clipped", "layer", "none")


class Pending(NamedTuple):
    """``act(norm(x))``, not yet computed: whoever reads x does it on the way (kernels.norm)."""

    x: Tensor
    norm: kernels.Norm | None
    activation: str

    def value(self) -> Tensor:
        """(rows, channels), computed."""
        return kernels.norm_activation(*self)


class Copies(NamedTuple):
    """How many equal rows each row stands for, ``of`` (rows,), and their sum."""

    of: Tensor
    total: int


class NormActivation(nn.Module):
    """``y = act(norm(x))`` on the rows of (n, groups * channels).

    ``"batch"`` normalises each channel over the rows, as ``torch.nn.BatchNorm1d``. A batch of fewer
    than two rows has no variance (a single ring among all molecules of a batch): it is normalised
    with the running statistics, which it leaves as they are. ``"layer"`` normalises each row, one
    group of channels at a time.

    ``"clipped"`` is ``"batch"`` in training; in evaluation what lies more than ``limit`` standard
    deviations off is moved there. In training no row can lie far off, as it is part of the
    statistics; in evaluation one cell unlike all seen before (a bond in twelve rings of a cage)
    would, and grow from layer to layer.

    Args:
        channels: width of a group.
        norm: ``"batch"``, ``"clipped"``, ``"layer"`` or ``"none"``.
        activation: one of ``kernels.ACTIVATIONS``.
        groups: number of groups side by side.
    """

    eps = 1e-5
    momentum = 0.1
    limit = 8.0
    running_mean: Tensor
    running_var: Tensor

    def __init__(
        self, channels: int, norm: str = "batch", activation: str = "relu", groups: int = 1
    ) -> None:
        super().__init__()
        check_choice("norm", norm, NORMS)
        check_choice("activation", activation, ACTIVATIONS)
        self.channels, self.groups = channels, groups
        self.norm, self.activation = norm, activation
        if norm != "none":
            self.weight = nn.Parameter(torch.empty(groups * channels))
            self.bias = nn.Parameter(torch.empty(groups * channels))
        if norm in ("batch", "clipped"):
            self.register_buffer("running_mean", torch.empty(groups * channels))
            self.register_buffer("running_var", torch.empty(groups * channels))
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
        if self.norm != "none":
            x = x.to(self.weight.dtype)  # of a linear map, which autocast lowers
        if not self.uses_statistics(len(x)):
            return self.pending(x).value()
        var, mean = torch.var_mean(x, 0, correction=0)
        return self.pending(x, mean, var, len(x)).value()

    def uses_statistics(self, rows: int) -> bool:
        """Whether :meth:`pending` needs mean and variance of the columns of so many rows."""
        return self.training and self.norm in ("batch", "clipped") and rows > 1

    def pending(
        self, x: Tensor, mean: Tensor | None = None, var: Tensor | None = None, total: int = 0
    ) -> Pending:
        """To be computed later; with mean and (biased) variance of ``total`` rows where used."""
        if self.norm == "none":
            return Pending(x, None, self.activation)
        if self.norm == "layer":
            rows = x.reshape(-1, self.groups, self.channels)
            rows = functional.layer_norm(rows, (self.channels,), eps=self.eps)
            x = rows.reshape(x.shape) * self.weight + self.bias
            return Pending(x, None, self.activation)
        if mean is None or var is None:
            return self._in_evaluation(x)
        self._remember(mean, var, total)
        norm = kernels.Norm(mean, var, self.weight, self.bias, self.eps)
        return Pending(x, norm, self.activation)

    def _in_evaluation(self, x: Tensor) -> Pending:
        # copies, as a batch to come changes them in place, perhaps before gradients to this one
        mean, var = self.running_mean.clone(), self.running_var.clone()
        norm = kernels.Norm(mean, var, self.weight, self.bias, self.eps)
        if self.norm == "batch" or self.training:
            return Pending(x, norm, self.activation)
        width = self.limit * self.weight.abs()
        x = kernels.norm_activation(x, norm).clamp(self.bias - width, self.bias + width)
        return Pending(x, None, self.activation)

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, rows: int) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * (rows / (rows - 1)), self.momentum)

    def extra_repr(self) -> str:
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"{self.channels}, norm={self.norm!r}, activation={self.activation!r}{groups}"
