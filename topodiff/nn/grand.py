"""Graph neural diffusion (Chamberlain et al., GRAND, ICML 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex, keep
from topodiff.dynamics import (
    AttentionDiffusion,
    Entries,
    Piecewise,
    adjacency,
    keep_heaviest,
    normalize,
    pagerank_rows,
)
from topodiff.dynamics.entries import check_normalization
from topodiff.nn.continuous import ContinuousModel
from topodiff.nn.diffusion_attention import DiffusionAttention


class GRAND(ContinuousModel):
    """``dx/dt = sigmoid(a) (A(x) x - x) + b x(0)``, A from learnt attention. The weights of a
    complex are not seen.

    Args:
        in_channels, hidden_channels, out_channels, num_layers, dropout: see
            :class:`ContinuousModel`.
        linear: attention is found once, at x(0) (GRAND-l); else at every evaluation (GRAND-nl).
        attention: ``scaled_dot``, ``cosine``, ``pearson`` or ``exp_kernel``; ``constant`` for the
            normalised adjacency matrix.
        heads, attention_channels, attention_init: of :class:`DiffusionAttention`.
        squash: ``softmax``, ``squareplus`` or ``shifted_squareplus``; published is the last.
        normalization: ``row``, ``col`` or ``sym``. Published are ``row`` (attention_norm_idx 0)
            and ``col`` (1).
        loops: whether vertices attend to themselves; with ``constant`` the weight of the loops.
        add_source: whether there is b, which starts at 0.
        detach_source: no gradient through x(0) in the source, as in the published code.
        rate_sigmoid: whether a passes through a sigmoid.
        channel_rates: a and b for each channel.
        keep_attention: in training the entries of largest attention at x(0) alone, this fraction of
            all (published: hard attention, and the rewiring of GRAND-nl-rw).
        pagerank_neighbors: the graph is replaced by so many neighbours of largest personalised
            pagerank each (GRAND-nl-rw); None for the graph itself.
        teleport: of the pagerank.
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
        linear: bool = True,
        attention: str = "scaled_dot",
        heads: int = 4,
        attention_channels: int = 16,
        attention_init: str = "small",
        squash: str = "softmax",
        normalization: str = "row",
        loops: float = 1.0,
        add_source: bool = True,
        detach_source: bool = False,
        rate_sigmoid: bool = True,
        channel_rates: bool = False,
        keep_attention: float = 1.0,
        pagerank_neighbors: int | None = None,
        teleport: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(in_channels, hidden_channels, out_channels, num_layers, dropout, **options)
        check_normalization(normalization)
        if not 0 < keep_attention <= 1:
            raise ValueError(f"keep_attention must be in (0, 1], got {keep_attention}")
        if loops < 0:
            raise ValueError(f"loops must not be negative, got {loops}")
        self.linear, self.normalization, self.loops = linear, normalization, float(loops)
        self.detach_source, self.rate_sigmoid = detach_source, rate_sigmoid
        self.keep_attention = keep_attention
        self.pagerank_neighbors, self.teleport = pagerank_neighbors, teleport
        self.attentions = nn.ModuleList()
        if attention != "constant":
            for _ in range(num_layers):
                self.attentions.append(
                    DiffusionAttention(
                        self.state_channels, attention_channels, heads, score=attention,
                        squash=squash, normalization=normalization, init=attention_init,
                        **self.attention_options(),
                    )
                )  # fmt: skip
        elif not linear or pagerank_neighbors is not None:
            raise ValueError("attention='constant' has nothing to learn: it goes with linear=True")
        width = self.state_channels if channel_rates else 1
        self.rate = nn.Parameter(torch.zeros(num_layers, width))
        self.strength = nn.Parameter(torch.zeros(num_layers, width)) if add_source else None

    def attention_options(self) -> dict[str, Any]:
        """What a subclass wants of :class:`DiffusionAttention`."""
        return {}

    def reset_parameters(self) -> None:
        """Draw all parameters anew; rate and strength of the source 0 (before the sigmoid)."""
        nn.init.zeros_(self.rate)
        if self.strength is not None:
            nn.init.zeros_(self.strength)
        super().reset_parameters()

    def entries(self, complex: CellComplex, x: Tensor) -> Entries:
        """Where attention goes, at the start."""
        if self.pagerank_neighbors is None:
            return Entries.from_complex(complex, self.loops > 0)
        others = max(complex.num_cells(0) - 1, 0)
        k, teleport = min(self.pagerank_neighbors, others), self.teleport

        def make() -> Entries:
            graph = Entries.from_complex(complex, True)
            ones = torch.ones(graph.nnz, device=complex.device)
            walk = normalize(graph, ones, "row")
            return pagerank_rows(walk, graph, k, teleport=teleport)[0]

        return keep(complex, ("pagerank", k, teleport), make)

    def make_law(self, complex: CellComplex, x: Tensor) -> AttentionDiffusion:
        options = self.flow_options(x)
        if not self.attentions:
            matrix = adjacency(complex, x.dtype, normalization=self.normalization, loops=self.loops)
            return AttentionDiffusion.from_matrix(matrix, **options)
        entries = self.entries(complex, x)
        if self.keep_attention < 1 and self.training:
            with torch.no_grad():
                weight = self.attentions[0](x, entries)
            entries = keep_heaviest(entries, weight, self.keep_attention)
        return self.diffusion(complex, entries, x, options)

    def diffusion(
        self, complex: CellComplex, entries: Entries, x: Tensor, options: dict[str, Any]
    ) -> AttentionDiffusion:
        """The law with learnt attention."""
        if self.linear and self.num_layers == 1:
            return AttentionDiffusion(entries, self.attentions[0](x, entries), **options)
        return AttentionDiffusion(
            entries, self._weights(x, entries), autonomous=self._autonomous(), **options
        )

    def _autonomous(self) -> bool:
        """Of attention that is found on the way: the shift is a maximum over all graphs, which
        then may not stand at different times."""
        return self.num_layers == 1 and self.attentions[0].squash != "shifted_squareplus"

    def _weights(self, x: Tensor, entries: Entries) -> Any:
        """Attention as a function of (t, z, entries)."""
        if self.linear:
            return _WeightsOverTime([a(x, entries) for a in self.attentions], self.time)
        return _AttentionOverTime(Piecewise(list(self.attentions), self.time))

    def flow_options(self, x: Tensor) -> dict[str, Any]:
        """Rate, source and its strength, for :class:`topodiff.dynamics.AttentionDiffusion`."""
        rate = self.rate.sigmoid() if self.rate_sigmoid else self.rate
        options: dict[str, Any] = {"rate": self._over_time(rate)}
        if self.strength is not None:
            # the adjoint has to tell the source from what weights are made of
            source = x.view_as(x) if self.backward == "adjoint" else x
            options["source"] = x.detach() if self.detach_source and x.requires_grad else source
            options["strength"] = self._over_time(self.strength)
        return options

    def _over_time(self, values: Tensor) -> Tensor | Piecewise:
        return values[0] if self.num_layers == 1 else Piecewise(values, self.time)

    def extra_repr(self) -> str:
        return (
            f"{super().extra_repr()}, linear={self.linear}, normalization={self.normalization!r}, "
            f"loops={self.loops:g}, add_source={self.strength is not None}, "
            f"keep_attention={self.keep_attention:g}, "
            f"pagerank_neighbors={self.pagerank_neighbors}"
        )


class _WeightsOverTime:
    """Attention that was found at the start, as laws take it."""

    def __init__(self, weights: list[Tensor], end: float) -> None:
        self.weights = Piecewise(weights, end)

    def __call__(self, t: Tensor, z: Tensor, entries: Entries) -> Tensor:
        return self.weights(t)

    def parameters(self) -> Iterator[Tensor]:
        return iter(self.weights.values)


class _AttentionOverTime:
    """Attention that is found at every evaluation, as laws take it."""

    def __init__(self, modules: Piecewise) -> None:
        self.modules = modules

    def __call__(self, t: Tensor, z: Tensor, entries: Entries) -> Tensor:
        return self.modules(t)(z, entries)

    def product(self, t: Tensor, z: Tensor, entries: Entries) -> Tensor:
        return self.modules(t).product(z, entries)

    def parameters(self) -> Iterator[Tensor]:
        return chain.from_iterable(m.parameters() for m in self.modules.values)
