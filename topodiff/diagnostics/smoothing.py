"""Oversmoothing: how alike neighbours become with depth or time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.dynamics import Energy
from topodiff.dynamics.scores import unit


@torch.no_grad()
def energies_along(energies: Mapping[str, Energy], states: Iterable[Tensor]) -> dict[str, Tensor]:
    """Every energy at every state: name -> (states,).

    Args:
        energies: by name.
        states: those of a solution (``Solution.x`` with ``save_at``), or of the layers of a model.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in energies}
    for x in states:
        for name, energy in energies.items():
            found[name].append(energy.value(x))
    return {
        name: torch.stack(values) if values else torch.zeros(0) for name, values in found.items()
    }


def decay_rate(energies: Tensor | Sequence[float], times: Tensor | Sequence[float]) -> float:
    """c of the least-squares fit ``log E = a - c t``: positive where a state is smoothed
    exponentially, which is oversmoothing as Rusch et al. define it (GraphCON, 2022, definition
    3.2); for the heat flow it ends at twice the spectral gap.

    Energies that are 0, or so small beside the largest that they are rounding in their dtype, are
    left out.

    Raises:
        ValueError: fewer than two energies are left, they are not as many as the times, or these
            are not finite.
    """
    e, t = _vector(energies), _vector(times).double()
    # of squares rounding leaves eps^2 of the largest, and somewhat more where states have a mean
    cut = torch.finfo(e.dtype if e.is_floating_point() else torch.float64).eps ** 1.5
    e = e.double()
    if e.shape != t.shape or e.dim() != 1:
        raise ValueError(
            f"energies and times must be as many, got shapes {tuple(e.shape)} and {tuple(t.shape)}"
        )
    if not bool(t.isfinite().all()):
        raise ValueError("times must be finite")
    kept = e.isfinite() & (e > cut * e.nan_to_num(0.0).max().clamp(min=0)) if len(e) else e > 0
    e, t = e[kept].log(), t[kept]
    if len(e) < 2 or float(t.var()) == 0:
        raise ValueError(
            f"a rate needs positive energies at two times at least, got {len(e)} of {len(kept)}"
        )
    t = t - t.mean()
    return -float((t * e).sum() / t.square().sum())


def _vector(values: Tensor | Sequence[float]) -> Tensor:
    """As a tensor; numbers of Python keep their precision."""
    return torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values)).detach()


def mean_average_distance(complex: CellComplex, x: Tensor) -> Tensor:
    """MAD: the mean over vertices with neighbours of the mean over the neighbours j at a distance
    ``1 - cos(x_i, x_j)`` other than 0, as in the published code (Chen et al., Measuring and
    relieving the over-smoothing problem, AAAI 2020): 0 where all neighbours point the same way, at
    most 2. A vector of zeros is at distance 1 from all others; what rounding makes of 0 is 0.

    Args:
        complex: the graph.
        x: (n_0, channels).
    """
    n = complex.num_cells(0)
    if x.dim() != 2 or x.shape[0] != n:
        raise ValueError(f"x must have shape ({n}, channels), got {tuple(x.shape)}")
    if complex.num_cells(1) == 0:
        return x.new_zeros(())
    tail, head = complex.edge_index
    direction = unit(x)
    distance = 1 - (kernels.gather(direction, tail) * kernels.gather(direction, head)).sum(1)
    distance = torch.where(distance > 4 * torch.finfo(x.dtype).eps, distance, 0.0)
    incidence = complex.incidence(1)
    at_faces = torch.stack([distance, (distance > 0).to(x.dtype)], 1).repeat_interleave(2, 0)
    sums = kernels.gather_reduce(at_faces, incidence.by_face, incidence.face_ptr)
    total, count = sums[incidence.face_ptr.diff() > 0].unbind(1)
    return (total / count.clamp(min=1)).mean()
