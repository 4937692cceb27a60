"""Measured against predicted values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from topodiff.plotting.extra import new_figure


def parity_plot(names: Sequence[str], predicted: Tensor, measured: Tensor, spread: Tensor) -> Any:
    """Measured against predicted values, one panel per column.

    Args:
        names: of the columns.
        predicted, measured: (n, columns); rows with a NaN are left out.
        spread: (n, columns) drawn as error bars where it is a number.

    Returns:
        A ``matplotlib.figure.Figure``.

    Raises:
        ValueError: for values that are not (n, columns).
        ImportError: without matplotlib.
    """
    values = [torch.as_tensor(v).detach().double().cpu() for v in (predicted, measured, spread)]
    shape = (len(values[0]), len(names))
    if any(v.shape != shape for v in values):
        raise ValueError(
            f"predicted, measured and spread must be (n, {len(names)}), one column for each name; "
            f"got {', '.join(str(tuple(v.shape)) for v in values)}"
        )
    figure = new_figure(4.2 * len(names), 4.2)
    for k, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), k + 1)
        _draw_column(axes, *(v[:, k] for v in values))
        axes.set_aspect("equal")
        # names come from files: a $ in them is no mathematics
        axes.set_xlabel(f"{name}, measured", parse_math=False)
        axes.set_ylabel(f"{name}, predicted", parse_math=False)
    return figure


def _draw_column(axes: Any, predicted: Tensor, measured: Tensor, spread: Tensor) -> None:
    """The rows with a value of both, and the diagonal; nothing where there are none."""
    known = measured.isfinite() & predicted.isfinite()
    if not bool(known.any()):
        return
    x, y = measured[known], predicted[known]
    both = torch.stack([x, y])
    ends = [float(both.min()), float(both.max())]
    axes.plot(ends, ends, color="0.6", linewidth=1)
    bar = spread[known].nan_to_num(0.0)
    axes.errorbar(x, y, bar, fmt="o", markersize=3, linewidth=0.8, alpha=0.7)
