"""Krylov methods for linear systems, matrix-free and batched over channels."""

from topodiff.solvers.krylov.preconditioners import BlockJacobi, Chebyshev
from topodiff.solvers.krylov.result import LinearSolution
from topodiff.solvers.krylov.solve import LinearSystem, implicit, linear_solve

__all__ = [
    "BlockJacobi",
    "Chebyshev",
    "LinearSolution",
    "LinearSystem",
    "implicit",
    "linear_solve",
]
