"""Cellular sheaves on complexes, their restriction maps, and orthogonal maps from parameters."""

from topodiff.sheaves.curvature import Curvature
from topodiff.sheaves.gauge import gauge_transform
from topodiff.sheaves.orthogonal import Orthogonal, SpecialOrthogonal
from topodiff.sheaves.sheaf import CellularSheaf

__all__ = [
    "CellularSheaf",
    "Curvature",
    "Orthogonal",
    "SpecialOrthogonal",
    "gauge_transform",
]
