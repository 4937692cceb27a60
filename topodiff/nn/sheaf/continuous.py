"""Sheaf diffusion in continuous time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.kernels.checks import check_choice
from topodiff.kernels.precision import full_precision
from topodiff.nn.continuous import check_backward, integrate
from topodiff.nn.sheaf.base import SheafModel
from topodiff.nn.sheaf.laplacian import Operator
from topodiff.nn.sheaf.layer import SheafDiffusionLayer
from topodiff.nn.vertex_model import vertex_features
from topodiff.solvers import SOLVERS


class ContinuousSheafDiffusion(SheafModel):
    """``dx/dt = -act(Delta_{F(x)} (I (x) W_1) x W_2^T) + b x(0)`` from the encoded features x(0) to
    ``time``, then a linear map (Bodnar et al., Neural Sheaf Diffusion, 2022, section 4; the source
    is that of Chamberlain et al., GRAND, 2021).

    Without a source x falls into the kernel of the sheaf as ``time`` grows, and what is left of the
    features is what its global sections hold; with one it stays bounded away from it.

    Args:
        in_channels, hidden_channels, out_channels, stalk_dim: of :class:`SheafModel`.
        time: >= 0.
        solver: of :func:`topodiff.solvers.diffuse`.
        backward: ``direct``, ``checkpoint`` or ``adjoint``, of ``diffuse``. Of these the last goes
            with solvers of torchdiffeq (dopri5, ...), the one before with all others but
            uniformization.
        solver_options: further options of ``diffuse``: ``rtol``, ``atol``, ``step_size``, ...
        frozen_sheaf: learn the sheaf at time 0 and keep it; otherwise at every evaluation.
        add_source: whether there is b, one number that is learnt and starts at 0.
        options: ``maps``, ``dropout``, ``low_pass``, ... of :class:`SheafModel`.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        stalk_dim: int = 3,
        *,
        time: float = 1.0,
        solver: str = "dormand_prince",
        backward: str = "direct",
        solver_options: dict[str, Any] | None = None,
        frozen_sheaf: bool = False,
        add_source: bool = False,
        **options: Any,
    ) -> None:
        if not time >= 0:
            raise ValueError(f"time must not be negative, got {time}")
        check_choice("solver", solver, ("auto", *SOLVERS))
        check_backward(backward, solver)
        super().__init__(in_channels, hidden_channels, out_channels, stalk_dim, **options)
        self.time, self.solver, self.backward = float(time), solver, backward
        self.solver_options = dict(solver_options or {})
        self.frozen_sheaf = frozen_sheaf
        self.layer = self.make_layer()
        self.strength = nn.Parameter(torch.zeros(())) if add_source else None

    def reset_parameters(self) -> None:
        """Draw all parameters anew; the source is 0."""
        super().reset_parameters()
        if self.strength is not None:
            nn.init.zeros_(self.strength)

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Features x (n_0, in_channels), by default ``complex.x[0]`` -> (n_0, out_channels).

        Raises:
            TypeError, ValueError: features that are missing, not finite, or of the wrong shape,
                dtype or device.
            RuntimeError: the solver did not reach the end.
        """
        features = vertex_features(complex, x, self.in_channels, self.input.weight)
        state = self.encode(features)
        return self.output(self.diffuse(complex, state).flatten(1))

    def diffuse(self, complex: CellComplex, x: Tensor) -> Tensor:
        """The state (n_0, d', hidden_channels) at ``time``, from that at 0."""
        options = {"backward": self.backward, **self.solver_options}
        with full_precision(x):
            operator = self.layer.operator(complex, x) if self.frozen_sheaf else None
            source = None if self.strength is None else self.strength * x
            law = _Law(self.layer, complex, operator, source)
            return integrate(complex, law, x, self.time, self.solver, **options).x

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, time={self.time}, solver={self.solver!r}, "
            f"frozen_sheaf={self.frozen_sheaf}, add_source={self.strength is not None}"
        )


class _Law:
    """The right-hand side on one complex."""

    autonomous = True

    def __init__(
        self,
        layer: SheafDiffusionLayer,
        complex: CellComplex,
        operator: Operator | None,
        source: Tensor | None,
    ) -> None:
        self.layer, self.complex, self.operator = layer, complex, _aliases(operator)
        self.source = source

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        operator = self.operator or self.layer.operator(self.complex, x)
        change = self.layer(x, operator)
        return -change if self.source is None else self.source - change

    def parameters(self) -> list[Tensor]:
        """What the adjoint method has to reach."""
        found: list[Tensor] = [] if self.source is None else [self.source]
        if self.operator is None:
            return found + list(self.layer.parameters())
        mixing = [p for p in (self.layer.left, self.layer.right) if p is not None]
        return found + mixing + _held(self.operator)


def _aliases(operator: Any) -> Any:
    """The operator on aliases of its tensors, of which none is made of another."""
    if isinstance(operator, Tensor):
        return operator.view_as(operator)
    if not isinstance(operator, tuple):
        return operator
    return type(operator)(*map(_aliases, operator))


def _held(operator: Any) -> list[Tensor]:
    if isinstance(operator, Tensor):
        return [operator]
    return [t for part in operator for t in _held(part)] if isinstance(operator, tuple) else []
