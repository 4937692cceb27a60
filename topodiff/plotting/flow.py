"""A flow in time: as frames side by side, and as an animation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from topodiff.complexes import CellComplex
from topodiff.plotting.complex import Drawing, Limits, cochain_values, limits_of
from topodiff.plotting.extra import matplotlib, new_figure
from topodiff.plotting.layout import layout
from topodiff.solvers import Solution


def draw_flow(
    complex: CellComplex,
    solution: Solution,
    rank: int = 0,
    *,
    channel: int = 0,
    num_frames: int = 8,
    columns: int = 4,
    positions: torch.Tensor | None = None,
    seed: int = 0,
    limits: Limits | None = None,
) -> Any:
    """States of a solution as panels of one figure, in the same colours.

    Args:
        complex: on which the flow was.
        solution: with states at several times: ``td.diffuse(..., save_at=times)``.
        rank: of the cells that carry the state.
        channel: which of the numbers on each cell, stalk and channels flattened.
        num_frames: so many of the times, evenly chosen, the first and the last among them.
        columns: of panels.
        positions, seed, limits: as for :func:`draw_complex`; limits are those of all frames.

    Returns:
        A ``matplotlib.figure.Figure``.

    Raises:
        ValueError: for a solution at one time alone, or that does not fit the complex.
        ImportError: without matplotlib.
    """
    if num_frames < 1 or columns < 1:
        raise ValueError(f"num_frames and columns are at least 1, got {num_frames} and {columns}")
    times, values = _frames(complex, solution, rank, channel)
    even = np.linspace(0, len(times) - 1, min(num_frames, len(times)))
    chosen = np.unique(even.round().astype(int))
    places = layout(complex, positions, seed)
    limits = limits or limits_of(values, rank)
    columns = min(columns, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(2.6 * columns + 0.8, 2.4 * rows)
    panels = []
    for number, k in enumerate(chosen):
        axes = figure.add_subplot(rows, columns, number + 1)
        drawn = Drawing(axes, complex, places, rank, values[k], limits)
        axes.set_title(f"t = {times[k]:.3g}")
        panels.append(axes)
    figure.colorbar(drawn.artist, ax=panels, shrink=0.8)
    return figure


def animate_flow(
    complex: CellComplex,
    solution: Solution,
    rank: int = 0,
    *,
    channel: int = 0,
    interval: float = 80.0,
    positions: torch.Tensor | None = None,
    seed: int = 0,
    limits: Limits | None = None,
) -> Any:
    """All states of a solution one after another.

    Args:
        interval: milliseconds between frames.
        complex, solution, rank, channel, positions, seed, limits: as for :func:`draw_flow`.

    Returns:
        A ``matplotlib.animation.FuncAnimation``; keep it, and save it by
        ``animation.save("flow.gif", writer="pillow")``, or show ``animation.to_jshtml()``.

    Raises:
        ValueError, ImportError: as :func:`draw_flow`.
    """
    times, values = _frames(complex, solution, rank, channel)
    places = layout(complex, positions, seed)
    limits = limits or limits_of(values, rank)
    figure = new_figure(5.5, 4.5)
    axes = figure.add_subplot()
    drawn = Drawing(axes, complex, places, rank, values[0], limits)
    title = axes.set_title("")
    figure.colorbar(drawn.artist, ax=axes, shrink=0.8)

    def show(k: int) -> tuple[Any, ...]:
        drawn.set(values[k])
        title.set_text(f"t = {times[k]:.3g}")
        return drawn.artist, title

    animation = matplotlib("animation")
    return animation.FuncAnimation(figure, show, frames=len(times), interval=interval)


def _frames(
    complex: CellComplex, solution: Solution, rank: int, channel: int
) -> tuple[np.ndarray, np.ndarray]:
    """(times,) and (times, n_rank) of a solution."""
    times = torch.as_tensor(solution.ts).detach().double().cpu().reshape(-1).numpy()
    states = solution.x
    if torch.as_tensor(solution.ts).dim() == 0:
        raise ValueError("the solution has one state alone: ask diffuse for more, save_at=times")
    if len(times) == 0:
        raise ValueError(f"the solution has no states: its status is {solution.status!r}")
    flat = states.reshape(*states.shape[:2], states.shape[2:].numel())
    if not -flat.shape[2] <= channel < flat.shape[2]:
        raise ValueError(f"channel must be one of 0 to {flat.shape[2] - 1}, got {channel}")
    rows = [cochain_values(complex, state[:, channel], rank) for state in flat]
    return times, np.stack(rows)
