"""The shipped assertions hold for what is right and fail for what is wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given

from topodiff.complexes import CellComplex, batch
from topodiff.liftings import FeatureLifting
from topodiff.operators import SheafLaplacian
from topodiff.sheaves import CellularSheaf
from topodiff.testing import (
    assert_boundary_of_boundary_zero,
    assert_compiles,
    assert_complex_equal,
    assert_gauge_equivariant,
    assert_matches_dense,
    assert_orientation_equivariant,
    assert_permutation_equivariant,
    renumber,
    reorient,
)
from topodiff.testing.strategies import batches, complexes, with_data

TETRAHEDRON = CellComplex.from_simplices([(0, 1, 2, 3)])


def hodge(complex, activation=lambda t: t):
    """x[r] -> activation(L_r x[r]), with the signed boundaries."""
    out = {}
    for r, x in complex.x.items():
        laplacian = torch.tensor(complex.hodge_laplacian_matrix(r).toarray()).to(x.dtype)
        out[r] = activation(laplacian @ x)
    return out


def from_below(complex):
    """x[r] -> the sum of x[r-1] over the boundary, without signs."""
    out = {0: complex.x[0]}
    for r in range(1, complex.rank + 1):
        face, cell = complex.boundary_index(r)
        x = complex.x[r - 1]
        out[r] = x.new_zeros(complex.shape[r], x.shape[1]).index_add(0, cell, x[face])
    return out


def total(complex):
    """One row per complex: the sum of x[0]."""
    out = complex.x[0].new_zeros(len(complex), complex.x[0].shape[1])
    return out.index_add(0, complex.membership(0), complex.x[0])


@given(union=batches(max_size=3))
def test_laws_of_hodge_laplacians(dtype, union):
    assert_boundary_of_boundary_zero(union)
    assert_permutation_equivariant(hodge, union, oriented=True)
    assert_orientation_equivariant(hodge, union)
    assert_orientation_equivariant(lambda k: hodge(k, torch.tanh), union)
    assert_permutation_equivariant(from_below, union)
    assert_permutation_equivariant(total, union)
    assert_permutation_equivariant(total, union, oriented=True)
    assert_orientation_equivariant(total, union)


def test_what_breaks_the_laws_is_found():
    kite = CellComplex.from_simplices([(0, 1, 2), (2, 3)])
    complex = with_data(batch([TETRAHEDRON, kite]))
    with pytest.raises(AssertionError, match="rank 1 of the result with cells reoriented"):
        assert_orientation_equivariant(lambda k: hodge(k, torch.relu), complex)
    with pytest.raises(AssertionError, match="renumbered"):
        assert_permutation_equivariant(hodge, complex)
    with pytest.raises(AssertionError, match="renumbered"):
        assert_permutation_equivariant(lambda k: k.x[0][:1], complex)
    with pytest.raises(AssertionError, match="renumbered"):
        assert_permutation_equivariant(lambda k: {0: k.x[0].cumsum(0)}, complex)
    with pytest.raises(AssertionError, match="renumbered is not finite"):
        assert_permutation_equivariant(lambda k: total(k) / 0, complex)
    with pytest.raises(TypeError, match="tensor or a dict by rank, got list"):
        assert_permutation_equivariant(lambda k: [total(k)], complex)


def test_an_open_boundary_is_found():
    boundaries = [(TETRAHEDRON.boundary_index(r), TETRAHEDRON.boundary_sign(r)) for r in (1, 2, 3)]
    boundaries[1] = (boundaries[1][0], boundaries[1][1].abs())
    with pytest.raises(AssertionError, match="boundary of 2-cell 0 is not zero"):
        assert_boundary_of_boundary_zero(CellComplex(TETRAHEDRON.shape, boundaries))


@given(complexes())
def test_reoriented_complexes_keep_their_laws(complex):
    turned, flip = reorient(complex, 0)
    assert_boundary_of_boundary_zero(turned)
    for r, f in enumerate(flip):
        diagonal = np.diag(f.numpy())
        expected = diagonal @ complex.hodge_laplacian_matrix(r) @ diagonal
        assert (turned.hodge_laplacian_matrix(r).toarray() == expected).all()
        assert r > 0 or (f == 1).all()
        assert turned.cells(r) == complex.cells(r)
    assert turned.betti_numbers() == complex.betti_numbers()
    x = {0: torch.ones(complex.shape[0], 1)}
    lifted = FeatureLifting()(turned.replace(x=x)).x
    assert all(x.shape[0] == n for x, n in zip(lifted.values(), complex.shape, strict=True))


def test_unions_that_lost_a_rank_obey_the_laws():
    union = with_data(batch([TETRAHEDRON.skeleton(1), TETRAHEDRON]))
    for few in (union.select([0]), union.select([]), union.select([0, 0])):
        for seed in range(2):
            moved = renumber(few, seed)
            assert moved.complex.validate().ranks.tolist() == few.ranks.tolist()
            assert moved.complex.shape == few.shape
            assert [len(o) for o in moved.order] == list(few.shape)
        assert_permutation_equivariant(hodge, few, oriented=True)
        assert_permutation_equivariant(total, few)
        assert_orientation_equivariant(hodge, few)


def test_results_of_ranks_that_the_complex_lacks():
    graph = with_data(TETRAHEDRON.skeleton(1))
    for law in (assert_permutation_equivariant, assert_orientation_equivariant):
        law(lambda k: {0: k.x[0], 2: torch.zeros(0, 3)}, graph)
        with pytest.raises(ValueError, match="4 rows of rank 2, but the complex has ranks 0 to 1"):
            law(lambda k: {2: k.x[0]}, graph)


def test_results_of_truth_values():
    complex = with_data(TETRAHEDRON)
    assert_permutation_equivariant(lambda k: {0: k.x[0] > 0}, complex)
    with pytest.raises(AssertionError, match="renumbered"):
        assert_permutation_equivariant(lambda k: k.x[0] > 0, complex)


def test_differences_of_complexes_are_named():
    complex = with_data(TETRAHEDRON)
    assert_complex_equal(complex, with_data(TETRAHEDRON))
    for other, message in [
        (TETRAHEDRON.skeleton(2), "shape is"),
        (TETRAHEDRON, r"not expected \['labels\.0'"),
        (complex.replace(x={**complex.x, 2: complex.x[2] + 1}), "x.2: "),
        (complex.to(dtype=torch.float16), "dtype"),
    ]:
        with pytest.raises(AssertionError, match=message):
            assert_complex_equal(complex, other)


def test_operators_against_their_matrices(dtype):
    dense = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert_matches_dense(lambda x: dense @ x, dense)
    with pytest.raises(AssertionError, match=r"operator\(x\)"):
        assert_matches_dense(lambda x: 1.01 * dense @ x, dense)
    with pytest.raises(AssertionError, match="gradient"):
        assert_matches_dense(lambda x: dense @ x.detach() + 0 * (dense @ x), dense)


def test_functions_that_depend_on_the_basis_are_found(dtype):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(TETRAHEDRON.incidence(1).nnz, 2, 2, generator=generator)
    sheaf, x = CellularSheaf(TETRAHEDRON, 2, maps), torch.randn(4, 2, 3, generator=generator)
    assert_gauge_equivariant(lambda F, x: SheafLaplacian(F) @ x, sheaf, x)
    with pytest.raises(AssertionError, match=r"f\(g F, g x\)"):
        assert_gauge_equivariant(lambda F, x: (SheafLaplacian(F) @ x).relu(), sheaf, x)
    with pytest.raises(AssertionError, match=r"f\(h F, x\)"):
        # the norm of a row of F does not change with the basis at the vertex, but at the edge
        assert_gauge_equivariant(lambda F, x: F.maps[1][:, 0].square().sum() * x, sheaf, x)


def test_functions_that_do_not_compile_are_found(dtype):
    x = torch.ones(3, requires_grad=True)
    assert_compiles(torch.nn.Linear(3, 2), x)
    assert_compiles(lambda x: x + 1, x.detach())
    with pytest.raises(torch._dynamo.exc.Unsupported):
        assert_compiles(lambda x: torch._dynamo.graph_break() or x + 1, x)
    with pytest.raises(AssertionError, match="the result"):
        assert_compiles(lambda x: x + torch.compiler.is_compiling(), x)
    with pytest.raises(AssertionError, match="gradient 0"):
        assert_compiles(lambda x: x.detach() + 0 * x if torch.compiler.is_compiling() else +x, x)
