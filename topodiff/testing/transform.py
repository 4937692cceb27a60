"""The symmetries of a complex: other vertex numbers, other orientations."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.complexes import CellComplex, batch
from topodiff.complexes.renumber import Renumbered
from topodiff.complexes.renumber import renumber as renumber_by


def renumber(complex: CellComplex, seed: int, *, oriented: bool = False) -> Renumbered:
    """Number the vertices of every complex of a union anew, at random.

    All data moves along with its cells.

    Args:
        complex: single or batched.
        seed: of the permutations.
        oriented: data on cells of rank 1 and above changes sign with the orientation of its cell.
    """
    generator = torch.Generator().manual_seed(seed)
    if complex._ptr is None:
        return _renumber_one(complex, generator, oriented)
    parts = [_renumber_one(part, generator, oriented) for part in complex]
    order, flip = [], []
    for r, ptr in enumerate(complex.ptr):
        starts = zip(parts, ptr.tolist(), strict=False)
        has_rank = [(p, start) for p, start in starts if p.complex.rank >= r]
        order.append(torch.cat([p.order[r] + start for p, start in has_rank]))
        flip.append(torch.cat([p.flip[r] for p, _ in has_rank]))
    return Renumbered(batch([p.complex for p in parts]), order, flip)


def _renumber_one(complex: CellComplex, generator: torch.Generator, oriented: bool) -> Renumbered:
    order = torch.randperm(complex.num_cells(0), generator=generator)
    return renumber_by(complex, order, oriented=oriented)


def reorient(complex: CellComplex, seed: int) -> tuple[CellComplex, list[Tensor]]:
    """Turn cells of rank 1 and above around, at random, and their ``x`` with them.

    ``B_r`` becomes ``D_{r-1} B_r D_r`` and ``x[r]`` becomes ``D_r x[r]`` with diagonal signs D. The
    result is sound but not canonical.

    Returns:
        the complex, and per rank the diagonal (n_r,) of D.
    """
    generator = torch.Generator().manual_seed(seed)
    flip = [
        1 - 2 * torch.randint(2 if r else 1, (n,), generator=generator)
        for r, n in enumerate(complex.shape)
    ]
    boundaries = []
    for r in range(1, complex.rank + 1):
        face, cell = index = complex.boundary_index(r)
        boundaries.append((index, complex.boundary_sign(r) * flip[r - 1][face] * flip[r][cell]))
    turned = CellComplex(
        complex.shape,
        boundaries,
        ptr=complex._ptr,
        ranks=complex._ranks,
        x={r: _times(flip[r], t) for r, t in complex.x.items()},
        weights=complex.weights,
        labels=complex.labels,
        positions=complex.positions,
        y=complex.y,
    )
    return turned, flip


def _times(sign: Tensor, values: Tensor) -> Tensor:
    return values * sign.to(values.dtype).reshape(-1, *[1] * (values.dim() - 1))
