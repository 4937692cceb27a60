"""Laws that complexes and layers obey."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.testing.compare import assert_close
from topodiff.testing.transform import _times, renumber, reorient

Output = Tensor | Mapping[int, Tensor]


def assert_boundary_of_boundary_zero(complex: CellComplex) -> None:
    """``B_{r-1} B_r = 0`` for every rank, exactly, in integers."""
    for r in range(2, complex.rank + 1):
        product = complex.incidence_matrix(r - 1) @ complex.incidence_matrix(r)
        if abs(product).sum():
            cell = int(abs(product).sum(0).argmax())
            raise AssertionError(f"the boundary of the boundary of {r}-cell {cell} is not zero")


def assert_permutation_equivariant(
    function: Callable[[CellComplex], Output],
    complex: CellComplex,
    *,
    oriented: bool = False,
    seeds: int = 3,
    tolerance: float | None = None,
) -> None:
    """The result does not depend on how the vertices are numbered.

    A result by rank (rank -> (n_r, ...)) must move along with the cells, a plain tensor (one row
    per complex, or any other) must stay.

    Args:
        function: of a complex and its data; in evaluation mode, and without randomness.
        complex: single or batched, with the data that the function reads.
        oriented: cochains of rank 1 and above change sign with the orientation of their cell (as
            in Hodge Laplacians); otherwise they do not (as in CIN).
        seeds: number of random numberings tried.
        tolerance: relative; see :func:`topodiff.testing.compare.assert_close`.
    """
    with torch.no_grad():
        before = function(complex)
        for seed in range(seeds):
            moved = renumber(complex, seed, oriented=oriented)
            after = function(moved.complex)
            for name, old, new, rank in _pairs(before, after, complex):
                if rank is not None:
                    old = old[moved.order[rank]]
                    old = _times(moved.flip[rank], old) if oriented else old
                assert_close(new, old, f"{name} with the vertices renumbered", tolerance)


def assert_orientation_equivariant(
    function: Callable[[CellComplex], Output],
    complex: CellComplex,
    *,
    seeds: int = 3,
    tolerance: float | None = None,
) -> None:
    """The result does not depend on how the cells are oriented, ``f(D x) = D f(x)``.

    A result by rank (rank -> (n_r, ...)) must change sign with its cells, a plain tensor must stay.

    Args:
        function: of a complex and its data; in evaluation mode, and without randomness.
        complex: single or batched; cochains ``x[r]``, r >= 1, change sign with their cells.
        seeds: number of random orientations tried.
        tolerance: relative; see :func:`topodiff.testing.compare.assert_close`.
    """
    with torch.no_grad():
        before = function(complex)
        for seed in range(seeds):
            turned, flip = reorient(complex, seed)
            for name, old, new, rank in _pairs(before, function(turned), complex):
                old = old if rank is None else _times(flip[rank], old)
                assert_close(new, old, f"{name} with cells reoriented", tolerance)


def _pairs(
    before: Output, after: Output, complex: CellComplex
) -> list[tuple[str, Tensor, Tensor, int | None]]:
    """Name, both tensors, and the rank of the cells that they stand on."""
    if isinstance(before, Tensor) and isinstance(after, Tensor):
        return [("the result", before, after, None)]
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        raise TypeError(f"expected a tensor or a dict by rank, got {type(before).__name__}")
    if before.keys() != after.keys():
        raise AssertionError(f"the result has ranks {sorted(after)}, before {sorted(before)}")
    for r, values in before.items():
        if not 0 <= r <= complex.rank and len(values):
            raise ValueError(
                f"the result has {len(values)} rows of rank {r}, but the complex has ranks 0 to "
                f"{complex.rank}"
            )
    # a model for more ranks than the complex has gives no rows there, and nothing moves
    known = range(complex.rank + 1)
    return [
        (f"rank {r} of the result", before[r], after[r], r if r in known else None) for r in before
    ]
