"""Colour refinement on complexes: which cells no message passing can tell apart.

The cellular Weisfeiler-Lehman test (Bodnar et al., Weisfeiler and Lehman Go Cellular, 2021), with
exact colours instead of hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes.complex import CellComplex


class Colours(NamedTuple):
    """Colours 0, 1, ... of the cells of one rank, ``of`` (cells,), ``first`` a cell of each."""

    of: Tensor
    first: Tensor


def colour_rows(x: Tensor) -> Colours:
    """Equal rows of integers, (cells, columns) or (cells,), have the same colour."""
    x = (x.unsqueeze(1) if x.dim() == 1 else x).long()
    alone, nobody = x.new_zeros(len(x) + 1), x.new_zeros(0)
    own = x[:, 0] if x.shape[1] else alone[1:]
    colours = Colours(*kernels.refine_colours(own, alone, nobody, nobody))
    for column in x[:, 1:].unbind(1):
        colours = colour_pairs(colours.of, column)
    return colours


def colour_pairs(a: Tensor, b: Tensor) -> Colours:
    """Cells have the same colour where they agree in both arguments (cells,)."""
    itself = torch.arange(len(a) + 1, device=a.device)
    return Colours(*kernels.refine_colours(a, itself, itself[:-1], b))


def colour_boundaries(K: CellComplex, rank: int, own: Tensor | None, below: Tensor) -> Colours:
    """By the colour of a cell itself, where it has one, and the colours of its faces."""
    inc = K.incidence(rank)
    own = inc.cell.new_zeros(inc.num_cells) if own is None else own
    return Colours(*kernels.refine_colours(own, inc.cell_ptr, inc.face, below))


def refine(K: CellComplex, colours: Sequence[Colours]) -> list[Colours]:
    """One round: equal where cells agree themselves, in their faces, and in the colours that
    their cofaces have together with the faces of these. Ranks 0, 1, ... as many as are given.
    """
    found = [colours[0]]
    for r in range(1, len(colours)):
        found.append(colour_boundaries(K, r, colours[r].of, colours[r - 1].of))
    for r in range(len(colours) - 1):
        inc = K.incidence(r + 1)
        above = found[r + 1].of
        found[r] = Colours(
            *kernels.refine_colours(found[r].of, inc.face_ptr, inc.cell_by_face, above)
        )
    return found
