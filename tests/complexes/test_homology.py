"""Betti numbers and matrices of known spaces, and the Euler-Poincare formula."""

import numpy as np
import pytest
from hypothesis import given
from spaces import cube, grid, hemicube, projective_plane_6, torus_7

from topodiff.complexes.homology import is_simplicial
from topodiff.testing.strategies import batches, complexes


@pytest.mark.parametrize(
    ("complex", "simplicial", "rationals", "modulo_2", "modulo_3"),
    [
        (torus_7(), True, [1, 2, 1], [1, 2, 1], [1, 2, 1]),
        (grid(4, 4, False, True), True, [1, 2, 1], [1, 2, 1], [1, 2, 1]),
        (grid(5, 5, False, False), False, [1, 2, 1], [1, 2, 1], [1, 2, 1]),
        (grid(5, 5, True, True), True, [1, 1, 0], [1, 2, 1], [1, 1, 0]),
        (grid(5, 5, True, False), False, [1, 1, 0], [1, 2, 1], [1, 1, 0]),
        (projective_plane_6(), True, [1, 0, 0], [1, 1, 1], [1, 0, 0]),
        (hemicube(), False, [1, 0, 0], [1, 1, 1], [1, 0, 0]),
        (cube(3), False, [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]),
        (cube(3).skeleton(2), False, [1, 0, 1], [1, 0, 1], [1, 0, 1]),
        (cube(4).skeleton(3), False, [1, 0, 0, 1], [1, 0, 0, 1], [1, 0, 0, 1]),
        (cube(4).skeleton(1), True, [1, 17], [1, 17], [1, 17]),
    ],
)
def test_known_spaces(complex, simplicial, rationals, modulo_2, modulo_3):
    complex.validate()
    assert is_simplicial(complex) == simplicial
    assert complex.betti_numbers() == rationals
    assert complex.betti_numbers(2) == modulo_2
    assert complex.betti_numbers(3) == modulo_3


@given(complexes())
def test_euler_characteristic_is_the_alternating_sum_of_betti_numbers(complex):
    for field in ("rationals", 2, np.int64(2)):
        betti = complex.betti_numbers(field)
        assert len(betti) == complex.rank + 1
        assert sum((-1) ** r * b for r, b in enumerate(betti)) == complex.euler_characteristic


@given(complexes())
def test_betti_numbers_are_kernels_of_the_hodge_laplacians(complex):
    for r, betti in enumerate(complex.betti_numbers()):
        laplacian = complex.hodge_laplacian_matrix(r).toarray()
        rank = np.linalg.matrix_rank(laplacian) if laplacian.size else 0
        assert complex.shape[r] - rank == betti


@given(batches())
def test_betti_numbers_of_a_union_add_up(union):
    total = np.zeros(union.rank + 1, dtype=int)
    for part in union:
        total[: part.rank + 1] += part.betti_numbers()
    assert union.betti_numbers() == total.tolist()
    assert union.euler_characteristic == sum(part.euler_characteristic for part in union)


@given(complexes())
def test_hodge_laplacian_is_the_sum_of_both_products(complex):
    for r in range(complex.rank + 1):
        down = complex.incidence_matrix(r).toarray()
        up = complex.incidence_matrix(r + 1).toarray()
        expected = down.T @ down + up @ up.T
        assert (complex.hodge_laplacian_matrix(r).toarray() == expected).all()


def test_shapes_at_the_ends():
    complex = torus_7()
    assert complex.incidence_matrix(0).shape == (0, 7)
    assert complex.incidence_matrix(3).shape == (14, 0)
    with pytest.raises(ValueError, match="ranks 0 to 3, got 4"):
        complex.incidence_matrix(4)
    with pytest.raises(ValueError, match="ranks 0 to 2, got 3"):
        complex.hodge_laplacian_matrix(3)


@pytest.mark.parametrize("field", [4, 1, 0, -2, 2.0, "reals", 46349])
def test_fields_are_primes_or_rationals(field):
    with pytest.raises(ValueError, match=r'"rationals" or a prime up to 46337'):
        torus_7().betti_numbers(field)


@given(complexes())
def test_skeleton_keeps_lower_cells(complex):
    for r in range(complex.rank + 2):
        part = complex.skeleton(r).validate()
        assert part.shape == complex.shape[: r + 1]
        assert part.cells(part.rank) == complex.cells(part.rank)
