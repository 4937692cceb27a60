"""The Weisfeiler-Lehman tests: what no message passing on a complex can tell apart.

One test for all complexes: on a graph the classical one (WL), on cliques the simplicial one (SWL;
Bodnar et al., Weisfeiler and Lehman Go Topological, 2021), on rings the cellular one (CWL; Go
Cellular, 2021). Colours number classes of equal cells, they are no hashes: the answer is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.complexes.colours import Colours, colour_rows, refine
from topodiff.complexes.integers import whole_number
from topodiff.nn.features import check_finite


def colour_refinement(complex: CellComplex, rounds: int | None = None) -> list[Tensor]:
    """Colours (n_r,) of the cells of every rank r; comparable within a rank, across a whole union.

    A cell starts with its features ``x[r]``, where there are such (to leave them out,
    ``complex.replace(x={})``). In every round

        c_i <- (c_i, {{c_f: faces f of i}}, {{(c_d, {{c_j: faces j of d}}): cofaces d of i}}),

    where ``{{}}`` counts how often. Colours that faces of a common coface have travel together with
    it, so a round sees what the published one sees, or more; once nothing changes, both are the
    same. Of lower neighbours the published test needs none either.

    Args:
        complex: single or batched.
        rounds: how many; by default until nothing changes.

    Raises:
        ValueError: for ``rounds`` that is no whole number >= 0; features that are not finite.
    """
    steps: Iterable[int] = count() if rounds is None else range(whole_number("rounds", rounds, 0))
    colours = [_start(complex, r) for r in range(complex.rank + 1)]
    for _ in steps:
        finer = refine(complex, colours)
        if [len(c.first) for c in finer] == [len(c.first) for c in colours]:
            break
        colours = finer
    return [c.of for c in colours]


def weisfeiler_lehman(complex: CellComplex, rounds: int | None = None) -> Tensor:
    """(B,) one number per complex of a union, the same for those that the test does not tell apart:
    they have every colour of :func:`colour_refinement` equally often.

    Isomorphic complexes with the same features have the same number. ``K.skeleton(1)`` asks the
    test for graphs.

    Args, Raises:
        as for :func:`colour_refinement`.
    """
    number = torch.zeros(complex.num_complexes, dtype=torch.long, device=complex.device)
    for of, ptr in zip(colour_refinement(complex, rounds), complex.ptr, strict=True):
        cells = torch.arange(len(of), device=of.device)
        number, _ = kernels.refine_colours(number, ptr, cells, of)
    return number


def _start(complex: CellComplex, rank: int) -> Colours:
    """Equal features, equal colours."""
    x = complex.x.get(rank)
    if x is None or not len(x):
        return colour_rows(complex.ptr[rank].new_zeros(complex.num_cells(rank)))
    x = x.detach().reshape(len(x), -1)
    check_finite(x)
    return colour_rows(torch.unique(x, dim=0, return_inverse=True)[1])
