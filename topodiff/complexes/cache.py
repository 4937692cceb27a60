"""What is computed once per complex and kept for as long as its cells live."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from topodiff.complexes.complex import CellComplex
from topodiff.complexes.outlasting import outlasting

T = TypeVar("T")


class _Kept(dict):
    """What is kept with an incidence. Copies and pickles come out empty."""

    def __reduce__(self) -> tuple:
        return _Kept, ()


def keep(K: CellComplex, key: Hashable, make: Callable[[], T], rank: int = 1) -> T:
    """``make()``, or what it gave before for the cells of this rank, their faces, and this key.

    For what depends on these alone, such as a normalised adjacency matrix on the edges: it is no
    part of any model, and carries no gradient. Complexes that share the cells
    (``K.replace(...)``) share it.
    """
    if K.rank < rank:
        return outlasting(make)()
    # with the cells, not in a table of all: torch.compile would guard on whatever is alive
    held = K.incidence(rank).__dict__
    if "_kept" not in held:
        held["_kept"] = _Kept()
    kept = held["_kept"]
    if key not in kept:
        kept[key] = outlasting(make)()
    return kept[key]
