"""Energies of cochains, and laws of motion: flows, waves, oscillators, attention, reactions."""

from topodiff.dynamics.dirichlet import (
    DirichletEnergy,
    HodgeEnergy,
    QuadraticEnergy,
    SheafEnergy,
    quadratic_form,
)
from topodiff.dynamics.energy import Energy
from topodiff.dynamics.entries import Entries, EntryOperator, adjacency, normalize
from topodiff.dynamics.mixing import MixingEnergy
from topodiff.dynamics.polyakov import PolyakovEnergy
from topodiff.dynamics.potential import AttractorEnergy, DoubleWellEnergy, SourceEnergy
from topodiff.dynamics.total_variation import PDirichletEnergy

__all__ = [
    "AttractorEnergy",
    "DirichletEnergy",
    "DoubleWellEnergy",
    "Energy",
    "Entries",
    "EntryOperator",
    "HodgeEnergy",
    "MixingEnergy",
    "PDirichletEnergy",
    "PolyakovEnergy",
    "QuadraticEnergy",
    "SheafEnergy",
    "SourceEnergy",
    "adjacency",
    "normalize",
    "quadratic_form",
]
