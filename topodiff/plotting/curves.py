"""Energies along a flow or over the layers of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from topodiff.plotting.extra import new_figure


def draw_energies(
    energies: Mapping[str, Tensor | Sequence[float]],
    times: Tensor | Sequence[float],
    *,
    logarithmic: bool = True,
    xlabel: str = "time",
) -> Any:
    """One line for each energy, as ``topodiff.diagnostics.energies_along`` gives them.

    Args:
        energies: name -> (times,).
        times: of a solution, or numbers of layers.
        logarithmic: the scale of energies, on which exponential decay is a straight line; what is
            not positive is left out.
        xlabel: what the times are.

    Returns:
        A ``matplotlib.figure.Figure``.

    Raises:
        ValueError: for energies that are not as many as the times.
        ImportError: without matplotlib.
    """
    t = torch.as_tensor(times).detach().double().cpu().reshape(-1)
    figure = new_figure(5.5, 3.8)
    axes = figure.add_subplot()
    for name, values in energies.items():
        e = torch.as_tensor(values).detach().double().cpu()
        if e.shape != t.shape:
            raise ValueError(
                f"energies must be as many as the {len(t)} times, got {tuple(e.shape)} for {name!r}"
            )
        shown = e > 0 if logarithmic else e.isfinite()
        axes.plot(t[shown], e[shown], marker=".", label=name)
    axes.set(xlabel=xlabel, ylabel="energy", yscale="log" if logarithmic else "linear")
    if energies:
        axes.legend()
    return figure
