"""Graph-coupled oscillator networks (Rusch et al., GraphCON, ICML 2022)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.dynamics import ControlledOscillator, adjacency
from topodiff.kernels.activations import ACTIVATIONS, activate
from topodiff.kernels.checks import check_choice
from topodiff.kernels.finite import is_finite
from topodiff.kernels.precision import full_precision
from topodiff.nn.continuous import ADAPTIVE, integrate
from topodiff.nn.dropout import Dropout
from topodiff.nn.feature_linear import FeatureLinear
from topodiff.nn.gat import GATLayer
from topodiff.nn.gcn import GCNLayer
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import check_arguments, vertex_features
from topodiff.solvers import SOLVERS

COUPLINGS = ("gcn", "gat")
# the others are for linear laws, or laws with a linear part
OF_OSCILLATORS = tuple(
    s for s in SOLVERS if s not in ("imex", "chebyshev", "krylov", "uniformization")
)
RESIDUALS = {"gcn": (None, "mapped", "learnt"), "gat": (None, "learnt")}


class GraphCON(nn.Module):
    """``d2x/dt2 = act(F(x)) - gamma x - alpha dx/dt``, F a graph convolution or attention; N steps

        ``y <- y + dt (act(F(x)) - gamma x - alpha y)``,  ``x <- x + dt y``

    from ``x = y = act(encoder(features))``, then a linear map. For alpha = gamma = dt = 1 it is the
    plain network of F.

    Args:
        in_channels, hidden_channels, out_channels: widths.
        num_layers: N, the number of steps.
        dropout: of x and y at the start and after every step.
        step_dropout: that after every step but the last; as ``dropout`` if None.
        coupling: ``gcn`` or ``gat``.
        heads: of gat, side by side.
        input_dropout: of the features; as ``dropout`` if None.
        dt, alpha, gamma: time step, damping, control.
        shared: one F for all steps, as published; else one for each.
        residual: with a learnt map R and its bias. Of gcn: ``mapped``, F(x) + R (x W), W the weight
            of F (published res_version 1, with a minus that R takes in), or ``learnt``, F(x) - x W
            + R x (version 2). Of gat: ``learnt``, F(x) + R x. None for F alone (as published for
            molecules and images).
        activation: of coupling and encoder.
        encode_activation: whether the encoder has one.
        solver: a solver for laws of second order, of which adaptive ones choose their steps inside
            of each of the N; published is ``symplectic_euler``.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        dropout: float = 0.0,
        *,
        coupling: str = "gcn",
        heads: int = 4,
        input_dropout: float | None = None,
        step_dropout: float | None = None,
        dt: float = 1.0,
        alpha: float = 1.0,
        gamma: float = 1.0,
        shared: bool = True,
        residual: str | None = None,
        activation: str = "relu",
        encode_activation: bool = True,
        solver: str = "symplectic_euler",
    ) -> None:
        super().__init__()
        check_arguments(
            dropout, in_channels=in_channels, hidden_channels=hidden_channels,
            out_channels=out_channels, num_layers=num_layers,
        )  # fmt: skip
        check_choice("coupling", coupling, COUPLINGS)
        check_choice("activation", activation, ACTIVATIONS)
        check_choice("solver", solver, OF_OSCILLATORS)
        check_choice(f"residual of {coupling}", residual, RESIDUALS[coupling])
        if not dt > 0 or alpha < 0 or gamma < 0:
            raise ValueError(
                f"dt must be positive, alpha and gamma not negative; got {dt}, {alpha} and {gamma}"
            )
        self.num_layers, self.coupling, self.residual = num_layers, coupling, residual
        self.dt, self.alpha, self.gamma = float(dt), float(alpha), float(gamma)
        self.activation, self.encode_activation = activation, encode_activation
        self.solver = solver
        input_dropout = dropout if input_dropout is None else input_dropout
        self.encoder = FeatureLinear(in_channels, hidden_channels, input_dropout)
        count = 1 if shared else num_layers
        self.layers = nn.ModuleList(
            GCNLayer(hidden_channels, hidden_channels)
            if coupling == "gcn"
            else GATLayer(hidden_channels, hidden_channels, heads)
            for _ in range(count)
        )
        self.residuals = nn.ModuleList(
            nn.Linear(hidden_channels, hidden_channels) for _ in range(count if residual else 0)
        )
        self.dropout = Dropout(dropout)
        self.step_dropout = Dropout(dropout if step_dropout is None else step_dropout)
        self.decoder = nn.Linear(hidden_channels, out_channels)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def force(self, complex: CellComplex, step: int, x: Tensor) -> Tensor:
        """F(x) with its residual, in a step."""
        which = step % len(self.layers)
        layer = self.layers[which]
        if not isinstance(layer, GCNLayer) or self.residual is None:
            out: Tensor = layer(complex, x)
            return out if self.residual is None else out + self.residuals[which](x)
        h = x @ layer.weight
        out = adjacency(complex, x.dtype) @ h + layer.bias
        residual = self.residuals[which]
        return out + residual(h) if self.residual == "mapped" else out - h + residual(x)

    def law(self, complex: CellComplex, step: int = 0) -> ControlledOscillator:
        """The law during a step."""
        return ControlledOscillator(
            lambda t, x: self.force(complex, step, x), alpha=self.alpha, gamma=self.gamma,
            activation=lambda x: activate(x, self.activation),
        )  # fmt: skip

    def step(self, complex: CellComplex, step: int, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """x and y after a step, before dropout."""
        if self.solver == "symplectic_euler":  # in one pass, as the law and the solver say
            force = self.force(complex, step, x)
            constants = (self.dt, self.alpha, self.gamma, self.activation)
            return kernels.oscillator(x, v, force, *constants)
        state: Any = (x, v)
        law = self.law(complex, step)
        options = {} if self.solver in ADAPTIVE else {"num_steps": 1}
        solution = integrate(complex, law, state, self.dt, self.solver, **options)
        assert solution.v is not None
        return solution.x, solution.v

    def states(self, complex: CellComplex, x: Tensor | None = None) -> list[Tensor]:
        """x at the start and after every step, (n_0, hidden_channels) each."""
        encoder = self.encoder
        x = encoder(vertex_features(complex, x, encoder.in_channels, encoder.weight))
        if self.encode_activation:
            x = activate(x, self.activation)
        state = self.dropout(x), self.dropout(x)
        found = [state[0]]
        with full_precision(x):
            for step in range(self.num_layers):
                drop = self.dropout if step + 1 == self.num_layers else self.step_dropout
                state = tuple(map(drop, self.step(complex, step, *state)))
                found.append(state[0])
        if not is_finite(found[-1]):
            raise RuntimeError(
                f"the state is not finite after {self.num_layers} steps: take a smaller dt"
            )
        return found

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Features (n_0, in_channels), by default ``complex.x[0]`` -> (n_0, out_channels).

        Raises:
            TypeError, ValueError: features that are missing, not finite, or of the wrong shape,
                dtype or device.
            RuntimeError: the state grew beyond all bounds.
        """
        return self.decoder(self.states(complex, x)[-1])

    def extra_repr(self) -> str:
        return (
            f"num_layers={self.num_layers}, coupling={self.coupling!r}, dt={self.dt:g}, "
            f"alpha={self.alpha:g}, gamma={self.gamma:g}, residual={self.residual!r}, "
            f"shared={len(self.layers) == 1 < self.num_layers}, solver={self.solver!r}"
        )
