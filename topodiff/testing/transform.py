"""The symmetries of a complex: other vertex numbers, other orientations."""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.complexes import CanonicalForm, CellComplex, batch
from topodiff.complexes.permute import permute_vertices
from topodiff.complexes.storage import from_tensors, to_tensors


def renumber(complex: CellComplex, seed: int, *, oriented: bool = False) -> CanonicalForm:
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
    if len(complex) == 0:
        nothing = [torch.zeros(0, dtype=torch.long)] * (complex.rank + 1)
        return CanonicalForm(complex, nothing, nothing)
    # parts with all ranks of the union, so that none is lost where no part has cells of it
    parts = [_renumber_one(complex.select([i]), generator, oriented) for i in range(len(complex))]
    order, flip = [], []
    for r, ptr in enumerate(complex.ptr):
        starts = zip(parts, ptr.tolist(), strict=False)
        order.append(torch.cat([p.order[r] + start for p, start in starts]))
        flip.append(torch.cat([p.flip[r] for p in parts]))
    moved = batch([p.complex for p in parts])
    tensors = {**to_tensors(moved), "ranks": complex.ranks}
    return CanonicalForm(from_tensors(moved.shape, tensors), order, flip)


def _renumber_one(
    complex: CellComplex, generator: torch.Generator, oriented: bool
) -> CanonicalForm:
    order = torch.randperm(complex.num_cells(0), generator=generator)
    return permute_vertices(complex, order, oriented=oriented)


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
