"""What models in continuous time share: encoder, diffusion, decoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.dynamics import Law, jacobian_norm, kinetic_energy, time_integral
from topodiff.kernels.checks import check_choice
from topodiff.kernels.precision import full_precision
from topodiff.nn.dropout import Dropout
from topodiff.nn.feature_linear import FeatureLinear
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import check_arguments, vertex_features
from topodiff.solvers import SOLVERS, Solution, diffuse, torchdiffeq_methods
from topodiff.solvers.adaptive import TABLEAUS
from topodiff.solvers.march import DEFAULT_STEPS, steps_between
from topodiff.solvers.problem import BACKWARD

ADAPTIVE = (*torchdiffeq_methods.ADAPTIVE, *TABLEAUS)
_PENALTY_POINTS = 9


class ContinuousModel(nn.Module):
    """``out = decoder(x(T))``, ``x(0) = encoder(features)``, x the solution of a law that a
    subclass makes of the graph and x(0).

    The encoder is dropout and a linear map (``mlp``: and two residual layers), the decoder relu,
    dropout and a linear map, as in GRAND's published code. Under ``torch.autocast`` these two have
    lower precision, the solution has not.

    Args:
        in_channels, hidden_channels, out_channels: widths of features, state and result.
        num_layers: the parameters of the law are constant on so many equal intervals of [0, time].
        dropout: before the decoder (and in the MLP).
        input_dropout: of the features.
        time: T, the end of the diffusion.
        solver: of :func:`topodiff.solvers.diffuse`.
        step_size: of solvers with fixed steps.
        tol_scale: tolerances of adaptive solvers are 1e-7 (absolute) and 1e-9 (relative) times
            this, as published; None for those of ``diffuse``, which rounding in float32 allows.
        backward: ``direct``, ``checkpoint`` or ``adjoint``, of ``diffuse``. Of these the last goes
            with solvers of torchdiffeq (dopri5, ...), the one before with all others but
            uniformization.
        mlp: two residual layers in the encoder.
        norm: batch normalisation of x(0).
        augment: so many channels of zeros beside x(0), which the decoder does not see.
        second_linear: a linear map with relu before the decoder.
        kinetic, jacobian: weights of the regularisers, in training; see ``penalty``. They are
            integrated over nine ends of the solver's steps at most, or one for each layer.
        solver_options: further options of ``diffuse``.

    Attributes:
        end: where the diffusion ends in evaluation, T if None; training always ends at T.
        penalty: of the last forward pass in training, to be added to the loss, as ``fit_nodes``
            does; None if there is none, and in copies.
        solution: of the last forward pass, without its states: times, work, status.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        input_dropout: float = 0.0,
        time: float = 1.0,
        solver: str = "dopri5",
        step_size: float | None = None,
        tol_scale: float | None = None,
        backward: str = "direct",
        mlp: bool = False,
        norm: bool = False,
        augment: int = 0,
        second_linear: bool = False,
        kinetic: float = 0.0,
        jacobian: float = 0.0,
        solver_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        check_arguments(
            dropout, in_channels=in_channels, hidden_channels=hidden_channels,
            out_channels=out_channels, num_layers=num_layers,
        )  # fmt: skip
        check_choice("solver", solver, ("auto", *SOLVERS))
        check_backward(backward, solver)
        if not (time > 0 and (tol_scale is None or tol_scale > 0)) or augment < 0:
            raise ValueError(
                f"time and tol_scale must be positive and augment not negative; got {time}, "
                f"{tol_scale} and {augment}"
            )
        self.in_channels, self.hidden_channels = in_channels, hidden_channels
        self.out_channels, self.num_layers = out_channels, num_layers
        self.time, self.solver, self.step_size = float(time), solver, step_size
        self.tol_scale, self.backward, self.augment = tol_scale, backward, augment
        self.kinetic, self.jacobian = kinetic, jacobian
        self.solver_options = dict(solver_options or {})
        self.state_channels = hidden_channels + augment
        self.encoder = FeatureLinear(in_channels, hidden_channels, input_dropout)
        self.hidden = nn.ModuleList(
            nn.Linear(hidden_channels, hidden_channels) for _ in range(2 * mlp)
        )
        self.norm = nn.BatchNorm1d(hidden_channels) if norm else None
        self.second = nn.Linear(hidden_channels, hidden_channels) if second_linear else None
        self.dropout = Dropout(dropout)
        self.decoder = nn.Linear(hidden_channels, out_channels)
        self.end: float | None = None
        self.penalty: Tensor | None = None
        self.solution: Solution | None = None

    def __getstate__(self) -> dict[str, Any]:
        # in the graph of gradients of the last pass, which has no copies
        return {**self.__dict__, "penalty": None}

    def make_law(self, complex: CellComplex, x: Tensor) -> Any:
        """The law that starts at x (n_0, state_channels)."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def encode(self, complex: CellComplex, x: Tensor | None) -> Tensor:
        """Features (n_0, in_channels), by default ``complex.x[0]`` -> x(0)."""
        x = self.encoder(vertex_features(complex, x, self.in_channels, self.encoder.weight))
        if self.hidden:
            x = self.dropout(x)
        for linear in self.hidden:
            x = self.dropout(x + linear(x.relu()))
        if self.norm is not None:
            if self.training and len(x) < 2:
                raise ValueError(
                    f"norm=True takes statistics over vertices in training, of which there are "
                    f"{len(x)}: batch graphs, or set norm=False"
                )
            x = self.norm(x)
        return torch.cat([x, x.new_zeros(len(x), self.augment)], 1) if self.augment else x

    def decode(self, x: Tensor) -> Tensor:
        """State -> (n_0, out_channels)."""
        x = x[..., : self.hidden_channels].relu()
        if self.second is not None:
            x = self.second(x).relu()
        return self.decoder(self.dropout(x))

    def forward(self, complex: CellComplex, x: Tensor | None = None) -> Tensor:
        """Features (n_0, in_channels), by default ``complex.x[0]`` -> (n_0, out_channels).

        Raises:
            TypeError, ValueError: features that are missing, not finite, or of the wrong shape,
                dtype or device.
            RuntimeError: the solver did not reach the end.
        """
        start = self.encode(complex, x)
        with full_precision(start):
            end = self._at_end(complex, start)
        return self.decode(end)

    def _at_end(self, complex: CellComplex, start: Tensor) -> Tensor:
        law = self.make_law(complex, start)
        self.penalty = None
        if not self.training or not (self.kinetic or self.jacobian):
            return self.solve(complex, law, start)
        times = self._penalty_times(law)
        states = self.solve(complex, law, start, times)
        self.penalty = self._penalty(law, times, states)
        return states[-1]

    def _penalty_times(self, law: Law) -> Tensor:
        """Some ends of steps, so that these are as long as without a penalty, and all jumps."""
        options = self._solver_options()
        size = options.get("step_size")
        if size is None:
            size = self.time / options.get("num_steps", DEFAULT_STEPS)
        times = [0.0, *(t for t in law.breaks() if t < self.time), self.time]
        most, chosen = max(1, (_PENALTY_POINTS - 1) // (len(times) - 1)), []
        for (a, b), count in zip(pairwise(times), steps_between(times, size), strict=True):
            few = min(most, count)
            chosen += [a + (b - a) * round(k * count / few) / count for k in range(few)]
        return torch.tensor([*chosen, self.time], dtype=torch.float64)

    def trajectory(
        self,
        complex: CellComplex,
        times: Sequence[float] | Tensor,
        x: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """(times, n_0, out_channels): the results had the diffusion ended at each of ``times``; of
        the vertices ``rows`` alone (times, rows, out_channels), which is cheaper.

        Steps end at each of ``times``. Where these are multiples of a fixed step the result at T is
        that of :meth:`forward`; elsewhere steps are shorter, and it is a more accurate one.

        GRAND's published code ends where the accuracy of validation is best, up to 3 T: choose the
        time by validation vertices here, set ``end``, and only then look at others.
        """
        start = self.encode(complex, x)
        with full_precision(start):
            states = self.solve(complex, self.make_law(complex, start), start, times, rows)
        return self.decode(states)

    def solve(
        self,
        complex: CellComplex,
        law: Any,
        x: Tensor,
        times: Sequence[float] | Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """x at the end, or the states at ``times``, all ``rows`` of them if None."""
        if times is not None:
            end = float(max(times))
        else:
            end = self.time if self.end is None or self.training else self.end
        solution = integrate(
            complex, law, x, end, self.solver, save_at=times, save_rows=rows,
            backward=self.backward, **self._solver_options(),
        )  # fmt: skip
        self.solution = Solution(x.new_empty(0), solution.ts, solution.stats, solution.status)
        return solution.x

    def _solver_options(self) -> dict[str, Any]:
        """All options of ``diffuse`` that belong to the solver."""
        options = dict(self.solver_options)
        if self.solver not in ADAPTIVE:
            return options if self.step_size is None else {**options, "step_size": self.step_size}
        if self.tol_scale is None:
            return options
        return {"atol": 1e-7 * self.tol_scale, "rtol": 1e-9 * self.tol_scale, **options}

    def _penalty(self, law: Any, times: Tensor, states: Tensor) -> Tensor:
        total = states.new_zeros(())
        for weight, term in ((self.kinetic, kinetic_energy), (self.jacobian, jacobian_norm)):
            if weight:
                total = total + weight * time_integral(term, law, times, states)
        return total

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.hidden_channels}, {self.out_channels}, "
            f"num_layers={self.num_layers}, time={self.time:g}, solver={self.solver!r}, "
            f"step_size={self.step_size}, tol_scale={self.tol_scale}, "
            f"backward={self.backward!r}"
        )


def check_backward(backward: str, solver: str) -> None:
    """ValueError for one that the solver does not have."""
    check_choice("backward", backward, BACKWARD)
    theirs = solver in torchdiffeq_methods.METHODS
    if backward == "checkpoint":
        lacking, others = theirs or solver == "uniformization", "dormand_prince, rk4, ..."
    else:
        lacking, others = backward == "adjoint" and not theirs, "dopri5, bosh3, ... of torchdiffeq"
    if lacking and solver != "auto":
        raise ValueError(
            f"backward={backward!r} does not go with solver={solver!r}: take another solver "
            f"({others}), or backward='direct'"
        )


def integrate(
    complex: CellComplex, law: Any, x: Tensor, time: float, solver: str, **options: Any
) -> Solution:
    """:func:`topodiff.solvers.diffuse`, with errors controlled for each graph of a batch.

    Raises:
        RuntimeError: the solver did not reach the end.
    """
    if solver in ADAPTIVE and complex.num_complexes > 1:
        options.setdefault("ptr", complex.ptr[0])
    solution = diffuse(law, x, time, solver, **options)
    if solution.status != "ok":
        raise RuntimeError(
            f"the diffusion ended with status {solution.status!r} after "
            f"{solution.stats.evaluations} evaluations: raise the tolerances or lower the time, or "
            "take another solver"
        )
    return solution
