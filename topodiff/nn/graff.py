"""Gradient-flow networks (Di Giovanni et al., GRAFF: Understanding convolution on graphs via
energies, TMLR 2023)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.dynamics import GradientFlow, MixingEnergy, Piecewise, adjacency
from topodiff.dynamics.law import Law, at
from topodiff.kernels.checks import check_choice
from topodiff.nn.continuous import ContinuousModel

FORMS = ("diag", "diag_dom", "sum", "prod", "neg_prod")


class SymmetricMatrix(nn.Module):
    """A symmetric matrix in one of the published forms.

    ``diag``: diag(w). ``diag_dom``: M symmetric with zero diagonal, plus ``diag(q_i sum_j |M_ij| +
    r_i)``. ``sum``: ``(M + M^T) / 2``. ``prod``: ``M^T M``, no negative eigenvalue. ``neg_prod``:
    ``- M^T M``.

    Args:
        channels: number of rows.
        form: one of these.
    """

    def __init__(self, channels: int, form: str) -> None:
        super().__init__()
        check_choice("form", form, FORMS)
        self.channels, self.form = channels, form
        shape = (channels,) if form == "diag" else (channels, channels)
        self.weight = nn.Parameter(torch.empty(shape))
        if form == "diag_dom":
            self.scale = nn.Parameter(torch.empty(channels))
            self.shift = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """M as Glorot and Bengio (2010), vectors uniform in [-1, 1]."""
        if self.form == "diag":
            nn.init.uniform_(self.weight, -1, 1)
        else:
            nn.init.xavier_uniform_(self.weight)
        if self.form == "diag_dom":
            nn.init.uniform_(self.scale, -1, 1)
            nn.init.uniform_(self.shift, -1, 1)

    def forward(self) -> Tensor:
        """(channels, channels)."""
        m = self.weight
        if self.form == "diag":
            return m.diag()
        if self.form == "sum":
            return (m + m.T) / 2
        if self.form in ("prod", "neg_prod"):
            square = m.T @ m
            return square if self.form == "prod" else -square
        upper = m.triu(1)
        symmetric = upper + upper.T
        return symmetric + (self.scale * symmetric.abs().sum(1) + self.shift).diag()

    def extra_repr(self) -> str:
        return f"{self.channels}, form={self.form!r}"


class _MixingFlow(Law):
    """``- dE/dx`` of energies that follow one another."""

    def __init__(self, flows: Piecewise) -> None:
        self.flows = flows
        self.autonomous = False

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        return at(self.flows, t)(t, x)


class GRAFF(ContinuousModel):
    """``dx/dt = - x Omega + A x W - x(0) W_0``, Omega and W symmetric, A the normalised adjacency.

    Args:
        in_channels, hidden_channels, out_channels, num_layers, dropout: see
            :class:`ContinuousModel`.
        form: of W: ``diag``, ``diag_dom``, ``sum``, ``prod`` or ``neg_prod``.
        omega: of Omega: ``diag``, another form, or None for 0.
        add_source: whether there is W_0 (a diagonal).
        loops: weight of loops in A.
        time, step_size, solver: by default Euler's method as published, with steps of 1.
        options: of :class:`ContinuousModel`.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        *,
        form: str = "diag_dom",
        omega: str | None = "diag",
        add_source: bool = True,
        loops: float = 0.0,
        time: float = 3.0,
        solver: str = "euler",
        step_size: float | None = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(
            in_channels, hidden_channels, out_channels, num_layers, dropout,
            time=time, solver=solver, step_size=step_size, **options,
        )  # fmt: skip
        width, self.loops = self.state_channels, loops

        def matrices(form: str | None) -> nn.ModuleList:
            count = 0 if form is None else num_layers
            return nn.ModuleList(SymmetricMatrix(width, str(form)) for _ in range(count))

        self.mixing, self.own = matrices(form), matrices(omega)
        self.source = matrices("diag" if add_source else None)

    def make_law(self, complex: CellComplex, x: Tensor) -> Law:
        a = adjacency(complex, x.dtype, loops=self.loops)
        flows = []
        for layer in range(self.num_layers):
            omega = self.own[layer]() if self.own else None
            source = (x, self.source[layer]()) if self.source else None
            flows.append(GradientFlow(MixingEnergy(a, self.mixing[layer](), omega, source)))
        return flows[0] if len(flows) == 1 else _MixingFlow(Piecewise(flows, self.time))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, loops={self.loops:g}"
