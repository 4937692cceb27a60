"""Reaction and diffusion: GREAD, and message passing with attraction, repulsion and wells."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from topodiff.dynamics.attention import Attention
from topodiff.dynamics.entries import Entries, EntryOperator
from topodiff.dynamics.law import Control, Law, at, source_at
from topodiff.operators import LinearOperator

REACTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "fisher": lambda x: x * (1 - x),
    "allen_cahn": lambda x: x * (1 - x.square()),
    "zeldovich": lambda x: x.square() * (1 - x),
}
"""Reactions of each entry on its own, with zeros at 0 and 1."""
KINDS = (*REACTIONS, "zeroth_order", "blurring_sharpening")


class ReactionDiffusion(Law):
    """``dx/dt = alpha (A x - x) + beta r(x)`` (Choi et al., GREAD: Graph neural reaction-diffusion
    networks, ICML 2023, eq. 8).

    r(x) is ``x (1 - x)`` (fisher), ``x (1 - x^2)`` (allen_cahn), ``x^2 (1 - x)`` (zeldovich), a
    constant c, published as the state at the start (zeroth_order), or ``A (x - A x)``, which
    sharpens what diffusion blurs (blurring_sharpening); or any function of x.

    Args:
        adjacency: A, a normalised adjacency matrix.
        reaction: the name of r, or a function.
        alpha, beta: numbers, tensors (one, or one for each channel), or depending on t.
        constant: c of zeroth_order, of the shape of the state.
    """

    def __init__(
        self,
        adjacency: LinearOperator,
        reaction: str | Callable[[Tensor], Tensor],
        *,
        alpha: Control = 1.0,
        beta: Control = 1.0,
        constant: Tensor | None = None,
    ) -> None:
        if isinstance(reaction, str) and reaction not in KINDS:
            raise ValueError(
                f"reaction must be one of {', '.join(KINDS)}, or a function; got {reaction!r}"
            )
        if (reaction == "zeroth_order") != (constant is not None):
            raise ValueError("constant belongs to the reaction zeroth_order: give both or none")
        self.adjacency, self.reaction, self.constant = adjacency, reaction, constant
        self.alpha, self.beta = alpha, beta
        self.autonomous = not (callable(alpha) or callable(beta))

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        differences = self.adjacency @ x - x
        return at(self.alpha, t) * differences + at(self.beta, t) * self._react(t, x, differences)

    def _react(self, t: Tensor, x: Tensor, differences: Tensor) -> Tensor:
        if callable(self.reaction):
            return self.reaction(x)
        if self.reaction == "zeroth_order":
            return source_at(self.constant, t, x, "constant")
        if self.reaction == "blurring_sharpening":
            return -(self.adjacency @ differences)
        return REACTIONS[self.reaction](x)

    def __repr__(self) -> str:
        return f"ReactionDiffusion({self.adjacency}, {self.reaction})"


class AllenCahnMessagePassing(Law):
    """``dx_i/dt = alpha sum over j of (a_ij - beta) (x_j - x_i) + delta x_i (1 - x_i^2)`` (Wang et
    al., ACMP: Allen-Cahn message passing, ICLR 2023, eq. 5).

    Neighbours with a_ij < beta repel each other, which keeps clusters apart; the double well keeps
    states bounded.

    Args:
        entries: the neighbours.
        attention: weights a (nnz,), or a function of (t, x, entries).
        alpha, delta: numbers, tensors (one, or one for each channel), or depending on t.
        beta: the repulsion, one number, or depending on t.
    """

    def __init__(
        self,
        entries: Entries,
        attention: Tensor | Attention,
        *,
        alpha: Control = 1.0,
        beta: Control = 0.5,
        delta: Control = 1.0,
        autonomous: bool = True,
    ) -> None:
        self.entries, self.attention = entries, attention
        self.alpha, self.beta, self.delta = alpha, beta, delta
        self.autonomous = autonomous and not any(map(callable, (alpha, beta, delta)))

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        weight = self.attention
        if not isinstance(weight, Tensor):
            weight = weight(t, x, self.entries)
        weight = weight - at(self.beta, t)
        messages = EntryOperator(self.entries, weight) @ x
        total = self.entries.row_sums(weight).reshape(-1, *[1] * (x.dim() - 1))
        wells = at(self.delta, t) * x * (1 - x.square())
        return at(self.alpha, t) * (messages - total * x) + wells

    def __repr__(self) -> str:
        return f"AllenCahnMessagePassing({self.entries})"
