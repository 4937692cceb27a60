"""One step of sheaf diffusion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.kernels.activations import ACTIVATIONS, activate
from topodiff.kernels.checks import check_choice
from topodiff.nn.dropout import leave_drop
from topodiff.nn.reset import reset_children
from topodiff.nn.sheaf.frames import FrameLearner
from topodiff.nn.sheaf.laplacian import (
    BlockOperator,
    FilteredOperator,
    Normalization,
    Operator,
    filter_operator,
)
from topodiff.nn.sheaf.learner import SheafLearner

NORMALIZATIONS = (False, True, "augmented")


class SheafDiffusionLayer(nn.Module):
    """``act(Delta_F (I (x) W_1) x W_2^T)`` for states x (n, d', channels): W_1 = ``left`` mixes the
    coordinates of a stalk, W_2 = ``right`` the channels, as ``torch.nn.Linear`` (Bodnar et al.,
    Neural Sheaf Diffusion, 2022, eq. 4).

    Args:
        learner: of the sheaf, or None for a layer that is given the operator of another.
        stalk_dim, channels: d' and the width; d' exceeds the stalks of the learner by one for each
            fixed filter.
        low_pass, high_pass: whether the last coordinates carry the fixed operators ``D + A`` (which
            averages over neighbours) and ``D - A`` (which takes differences), normalised alike.
        left_weights, right_weights: whether W_1 and W_2 are learnt.
        activation: one of ``kernels.ACTIVATIONS``.
        normalized: as for :class:`topodiff.operators.SheafLaplacian`.
    """

    def __init__(
        self,
        learner: SheafLearner | FrameLearner | None,
        stalk_dim: int,
        channels: int,
        *,
        low_pass: bool = False,
        high_pass: bool = False,
        left_weights: bool = True,
        right_weights: bool = True,
        activation: str = "elu",
        normalized: Normalization = "augmented",
    ) -> None:
        super().__init__()
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("normalized", normalized, NORMALIZATIONS)
        self.learner = learner
        self.stalk_dim, self.channels = stalk_dim, channels
        self.low_pass, self.high_pass = low_pass, high_pass
        self.activation, self.normalized = activation, normalized
        self.left = nn.Parameter(torch.empty(stalk_dim, stalk_dim)) if left_weights else None
        self.right = nn.Parameter(torch.empty(channels, channels)) if right_weights else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """W_1 the identity, W_2 orthogonal at random, as published."""
        if self.left is not None:
            nn.init.eye_(self.left)
        if self.right is not None:
            nn.init.orthogonal_(self.right)
        reset_children(self)

    def operator(self, K: CellComplex, x: Tensor, dropout: float = 0.0) -> Operator:
        """The Laplacian of the sheaf that is learnt from x (n, d', channels) after dropout."""
        if self.learner is None:
            raise ValueError("this layer has no learner: give it the operator of another layer")
        learnt = self.learner.operator(K, x, self.normalized, dropout)
        if not (self.low_pass or self.high_pass):
            return learnt
        fixed = filter_operator(K, self.low_pass, self.high_pass, self.normalized, x)
        return FilteredOperator(learnt, fixed, self.learner.family.stalk_dim)

    def forward(self, x: Tensor, operator: Operator) -> Tensor:
        """(n, d', channels) -> the same."""
        return activate(self.change(x, operator), self.activation)

    def change(self, x: Tensor, operator: Operator, dropout: float = 0.0) -> Tensor:
        """The same before the activation; x after dropout."""
        if self.left is not None or self.right is not None or dropout:
            x, dropout = leave_drop(x, dropout)
            x = kernels.stalk_linear(x, self.left, self.right, dropout)
        return operator(x)

    def step(self, x: Tensor, operator: Operator, factor: Tensor, dropout: float = 0.0) -> Tensor:
        """``(1 + factor) x - act(change of x after dropout)``, factor (d',)."""
        seen, p = leave_drop(x, dropout)
        mixes = self.left is not None or self.right is not None
        if seen is x and mixes and isinstance(operator, BlockOperator):
            return operator.step(x, self.left, self.right, factor, self.activation, p)
        return kernels.residual(x, self.change(seen, operator, p), factor, self.activation)

    def extra_repr(self) -> str:
        return (
            f"{self.stalk_dim}, {self.channels}, low_pass={self.low_pass}, "
            f"high_pass={self.high_pass}, left_weights={self.left is not None}, "
            f"right_weights={self.right is not None}, activation={self.activation!r}, "
            f"normalized={self.normalized!r}"
        )
