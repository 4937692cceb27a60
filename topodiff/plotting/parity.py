"""Measured against predicted values."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from topodiff.plotting.extra import new_figure
from topodiff.training.files import write_bytes


def parity_plot(
    path: str | Path, names: Sequence[str], predicted: Tensor, measured: Tensor, spread: Tensor
) -> None:
    """Measured against predicted values, one panel per column, written atomically as PNG.

    Args:
        path: of the picture.
        names: of the columns.
        predicted, measured: (n, columns); rows with a NaN are left out.
        spread: (n, columns) drawn as error bars where it is a number.
    """
    figure = new_figure(4.2 * len(names), 4.2)
    for k, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), k + 1)
        known = measured[:, k].isfinite() & predicted[:, k].isfinite()
        x, y, bar = measured[known, k], predicted[known, k], spread[known, k].nan_to_num(0.0)
        both = [min(x.min().item(), y.min().item()), max(x.max().item(), y.max().item())]
        axes.plot(both, both, color="0.6", linewidth=1)
        axes.errorbar(x, y, bar, fmt="o", markersize=3, linewidth=0.8, alpha=0.7)
        axes.set(xlabel=f"{name}, measured", ylabel=f"{name}, predicted", aspect="equal")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_bytes(path, picture.getvalue())
