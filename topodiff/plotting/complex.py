"""A complex with its 2-cells, and a cochain on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.cells import cell_vertices
from topodiff.plotting.extra import matplotlib, new_figure
from topodiff.plotting.layout import layout

Limits = tuple[float, float]
_ARROW = 0.6  # of the length of its edge
_CELL = "#f3e3c3"


def draw_complex(
    complex: CellComplex,
    cochain: Tensor | None = None,
    rank: int = 0,
    *,
    positions: Tensor | None = None,
    seed: int = 0,
    limits: Limits | None = None,
    title: str = "",
) -> Any:
    """A complex with filled 2-cells, and a cochain as colours.

    A cochain on vertices or 2-cells colours these. One on edges is drawn as arrows: along the
    orientation of the edge (from its vertex of lower number) where it is positive, against it where
    it is negative, coloured by its absolute value. Cells of rank 3 and more are not seen.

    Args:
        complex: of any rank.
        cochain: (n_rank,) or (n_rank, 1).
        rank: 0, 1 or 2.
        positions: (n_0, dim), otherwise as for :func:`layout`.
        seed: of the layout.
        limits: of the colours; by default the extreme values, symmetric to 0 if they have both
            signs.
        title: above.

    Returns:
        A ``matplotlib.figure.Figure``.

    Raises:
        ValueError: for a rank that the complex does not have, a cochain or positions of the wrong
            shape, or values that are not finite.
        ImportError: without matplotlib.
    """
    values = None if cochain is None else cochain_values(complex, cochain, rank)
    figure = new_figure(5.5, 4.5)
    axes = figure.add_subplot()
    drawn = Drawing(axes, complex, layout(complex, positions, seed), rank, values, limits)
    axes.set_title(title)
    if drawn.artist is not None:
        figure.colorbar(drawn.artist, ax=axes, shrink=0.8)
    return figure


def cochain_values(complex: CellComplex, cochain: Tensor, rank: int) -> np.ndarray:
    """(n_rank,) numbers of a cochain, after checks."""
    if rank not in (0, 1, 2) or rank > complex.rank:
        raise ValueError(
            f"cochains are drawn on cells of rank 0 to {min(complex.rank, 2)} of this complex, got "
            f"rank {rank}"
        )
    cochain, n = torch.as_tensor(cochain), complex.num_cells(rank)
    if tuple(cochain.shape) not in ((n,), (n, 1)):
        raise ValueError(
            f"a cochain of rank {rank} with one channel has shape ({n},), got "
            f"{tuple(cochain.shape)}: choose a channel, cochain[:, 0]"
        )
    values = cochain.detach().double().cpu().numpy().reshape(n)
    if not np.isfinite(values).all():
        raise ValueError("the cochain must be finite")
    return values


def limits_of(values: np.ndarray, rank: int) -> Limits:
    """Colour limits for values: (0, largest) for edges, whose sign is the direction of the
    arrow."""
    if values.size == 0:
        return 0.0, 1.0
    if rank == 1:
        return 0.0, float(np.abs(values).max()) or 1.0
    low, high = float(values.min()), float(values.max())
    if low < 0 < high:
        high = max(-low, high)
        low = -high
    return (low, high) if low < high else (low - 0.5, high + 0.5)


class Drawing:
    """A complex on axes, and a cochain that can change.

    Attributes:
        artist: what carries the colours, None without a cochain.
    """

    def __init__(
        self,
        axes: Any,
        complex: CellComplex,
        places: np.ndarray,
        rank: int = 0,
        values: np.ndarray | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.rank, self.places = rank, places
        self.edges = complex.edge_index.cpu().numpy()
        self.artist: Any = None
        self._draw_cells(axes, complex, rank if values is not None else None)
        if values is not None:
            if rank == 1:
                self.artist = self._arrows(axes, values)
            low, high = limits or limits_of(values, rank)
            self.artist.set_clim(low, high)
            self.artist.set_cmap("coolwarm" if low < 0 < high else "viridis")
            self.set(values)
        axes.set_aspect("equal")
        axes.margins(0.08)
        axes.set_axis_off()

    def set(self, values: np.ndarray) -> None:
        """Another cochain, in the colours of the first."""
        if self.rank == 1:
            self.artist.set_UVC(*self._directions(values).T, np.abs(values))
        else:
            self.artist.set_array(values)

    def _draw_cells(self, axes: Any, complex: CellComplex, coloured: int | None) -> None:
        """2-cells, edges and vertices; the coloured ones become the artist."""
        collections = matplotlib("collections")
        if complex.rank >= 2:
            ptr, vertex = (t.cpu().numpy() for t in cell_vertices(complex, 2))
            shapes = [self.places[cycle] for cycle in np.split(vertex, ptr[1:-1])]
            cells = collections.PolyCollection(shapes, facecolors=_CELL, zorder=1)
            axes.add_collection(cells)
            if coloured == 2:
                cells.set_facecolor(None)
                self.artist = cells
        segments = self.places[self.edges].transpose(1, 0, 2)
        width = 0.8 if coloured == 1 else 1.2
        axes.add_collection(
            collections.LineCollection(segments, colors="0.6", linewidths=width, zorder=2)
        )
        big = coloured == 0
        dots = axes.scatter(
            *self.places.T, s=60 if big else 12, color="0.25", zorder=4 if big else 3
        )
        if big:
            dots.set_facecolor(None)
            dots.set_edgecolor("0.25")
            self.artist = dots

    def _directions(self, values: np.ndarray) -> np.ndarray:
        """(n_1, 2) arrows."""
        along = self.places[self.edges[1]] - self.places[self.edges[0]]
        return _ARROW * np.sign(values)[:, None] * along

    def _arrows(self, axes: Any, values: np.ndarray) -> Any:
        middle = self.places[self.edges].mean(0)
        return axes.quiver(
            *middle.T, *self._directions(values).T, np.abs(values), pivot="mid", angles="xy",
            scale_units="xy", scale=1, width=0.008, zorder=4,
        )  # fmt: skip
