"""Time steppers, implicit solvers and exact heat kernels behind one call, ``diffuse``."""

from topodiff.solvers.call import SOLVERS, diffuse
from topodiff.solvers.krylov import LinearSolution, linear_solve
from topodiff.solvers.law import Law, OperatorLaw
from topodiff.solvers.sign import sign_filters
from topodiff.solvers.solution import Solution, Stats
from topodiff.solvers.stability import largest_stable_step

__all__ = [
    "SOLVERS",
    "Law",
    "LinearSolution",
    "OperatorLaw",
    "Solution",
    "Stats",
    "diffuse",
    "largest_stable_step",
    "linear_solve",
    "sign_filters",
]
