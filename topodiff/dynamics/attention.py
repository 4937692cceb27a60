"""Diffusion along attention: GRAND, and its joint flow of features and positions, BLEND."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from topodiff.dynamics.entries import Entries, EntryOperator
from topodiff.dynamics.law import Control, Law, at, is_number, rescaled, source_at
from topodiff.operators import LinearOperator
from topodiff.solvers.law import Mixing

# of sums that should be 1
_ROUNDING = 1e-4

Attention = Callable[[Tensor, Tensor, Entries], Tensor]
"""Weights (nnz,) of the entries, from (t, x, entries). A method ``product(t, x, entries)``, where
there is one, gives ``A(t, x) x`` at once; one ``parameters()`` the tensors that
``backward="adjoint"`` is to reach, which modules have."""


class DiffusionOperator(LinearOperator):
    """``I - A``; positive semidefinite if A is symmetric and its entries are known to bound it by
    1."""

    def __init__(self, matrix: LinearOperator) -> None:
        super().__init__(matrix.row_shape, matrix.col_shape, matrix.dtype, matrix.device)
        self.matrix = matrix
        self.symmetric = matrix.symmetric
        bounded = isinstance(matrix, EntryOperator) and matrix.bound <= 1
        self.positive_semidefinite = matrix.symmetric and bounded

    def _apply(self, x: Tensor) -> Tensor:
        return x - self.matrix._apply(x)

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return y - self.matrix._apply_transpose(y)

    def _matrix(self) -> Any:
        return self.identity()._matrix() - self.matrix._matrix()

    def _absolute(self) -> LinearOperator:
        return self.identity() + self.matrix._absolute()

    def spectral_bound(self) -> float:
        return 1 + self.matrix.spectral_bound()


class AttentionDiffusion(Law):
    """``dx/dt = rate (A(t, x) x - x) + strength source`` (Chamberlain et al., GRAND: Graph neural
    diffusion, ICML 2021, eq. 2).

    With weights that are given and stay (GRAND-l) it is linear and every solver applies; with a
    function of the state (GRAND-nl) they are found at every evaluation. Rows of A that sum to 1
    (``normalization="row"``) make features obey a maximum principle, columns that do keep their
    sum. A vertex without entries, in its row and in its column, stays as it is: the flow goes along
    differences, ``sum_j a_ij (x_j - x_i)``, of which it has none.

    Args:
        entries: of A.
        attention: weights (nnz,), or a function of (t, x, entries) that gives them.
        rate: number, tensor (one, or one for each channel), or depending on t.
        source: of the shape of the state, or none. It stays in the graph of gradients.
        strength: of the source, likewise.
        rewire: a function of the state that gives the entries, for a graph that moves.
        autonomous: attention and entries do not depend on t, nor those of one graph of a batch on
            another one, as they do with ``squash="shifted_squareplus"``: solvers may let each
            graph have steps of its own.
    """

    def __init__(
        self,
        entries: Entries,
        attention: Tensor | Attention,
        *,
        rate: Control = 1.0,
        source: Tensor | None = None,
        strength: Control = 1.0,
        rewire: Callable[[Tensor], Entries] | None = None,
        autonomous: bool = True,
    ) -> None:
        if isinstance(attention, Tensor) and rewire is not None:
            raise ValueError("weights that stay have no meaning on a graph that moves: give one")
        self.entries, self.attention, self.rewire = entries, attention, rewire
        self.rate, self.source, self.strength = rate, source, strength
        changing = callable(rate) or callable(strength)
        self.autonomous = autonomous and not changing
        self._fixed: EntryOperator | None = None
        if isinstance(attention, Tensor):
            self._fixed = EntryOperator(entries, attention).with_loops()
            # one tensor alone is what gradients are to reach
            self.entries, self.attention = self._fixed.entries, self._fixed.weight
            start = self._fixed.weight.new_zeros(())
            self.linear = source is None and self.linear_operator(start) is not None

    @classmethod
    def from_matrix(cls, matrix: EntryOperator, **options: Any) -> AttentionDiffusion:
        """With a matrix that is known to be symmetric, or of norm 1."""
        matrix = matrix.with_loops()
        law = cls(matrix.entries, matrix.weight, **options)
        law._fixed = matrix
        law.symmetric = matrix.symmetric and law.linear
        return law

    def matrix(self, t: Tensor, x: Tensor) -> EntryOperator:
        """A(t, x), with a one on the diagonal for each isolated vertex."""
        if self._fixed is not None:
            return self._fixed
        entries = self.entries if self.rewire is None else self.rewire(x)
        assert not isinstance(self.attention, Tensor)
        return EntryOperator(entries, self.attention(t, x, entries)).with_loops()

    def product(self, t: Tensor, x: Tensor) -> Tensor:
        """``A(t, x) x``."""
        at_once = getattr(self.attention, "product", None)
        if at_once is None:
            return self.matrix(t, x) @ x
        entries = self.entries if self.rewire is None else self.rewire(x)
        found, alone = at_once(t, x, entries), entries.isolated
        return found.index_copy(0, alone, x[alone]) if alone.numel() else found

    def __call__(self, t: Tensor, x: Tensor) -> Tensor:
        out = at(self.rate, t) * (self.product(t, x) - x)
        return out if self.source is None else out + self._inflow(t, x)

    def _inflow(self, t: Tensor, x: Tensor) -> Tensor:
        return at(self.strength, t) * source_at(self.source, t, x)

    def linear_operator(self, t: Tensor) -> LinearOperator | None:
        """``rate (I - A)`` if A is fixed and the rate one number."""
        rate = at(self.rate, t)
        if self._fixed is None or not is_number(rate):
            return None
        return rescaled(rate, DiffusionOperator(self._fixed))

    def mixing(self, t: Tensor) -> Mixing | None:
        """What ``solver="uniformization"`` solves exactly: weights that stay, and whose absolute
        values sum to 1 at most over all rows or over all columns."""
        rate, strength = at(self.rate, t), at(self.strength, t)
        if self._fixed is None or not (is_number(rate) and is_number(strength)):
            return None
        entries, size = self.entries, self._fixed.weight.detach().abs()
        sums = entries.row_sums(size), entries.column_sums(size)
        if entries.nnz and min(float(s.max()) for s in sums) > 1 + _ROUNDING:
            return None
        return Mixing(rate, self._fixed, self.source, strength)

    def rest(self, t: Tensor, x: Tensor) -> Tensor:
        """``law + linear_operator x``."""
        if self.linear_operator(t) is None:
            return self(t, x)
        if self.source is None:
            return torch.zeros_like(x)
        return self._inflow(t, x)

    def frozen(self, t: Tensor, x: Tensor) -> AttentionDiffusion:
        """The linear law with the weights at (t, x): implicit steps of it are the semi-implicit
        scheme of GRAND (eq. 8)."""
        return AttentionDiffusion.from_matrix(
            self.matrix(t, x), rate=self.rate, source=self.source, strength=self.strength
        )

    def __repr__(self) -> str:
        kind = "nonlinear" if self._fixed is None else "linear"
        return f"{type(self).__name__}({self.entries}, {kind})"


class BeltramiFlow(AttentionDiffusion):
    """Features x and positions p of the vertices flow together, ``z = (x, p)``:

        ``dz_i/dt = sum over j of a(z_i, z_j) (z_j - z_i)``, j the neighbours of i at p,

    (Chamberlain et al., Beltrami flow and neural diffusion on graphs, NeurIPS 2021, eq. 9). With
    attention that does not see p on a graph that stays it is GRAND on each of them.

    Args:
        entries: neighbours at the start.
        attention: weights (nnz,), or a function of (t, z, entries).
        feature_channels: how many of the channels of z are features, which come first.
        rewire: maps positions (n, dim) to entries; see :mod:`topodiff.dynamics.rewiring`. None for
            a graph that stays.
        options: as for :class:`AttentionDiffusion`.
    """

    def __init__(
        self,
        entries: Entries,
        attention: Tensor | Attention,
        feature_channels: int,
        *,
        rewire: Callable[[Tensor], Entries] | None = None,
        **options: Any,
    ) -> None:
        if feature_channels < 0:
            raise ValueError(f"feature_channels must not be negative, got {feature_channels}")
        self.feature_channels = feature_channels
        by_state = None
        if rewire is not None:
            by_state = lambda z: rewire(self.split(z)[1].detach())  # noqa: E731
        super().__init__(entries, attention, rewire=by_state, **options)

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Features and positions of a state."""
        return z[:, : self.feature_channels], z[:, self.feature_channels :]
