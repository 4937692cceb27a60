"""Simplex trees of gudhi."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from topodiff.complexes.build import from_simplices
from topodiff.complexes.cells import cell_vertices
from topodiff.complexes.complex import CellComplex
from topodiff.complexes.homology import is_simplicial

if TYPE_CHECKING:
    import gudhi


def from_gudhi(tree: gudhi.SimplexTree, *, filtration: bool = False) -> CellComplex:
    """The simplices of a tree as a complex. Vertices are numbered in the order of their names.

    Args:
        tree: a ``gudhi.SimplexTree``.
        filtration: keep the filtration values as cochains ``x[r]`` (n_r, 1), in torch's default
            dtype.

    Raises:
        TypeError: for anything but a simplex tree.
    """
    import gudhi

    if not isinstance(tree, gudhi.SimplexTree):
        raise TypeError(f"from_gudhi() takes a gudhi.SimplexTree, got {type(tree).__name__}")
    found: dict[int, list[tuple[list[int], float]]] = {}
    for simplex, value in tree.get_simplices():
        found.setdefault(len(simplex) - 1, []).append((simplex, value))
    names = sorted(simplex[0] for simplex, _ in found.get(0, []))
    rows, values = {}, {}
    for rank, pairs in found.items():
        # gudhi sorts vertices by name, so sorted pairs stand in canonical order
        pairs.sort()
        rows[rank] = torch.from_numpy(np.searchsorted(names, [simplex for simplex, _ in pairs]))
        values[rank] = torch.tensor([[value] for _, value in pairs])
    x = values if filtration else None
    return from_simplices(rows, num_vertices=len(names), x=x)


def to_gudhi(
    complex: CellComplex, *, filtration: Mapping[int, Tensor] | None = None
) -> gudhi.SimplexTree:
    """A simplicial complex (any union of them) as a simplex tree.

    Args:
        complex: every r-cell has r + 1 vertices.
        filtration: rank -> (n_r,) or (n_r, 1) values; for ranks left out, and all by default, 0. A
            coface with a smaller value than its face is raised to it, so values of vertices alone,
            if positive, give the lower-star filtration.

    Raises:
        ValueError: where a cell is not a simplex, or a filtration has a rank that the complex has
            not, or the wrong length.
    """
    import gudhi

    if not is_simplicial(complex):
        raise ValueError("a gudhi tree holds simplices, but the complex has other cells")
    given = dict(filtration or {})
    if unknown := given.keys() - range(complex.rank + 1):
        raise ValueError(f"the complex has ranks 0 to {complex.rank}, filtration has {unknown}")
    tree, values = gudhi.SimplexTree(), torch.zeros(0)
    for r, count in enumerate(complex.shape):
        own = torch.as_tensor(given.get(r, torch.zeros(count))).detach().cpu().double().flatten()
        if own.numel() != count:
            raise ValueError(f"filtration[{r}] has {own.numel()} values for {count} {r}-cells")
        if r:  # here, as gudhi would lower the faces instead
            face, cell = complex.boundary_index(r).cpu()
            own = own.scatter_reduce(0, cell, values[face], "amax")
        values = own
        if count:
            rows = cell_vertices(complex, r).index.reshape(-1, r + 1)
            tree.insert_batch(rows.T.cpu().numpy(), values.numpy())
    return tree
