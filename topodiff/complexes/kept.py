"""What is computed once per complex and kept for as long as its cells live."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch

from topodiff.complexes.complex import CellComplex
from topodiff.complexes.incidence import Incidence
from topodiff.complexes.lasting import outlasting

T = TypeVar("T")
_KEPT: WeakKeyDictionary[Incidence, dict[Hashable, object]] = WeakKeyDictionary()


# unseen by torch.compile, which would guard on the complexes that happen to be alive
@partial(torch.compiler.disable, recursive=False)
def keep(K: CellComplex, key: Hashable, make: Callable[[], T], rank: int = 1) -> T:
    """``make()``, or what it gave before for the cells of this rank, their faces, and this key.

    For what depends on these alone, such as a normalised adjacency matrix on the edges: it is no
    part of any model, and carries no gradient. Complexes that share the cells
    (``K.replace(...)``) share it.
    """
    if K.rank < rank:
        return _made(make)
    kept = _KEPT.get(K.incidence(rank))
    if kept is None:
        kept = _KEPT[K.incidence(rank)] = {}
    if key not in kept:
        kept[key] = _made(make)
    return kept[key]  # type: ignore[return-value]


@torch.compiler.disable
def _made(make: Callable[[], T]) -> T:
    return outlasting(make)()
