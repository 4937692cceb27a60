"""What is computed once per complex and kept for as long as its cells live."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar
from weakref import WeakKeyDictionary

from topodiff.complexes.complex import CellComplex
from topodiff.complexes.incidence import Incidence
from topodiff.complexes.lasting import outlasting

T = TypeVar("T")
_KEPT: WeakKeyDictionary[Incidence, dict[Hashable, object]] = WeakKeyDictionary()


def keep(K: CellComplex, key: Hashable, make: Callable[[], T], rank: int = 1) -> T:
    """``make()``, or what it gave before for the cells of this rank, their faces, and this key.

    For what depends on these alone, such as a normalised adjacency matrix on the edges: it is no
    part of any model, and carries no gradient. Complexes that share the cells
    (``K.replace(...)``) share it.
    """
    if K.rank < rank:
        return make()
    kept = _KEPT.setdefault(K.incidence(rank), {})
    if key not in kept:
        kept[key] = outlasting(make)()
    return kept[key]  # type: ignore[return-value]
