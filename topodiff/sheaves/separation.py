"""Whether sheaf diffusion separates classes of vertices in the limit of infinite time.

``x' = -L x`` takes x0 to its projection onto the global sections. A sheaf separates the classes
if, for almost every x0, each class then has a hyperplane in the stalk that parts it from all
others (Bodnar et al., Neural Sheaf Diffusion, NeurIPS 2022, definition 7 and propositions 8 to 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from topodiff.complexes.integers import whole_number, whole_numbers

if TYPE_CHECKING:
    from topodiff.sheaves.sheaf import CellularSheaf

_MARGIN = 1e-6
Labels = Tensor | np.ndarray | Sequence[int]


def separates(sheaf: CellularSheaf, labels: Labels, trials: int = 3, seed: int = 0) -> bool:
    """Whether the limits of ``trials`` random states are linearly separable by class.

    Args:
        sheaf: on a connected graph; its limits are projections onto ``sheaf.global_sections()``.
        labels: (n_0,) integers, the class of each vertex: a tensor, an array or a list.
        trials: random normal states with one channel; all must be separable.
        seed: of the random states.

    Raises:
        TypeError, ValueError: for labels that are no integers or of another shape.
    """
    return all(all(kept) for kept in _separated(sheaf, labels, trials, seed))


def separation_power(
    sheaf: CellularSheaf, labels: Labels, trials: int = 3, seed: int = 0
) -> dict[int, float]:
    """For each class the share of the trials whose limit has a hyperplane that parts it from the
    others; arguments as for :func:`separates`, which holds if all shares are 1."""
    found = list(zip(*_separated(sheaf, labels, trials, seed), strict=True))
    return {
        int(label): sum(kept) / len(kept)
        for label, kept in zip(whole_numbers("labels", labels).unique(), found, strict=True)
    }


def _separated(
    sheaf: CellularSheaf, labels: Labels, trials: int, seed: int
) -> Iterator[tuple[bool, ...]]:
    """For each trial: is each class separable in the limit?"""
    labels = whole_numbers("labels", labels)
    if labels.shape != (sheaf.complex.shape[0],):
        raise ValueError(
            f"labels must have shape ({sheaf.complex.shape[0]},), one for each vertex; "
            f"got {tuple(labels.shape)}"
        )
    whole_number("trials", trials, 1)
    basis = sheaf.global_sections().double().cpu()
    generator = torch.Generator().manual_seed(seed)
    for _ in range(trials):
        weights = torch.randn(basis.shape[-1], generator=generator, dtype=basis.dtype)
        limit = (basis @ weights).numpy()
        yield tuple(_separable(limit, (labels == c).cpu().numpy()) for c in labels.unique())


def _separable(points: np.ndarray, inside: np.ndarray) -> bool:
    """Is there (a, b) with a . p + b >= 1 inside and <= -1 outside, at a margin above rounding?"""
    if inside.all():
        return True
    scale = np.abs(points).max()
    if scale < _MARGIN:
        return False
    sign = np.where(inside, 1.0, -1.0)
    rows = -sign[:, None] * np.column_stack([points / scale, np.ones(len(points))])
    bounds = [(-1 / _MARGIN, 1 / _MARGIN)] * rows.shape[1]
    found = linprog(np.zeros(rows.shape[1]), rows, -np.ones(len(rows)), bounds=bounds)
    return bool(found.status == 0)
