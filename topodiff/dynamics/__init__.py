"""Energies of cochains, and laws of motion: flows, waves, oscillators, attention, reactions."""

from topodiff.dynamics.attention import AttentionDiffusion, BeltramiFlow, DiffusionOperator
from topodiff.dynamics.dirichlet import (
    DirichletEnergy,
    HodgeEnergy,
    QuadraticEnergy,
    SheafEnergy,
    quadratic_form,
)
from topodiff.dynamics.energy import Energy
from topodiff.dynamics.entries import Entries, EntryOperator, adjacency, normalize
from topodiff.dynamics.flow import GradientFlow, Heat, MixedDiffusion
from topodiff.dynamics.law import Law, Piecewise
from topodiff.dynamics.mixing import MixingEnergy
from topodiff.dynamics.polyakov import PolyakovEnergy
from topodiff.dynamics.potential import AttractorEnergy, DoubleWellEnergy, SourceEnergy
from topodiff.dynamics.reaction import AllenCahnMessagePassing, ReactionDiffusion
from topodiff.dynamics.regularizers import jacobian_norm, kinetic_energy, time_integral
from topodiff.dynamics.rewiring import (
    keep_heaviest,
    nearest_neighbors,
    pagerank_rows,
    within_radius,
)
from topodiff.dynamics.scores import attention_weights, cosine, exp_kernel, pearson, scaled_dot
from topodiff.dynamics.total_variation import PDirichletEnergy
from topodiff.dynamics.wave import ControlledOscillator, Wave

__all__ = [
    "AllenCahnMessagePassing",
    "AttentionDiffusion",
    "AttractorEnergy",
    "BeltramiFlow",
    "ControlledOscillator",
    "DiffusionOperator",
    "DirichletEnergy",
    "DoubleWellEnergy",
    "Energy",
    "Entries",
    "EntryOperator",
    "GradientFlow",
    "Heat",
    "HodgeEnergy",
    "Law",
    "MixedDiffusion",
    "MixingEnergy",
    "PDirichletEnergy",
    "Piecewise",
    "PolyakovEnergy",
    "QuadraticEnergy",
    "ReactionDiffusion",
    "SheafEnergy",
    "SourceEnergy",
    "Wave",
    "adjacency",
    "attention_weights",
    "cosine",
    "exp_kernel",
    "jacobian_norm",
    "keep_heaviest",
    "kinetic_energy",
    "nearest_neighbors",
    "normalize",
    "pagerank_rows",
    "pearson",
    "quadratic_form",
    "scaled_dot",
    "time_integral",
    "within_radius",
]
