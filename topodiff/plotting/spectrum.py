"""Spectra of operators, one over the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from topodiff.plotting.extra import new_figure


def draw_spectrum(spectra: Mapping[str, Tensor], bins: int = 40) -> Any:
    """Eigenvalues in rising order, and their density, for example before and after training;
    complex ones in the plane, and the density of their real parts.

    Args:
        spectra: name -> (k,) eigenvalues, as ``topodiff.operators.eigenvalues`` gives them.
        bins: of the histograms, which all share.

    Returns:
        A ``matplotlib.figure.Figure``.

    Raises:
        ValueError: for no spectra, empty ones, more than one dimension, or values not finite.
        ImportError: without matplotlib.
    """
    values = {}
    for name, given in spectra.items():
        found = np.sort(torch.as_tensor(given).detach().cpu().numpy())
        if found.ndim != 1 or found.size == 0 or not np.isfinite(found).all():
            raise ValueError(
                f"a spectrum is a vector of finite eigenvalues, got shape {found.shape} for "
                f"{name!r}"
            )
        values[name] = found
    if not values:
        raise ValueError("give one spectrum at least: {name: eigenvalues}")
    low = min(float(v[0].real) for v in values.values())
    high = max(float(v[-1].real) for v in values.values())
    edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    figure = new_figure(8.5, 3.6)
    left, right = figure.subplots(1, 2)
    plane = any(map(np.iscomplexobj, values.values()))
    for name, found in values.items():
        points = (found.real, found.imag, ".") if plane else (np.arange(len(found)), found, ".-")
        (line,) = left.plot(*points, label=name)
        right.hist(found.real, edges, density=True, alpha=0.5, color=line.get_color(), label=name)
    shown = ("real part", "imaginary part") if plane else ("number", "eigenvalue")
    left.set(xlabel=shown[0], ylabel=shown[1])
    right.set(xlabel=shown[0] if plane else "eigenvalue", ylabel="density")
    left.legend()
    return figure
