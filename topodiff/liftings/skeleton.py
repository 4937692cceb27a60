"""Skeletons: cells of high rank left out."""

from __future__ import annotations

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.liftings.base import Lifting, register


@register("skeleton")
class SkeletonLifting(Lifting):
    """The subcomplex of all cells of at most ``rank``, with their data."""

    lifts_unions = True

    def __init__(self, rank: int = 1) -> None:
        self.rank = whole_number("rank", rank, 0)

    def lift(self, complex: CellComplex) -> CellComplex:
        return complex.skeleton(self.rank)
