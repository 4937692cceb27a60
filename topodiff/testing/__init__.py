"""Assertions for tests of complexes, layers and operators.

Random complexes for property tests are in :mod:`topodiff.testing.strategies` (needs hypothesis).
"""

from topodiff.testing.compare import assert_complex_equal, assert_matches_dense
from topodiff.testing.compiled import assert_compiles
from topodiff.testing.gauge import assert_gauge_equivariant
from topodiff.testing.laws import (
    assert_boundary_of_boundary_zero,
    assert_orientation_equivariant,
    assert_permutation_equivariant,
)
from topodiff.testing.transform import renumber, reorient

__all__ = [
    "assert_boundary_of_boundary_zero",
    "assert_compiles",
    "assert_complex_equal",
    "assert_gauge_equivariant",
    "assert_matches_dense",
    "assert_orientation_equivariant",
    "assert_permutation_equivariant",
    "renumber",
    "reorient",
]
