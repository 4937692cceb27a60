"""Diagonal operators that follow from the numbers of others, also after these change in place."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from topodiff.operators.algebra import BlockDiagonal
from topodiff.operators.base import LinearOperator, Shape
from topodiff.operators.live import Live
from topodiff.operators.roots import Eigen, check_finite, decompose, inverse_sqrt
from topodiff.sheaves.maps import add


class WeightPower(BlockDiagonal):
    """``W^p`` for positive weights W of cells, (n,); ``shape`` and ``dtype`` as of its base."""

    def __init__(
        self, weight: Tensor, power: float, shape: Shape, dtype: torch.dtype | None
    ) -> None:
        super().__init__(weight, shape, dtype)
        self.power = power
        self._value: Live[Tensor] = Live()

    @property
    def blocks(self) -> Tensor:
        return self._value((self.given,), lambda: self.given**self.power)


class InverseDiagonal(BlockDiagonal):
    """``D^{-1/2}`` for the diagonal blocks D of a positive semidefinite operator, 0 on their
    kernel.

    Args:
        operator: whose blocks.
        numbers: the tensors that it holds.
        augmented: D + I in place of D.
        squared: ``D^{-1}``, of numbers alone.

    Raises:
        ValueError: for a block that is not finite.
    """

    def __init__(
        self,
        operator: LinearOperator,
        numbers: Sequence[Tensor],
        *,
        augmented: bool = False,
        squared: bool = False,
    ) -> None:
        LinearOperator.__init__(
            self, operator.row_shape, operator.col_shape, operator.dtype, operator.device
        )
        self.operator, self.numbers = operator, tuple(numbers)
        self.augmented, self.squared = augmented, squared
        self._eigen: Live[Eigen] = Live()
        self._value: Live[Tensor] = Live()
        with torch.no_grad():
            check_finite(self._diagonal())

    @property
    def blocks(self) -> Tensor:
        return self._value(self.numbers, self._inverse)

    def _diagonal(self) -> Tensor:
        blocks = self.operator._blocks()
        return add(blocks, blocks.new_ones(len(blocks))) if self.augmented else blocks

    def _inverse(self) -> Tensor:
        diagonal = self._diagonal()
        if diagonal.dim() < 3:
            root = inverse_sqrt(diagonal, check=False)
            return root.square() if self.squared else root
        # a product that records gradients needs its own graph, not its own eigenvectors
        with torch.no_grad():
            eigen = self._eigen(self.numbers, lambda: decompose(diagonal))
        return inverse_sqrt(diagonal, eigen=eigen)
