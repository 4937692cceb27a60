"""The energy of gradient-flow networks: vertices coupled through matrices on the channels."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.dynamics.energy import Energy
from topodiff.operators import LinearOperator


class MixingEnergy(Energy):
    """``E(x) = 1/2 sum_i <x_i, Omega x_i> - 1/2 sum_ij A_ij <x_i, W x_j> + sum_i <x_i, W_0 c_i>``,
    with the gradient ``x Omega - A x W + c W_0`` (Di Giovanni et al., Understanding convolution on
    graphs via energies, 2023: GRAFF).

    Positive eigenvalues of W attract along edges, negative ones repel: the flow smooths, or
    sharpens.

    Args:
        adjacency: symmetric A (n x n).
        W: (channels, channels), symmetric.
        omega: (channels, channels) symmetric or (channels,) diagonal, or none for 0.
        source: c and W_0, or none.

    Raises:
        ValueError: for an operator or matrices that are not symmetric.
    """

    def __init__(
        self,
        adjacency: LinearOperator,
        W: Tensor,
        omega: Tensor | None = None,
        source: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        if not adjacency.symmetric:
            raise ValueError(f"an energy needs a symmetric adjacency matrix, got {adjacency}")
        _check_symmetric("W", W)
        if omega is not None and omega.dim() != 1:
            _check_symmetric("omega", omega)
        self.adjacency, self.W, self.omega = adjacency, W, omega
        self.pull = None if source is None else source[0] @ source[1]

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The quadratic part of the gradient, and the constant one."""
        mixed = -(self.adjacency @ (x @ self.W))
        if self.omega is not None:
            mixed = mixed + (x * self.omega if self.omega.dim() == 1 else x @ self.omega)
        return mixed, self.pull

    def value(self, x: Tensor) -> Tensor:
        mixed, constant = self._parts(x)
        value = 0.5 * (x * mixed).sum()
        return value if constant is None else value + (x * constant).sum()

    def gradient(self, x: Tensor) -> Tensor:
        mixed, constant = self._parts(x)
        return mixed if constant is None else mixed + constant

    def hessian_product(self, x: Tensor, v: Tensor) -> Tensor:
        return self._parts(v)[0]

    def __repr__(self) -> str:
        return f"MixingEnergy({self.adjacency}, channels={self.W.shape[0]})"


def _check_symmetric(name: str, matrix: Tensor) -> None:
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be a square matrix, got shape {tuple(matrix.shape)}")
    with torch.no_grad():
        error = float((matrix - matrix.T).abs().max()) if matrix.numel() else 0.0
        size = float(matrix.abs().max()) if matrix.numel() else 0.0
    if error > 100 * torch.finfo(matrix.dtype).eps * size:
        raise ValueError(
            f"{name} must be symmetric (it differs from its transpose by {error:.3g}), or there "
            "is no energy of which this is the gradient; use (W + W.T) / 2"
        )
