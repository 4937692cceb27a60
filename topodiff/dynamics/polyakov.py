"""The harmonic (Polyakov) energy of an embedding of the vertices."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.dynamics.energy import Energy
from topodiff.dynamics.total_variation import column, squares
from topodiff.operators import Coboundary


class PolyakovEnergy(Energy):
    """``E(z; w) = 1/2 sum over edges of w_e |z_u - z_v|^2`` of an embedding z (n_0, dim), w the
    metric.

    Positions and features side by side, ``z = (u, alpha x)``, embed the graph; diffusion with a
    metric taken from z itself is the Beltrami flow (Sochen, Kimmel and Malladi, A general framework
    for low level vision, 1998; on graphs Chamberlain et al., Beltrami flow and neural diffusion on
    graphs, 2021).

    The variation of z holds the metric: ``gradient(z) = delta^T w delta z`` is ``dE/dz`` at fixed
    w, and so is the gradient that autograd finds through ``value``. The flow moves the metric along
    with z, so that Hessian products and gradients through a flow see w change: they are those of
    ``sum over edges of int_0^length w(s) s ds``, which is what falls by ``|gradient|^2``. For the
    induced metric that is the length ``sum over edges of sqrt(length^2 + eps^2)``.

    Args:
        complex: the graph.
        metric: maps lengths ``|z_u - z_v|`` (n_1,) to weights (n_1,), each from its own length:
            then the flow has a symmetric Jacobian. By default the induced metric
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
        self.eps = eps
        self.delta = Coboundary(complex, 0)
        self.metric = metric or self._induced

    def _induced(self, lengths: Tensor) -> Tensor:
        return (lengths.square() + self.eps**2).rsqrt()

    def value(self, z: Tensor) -> Tensor:
        y = self.delta @ z
        return 0.5 * torch.dot(self.metric(_lengths(y).detach()), squares(y))

    def gradient(self, z: Tensor) -> Tensor:
        y = self.delta @ z
        weights = self.metric(_lengths(y))
        return self.delta.T @ (column(weights, y) * y)

    def __repr__(self) -> str:
        return f"PolyakovEnergy({self.delta}, eps={self.eps:g})"


def _lengths(y: Tensor) -> Tensor:
    """Of rows; where they are 0, derivatives of any order through the root are 0, not NaN."""
    square = squares(y)
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)
