"""Lazy linear operators on cochains: ``A @ x`` never builds a matrix, ``A.to_sparse()`` does."""

from topodiff.operators.algebra import BlockDiagonal, Congruence, Identity, Product, Sum
from topodiff.operators.base import LinearOperator
from topodiff.operators.coboundary import Boundary, Coboundary
from topodiff.operators.dirac import Dirac
from topodiff.operators.hodge import HodgeDecomposition, harmonic_basis, hodge_decomposition
from topodiff.operators.krylov import KrylovResult, least_squares
from topodiff.operators.laplacian import (
    ConnectionLaplacian,
    GraphLaplacian,
    HodgeLaplacian,
    Laplacian,
    SheafLaplacian,
)
from topodiff.operators.roots import inverse_sqrt
from topodiff.operators.spectrum import eigenvalues, lanczos, spectral_embedding, spectral_norm

__all__ = [
    "BlockDiagonal",
    "Boundary",
    "Coboundary",
    "Congruence",
    "ConnectionLaplacian",
    "Dirac",
    "GraphLaplacian",
    "HodgeDecomposition",
    "HodgeLaplacian",
    "Identity",
    "KrylovResult",
    "Laplacian",
    "LinearOperator",
    "Product",
    "SheafLaplacian",
    "Sum",
    "eigenvalues",
    "harmonic_basis",
    "hodge_decomposition",
    "inverse_sqrt",
    "lanczos",
    "least_squares",
    "spectral_embedding",
    "spectral_norm",
]
