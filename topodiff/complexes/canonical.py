"""Canonical order and orientation of cells.

Two complexes with the same vertices and the same cells become equal, whatever the order and
orientation in which their cells were given: rank by rank, cells are oriented so that their first
face carries the sign (-1)^r (for simplices the usual convention) and sorted by vertex tuple.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from topodiff.complexes import cells
from topodiff.complexes.complex import CellComplex
from topodiff.complexes.incidence import Incidence
from topodiff.complexes.integers import whole_numbers
from topodiff.complexes.validation import (
    check_boundary_of_boundary,
    check_counts,
    check_incidence,
    check_no_parallel_edges,
)


class CanonicalForm(NamedTuple):
    """``complex``, and per rank how its cells arose: cell k is ``flip[r][k]`` times the cell
    ``order[r][k]`` of before."""

    complex: CellComplex
    order: list[Tensor]
    flip: list[Tensor]


def canonical_form(
    shape: Sequence[int], boundaries: Mapping[int, tuple[Tensor, Tensor]]
) -> CanonicalForm:
    """Check signed boundaries given in any order and put their cells into canonical order.

    Args:
        shape: (n_0, ..., n_R).
        boundaries: for every rank r = 1..R the pair (index (2, nnz) [face, cell], sign (nnz,)).

    Raises:
        ValueError: naming rank and entry, where an index is out of range, a sign is not +-1, an
            entry occurs twice, an edge has not two ends, two edges have the same, or the boundary
            of a boundary is not 0.
        TypeError: where indices or signs are not whole numbers.
    """
    shape = check_counts(shape)
    if set(boundaries) != set(range(1, len(shape))):
        raise ValueError(
            f"shape {shape} needs boundaries of ranks {list(range(1, len(shape)))}, "
            f"got {sorted(boundaries)}"
        )
    order, flip = [torch.arange(shape[0])], [torch.ones(shape[0], dtype=torch.long)]
    result: list[tuple[Tensor, Tensor]] = []
    for r in range(1, len(shape)):
        given = (whole_numbers(f"boundaries of rank {r}", t) for t in boundaries[r])
        index, sign = (t.cpu() for t in given)
        check_incidence(index, sign, r, shape[r - 1], shape[r])
        incidence = _renumber_faces(index, sign, order[-1], flip[-1], shape[r])
        if r > 1:
            check_boundary_of_boundary(
                Incidence(*result[-1], shape[r - 2], shape[r - 1]), incidence, r
            )
        incidence, turned = _orient(incidence, r)
        done = CellComplex((*shape[:r], shape[r]), [*result, (incidence.index, incidence.sign)])
        new_order = cells.canonical_order(done, r)
        result.append(_reorder_cells(incidence, new_order))
        if r == 1:
            check_no_parallel_edges(result[0][0][0].reshape(-1, 2).T)
        order.append(new_order)
        flip.append(turned[new_order])
    return CanonicalForm(CellComplex(shape, result), order, flip)


def inverse_permutation(order: Tensor) -> Tensor:
    """``inverse[order[k]] = k``."""
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(order.numel())
    return inverse


def _renumber_faces(
    index: Tensor, sign: Tensor, face_order: Tensor, face_flip: Tensor, num_cells: int
) -> Incidence:
    face = inverse_permutation(face_order)[index[0]]
    return _sorted(face, index[1], sign * face_flip[face], face_order.numel(), num_cells)


def _sorted(face: Tensor, cell: Tensor, sign: Tensor, num_faces: int, num_cells: int) -> Incidence:
    by = torch.argsort(cell * max(num_faces, 1) + face)
    return Incidence(torch.stack([face[by], cell[by]]), sign[by], num_faces, num_cells)


def _orient(incidence: Incidence, rank: int) -> tuple[Incidence, Tensor]:
    turn = incidence.sign[incidence.cell_ptr[:-1]] * (-1) ** rank
    sign = incidence.sign * turn[incidence.cell]
    return Incidence(incidence.index, sign, incidence.num_faces, incidence.num_cells), turn


def _reorder_cells(incidence: Incidence, order: Tensor) -> tuple[Tensor, Tensor]:
    cell = inverse_permutation(order)[incidence.cell]
    done = _sorted(incidence.face, cell, incidence.sign, incidence.num_faces, incidence.num_cells)
    return done.index, done.sign
