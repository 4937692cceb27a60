"""The harmonic (Polyakov) energy of an embedding of the vertices."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.dynamics.energy import Energy
from topodiff.operators import Coboundary, GraphLaplacian


class PolyakovEnergy(Energy):
    """``E(z; w) = 1/2 sum over edges of w_e |z_u - z_v|^2`` of an embedding z (n_0, dim), w the
    metric.

    Positions and features side by side, ``z = (u, alpha x)``, embed the graph; diffusion with a
    metric taken from z itself is the Beltrami flow (Sochen, Kimmel and Malladi, A general framework
    for low level vision, 1998; on graphs Chamberlain et al., Beltrami flow and neural diffusion on
    graphs, 2021). Energy and gradient hold the metric fixed, as the variation of z does.

    Args:
        complex: the graph.
        metric: maps lengths ``|z_u - z_v|`` (n_1,) to weights (n_1,). By default the induced metric
            ``w = 1 / sqrt(length^2 + eps^2)``, whose flow decreases the length of the embedded
            graph, in one dimension its area.
        eps: of the induced metric.
    """

    def __init__(
        self,
        complex: CellComplex,
        metric: Callable[[Tensor], Tensor] | None = None,
        *,
        eps: float = 1e-3,
    ) -> None:
        if eps <= 0:
            raise ValueError(f"eps must be positive, got {eps}")
        self.complex, self.eps = complex, eps
        self.delta = Coboundary(complex, 0)
        self.metric = metric or self._induced

    def _induced(self, lengths: Tensor) -> Tensor:
        return (lengths.square() + self.eps**2).rsqrt()

    def edge_weights(self, z: Tensor) -> Tensor:
        """(n_1,) the metric at z, without gradient."""
        with torch.no_grad():
            return self.metric((self.delta @ z).flatten(1).norm(dim=1))

    def value(self, z: Tensor) -> Tensor:
        square = (self.delta @ z).flatten(1).square().sum(1)
        return 0.5 * torch.dot(self.edge_weights(z), square)

    def gradient(self, z: Tensor) -> Tensor:
        y = self.delta @ z
        weights = self.edge_weights(z)
        return self.delta.T @ (weights.reshape(-1, *[1] * (y.dim() - 1)) * y)

    def frozen(self, z: Tensor) -> GraphLaplacian:
        """The Laplacian of the metric at z, for a semi-implicit step."""
        return GraphLaplacian(self.complex, weights=self.edge_weights(z))

    def __repr__(self) -> str:
        return f"PolyakovEnergy({self.delta}, eps={self.eps:g})"
