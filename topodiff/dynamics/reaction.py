"""Reaction and diffusion: GREAD, and message passing with attraction, repulsion and wells."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.dynamics.attention import Attention, DiffusionOperator
from topodiff.dynamics.entries import Entries, EntryOperator
from topodiff.dynamics.law import Control, Law, at, is_number, rescaled, source_at
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

    def linear_operator(self, t: Tensor) -> LinearOperator | None:
        """``alpha (I - A)`` if alpha is one number."""
        alpha = at(self.alpha, t)
        return rescaled(alpha, DiffusionOperator(self.adjacency)) if is_number(alpha) else None

    def rest(self, t: Tensor, x: Tensor) -> Tensor:
        """``beta r(x)``, and the diffusion where its rates differ from channel to channel."""
        if not is_number(at(self.alpha, t)):
            return self(t, x)
        return at(self.beta, t) * self._react(t, x)

    def _react(self, t: Tensor, x: Tensor, differences: Tensor | None = None) -> Tensor:
        """r(x); ``differences`` is A x - x where it is known."""
        if callable(self.reaction):
            return self.reaction(x)
        if self.reaction == "zeroth_order":
            return source_at(self.constant, t, x, "constant")
        if self.reaction == "blurring_sharpening":
            if differences is None:
                differences = self.adjacency @ x - x
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
        differences = self._differences(t, weight) @ x
        return self._wells(t, x) - at(self.alpha, t) * differences

    def _differences(self, t: Tensor, weight: Tensor) -> LinearOperator:
        """``x -> sum over j of (a_ij - beta) (x_i - x_j)``, row sums less the weights."""
        e, weight = self.entries, weight - at(self.beta, t)
        own = torch.arange(e.num_rows + 1, device=e.ptr.device)
        total = EntryOperator(Entries(own[:-1], own), e.row_sums(weight), symmetric=True)
        return total - EntryOperator(e, weight)

    def _wells(self, t: Tensor, x: Tensor) -> Tensor:
        return at(self.delta, t) * x * (1 - x.square())

    def linear_operator(self, t: Tensor) -> LinearOperator | None:
        """``x -> alpha sum over j of (a_ij - beta) (x_i - x_j)`` for a that stays and one alpha."""
        alpha = at(self.alpha, t)
        if not isinstance(self.attention, Tensor) or not is_number(alpha):
            return None
        return rescaled(alpha, self._differences(t, self.attention))

    def rest(self, t: Tensor, x: Tensor) -> Tensor:
        """The wells, and all the rest where there is no linear operator."""
        return self(t, x) if self.linear_operator(t) is None else self._wells(t, x)

    def __repr__(self) -> str:
        return f"AllenCahnMessagePassing({self.entries})"
