"""Sheaf diffusion in continuous time."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.nn.sheaf.base import SheafModel
from topodiff.nn.sheaf.laplacian import Operator
from topodiff.nn.sheaf.layer import SheafDiffusionLayer
from topodiff.nn.vertex_model import vertex_features

_FIXED_STEP = ("euler", "midpoint", "rk4")
METHODS = ("dopri5", "dopri8", "bosh3", "adaptive_heun", *_FIXED_STEP)


class ContinuousSheafDiffusion(SheafModel):
    """``dx/dt = -act(Delta_{F(x)} (I (x) W_1) x W_2)`` from the encoded features at time 0 to
    ``time``, then a linear map (Bodnar et al., Neural Sheaf Diffusion, 2022, section 4).

    Args:
        in_channels, hidden_channels, out_channels, stalk_dim: as for
            :class:`~topodiff.nn.NeuralSheafDiffusion`, like all options not named here.
        time: >= 0.
        method: of torchdiffeq; ``"euler"``, ``"midpoint"`` and ``"rk4"`` take steps of
            ``step_size``, the others adapt theirs to the tolerances.
        step_size: at most, for methods of fixed step.
        rtol, atol: relative and absolute tolerance of adaptive methods.
        adjoint: find gradients by integrating backwards, in memory that does not grow with time.
        frozen_sheaf: learn the sheaf at time 0 and keep it; otherwise at every evaluation.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        stalk_dim: int = 3,
        *,
        time: float = 1.0,
        method: str = "dopri5",
        step_size: float = 0.25,
        rtol: float = 1e-4,
        atol: float = 1e-5,
        adjoint: bool = False,
        frozen_sheaf: bool = False,
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
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        if not time >= 0 or not step_size > 0:
            raise ValueError(
                f"time must be >= 0 and step_size > 0, got time={time}, step_size={step_size}"
            )
        super().__init__(
            in_channels, hidden_channels, out_channels, stalk_dim,
            maps=maps, parametrization=parametrization, dropout=dropout,
            input_dropout=input_dropout, low_pass=low_pass, high_pass=high_pass,
            edge_weights=edge_weights, second_linear=second_linear, activation=activation,
            sheaf_activation=sheaf_activation, learner=learner, left_weights=left_weights,
            right_weights=right_weights, normalized=normalized,
        )  # fmt: skip
        self.time, self.method, self.step_size = float(time), method, step_size
        self.rtol, self.atol, self.adjoint = rtol, atol, adjoint
        self.frozen_sheaf = frozen_sheaf
        self.layer = self.make_layer()

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Features x (n_0, in_channels), by default ``complex.x[0]`` -> (n_0, out_channels).

        Raises:
            ImportError: where torchdiffeq is not installed.
            TypeError, ValueError: features that are missing, not finite, or of the wrong shape,
                dtype or device.
        """
        state = self.encode(vertex_features(complex, x, self.in_channels))
        return self.output(self.diffuse(complex, state).flatten(1))

    def diffuse(self, complex: CellComplex, x: Tensor) -> Tensor:
        """The state (n_0, d', hidden_channels) at ``time``, from that at 0."""
        if self.time == 0 or x.shape[0] == 0:
            return x
        solvers = _torchdiffeq()
        operator = self.layer.operator(complex, x) if self.frozen_sheaf else None
        law = _Law(self.layer, complex, operator)
        options = {"step_size": self.step_size} if self.method in _FIXED_STEP else {}
        integrate = solvers.odeint_adjoint if self.adjoint else solvers.odeint
        time = torch.tensor([0.0, self.time], dtype=x.dtype, device=x.device)
        states = integrate(
            law, x, time, rtol=self.rtol, atol=self.atol, method=self.method, options=options
        )
        return states[-1]

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, time={self.time}, method={self.method!r}, "
            f"frozen_sheaf={self.frozen_sheaf}"
        )


class _Law(nn.Module):
    """The right-hand side on one complex; a module, since adjoint methods look for parameters."""

    def __init__(
        self, layer: SheafDiffusionLayer, complex: CellComplex, operator: Operator | None
    ) -> None:
        super().__init__()
        self.layer, self.complex, self.operator = layer, complex, operator

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        operator = self.operator or self.layer.operator(self.complex, x)
        return -self.layer(x, operator)


def _torchdiffeq() -> ModuleType:
    try:
        import torchdiffeq
    except ImportError as error:
        raise ImportError(
            f"continuous time needs torchdiffeq ({error}); install it with: pip install torchdiffeq"
        ) from error
    return torchdiffeq
