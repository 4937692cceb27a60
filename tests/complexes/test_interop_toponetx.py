"""Same shapes, incidence and Hodge matrices as TopoNetX, both ways."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spaces import cube, grid, hemicube, projective_plane_6, torus_7

from topodiff.complexes.interop import from_toponetx, to_toponetx
from topodiff.testing import assert_complex_equal
from topodiff.testing.strategies import ring_complexes, simplicial_complexes

tnx = pytest.importorskip("toponetx")


def equal(ours, theirs):
    return ours.shape == theirs.shape and (ours.toarray() == theirs.toarray()).all()


def check_cells(complex, other):
    """``other``, a CellComplex with its 2-cells in our order, has our matrices."""
    assert complex.shape == other.shape
    assert equal(complex.incidence_matrix(0), other.incidence_matrix(0))
    assert equal(complex.incidence_matrix(1), other.incidence_matrix(1))
    assert equal(complex.incidence_matrix(2), other.incidence_matrix(2))
    for r in range(other.dim + 1):
        if complex.shape[1]:
            assert equal(complex.hodge_laplacian_matrix(r), other.hodge_laplacian_matrix(r))


@given(ring_complexes())
def test_cell_complexes_there_and_back(complex):
    other = to_toponetx(complex)
    check_cells(complex, other)
    assert_complex_equal(from_toponetx(other), complex)


@given(ring_complexes(), st.randoms(use_true_random=False))
def test_cells_inserted_in_any_order_rotation_and_direction(complex, random):
    if not complex.shape[0]:
        return
    names = sorted(random.sample([f"n{i:02}" for i in range(99)], complex.shape[0]))
    graph = nx.Graph()
    graph.add_nodes_from(random.sample(names, len(names)))
    graph.add_edges_from((names[v], names[u]) for u, v in complex.cells(1))
    other = tnx.CellComplex(graph)
    order = random.sample(range(complex.shape[2]), complex.shape[2])
    signs = []
    for k in order:
        ring = [names[v] for v in complex.cells(2)[k]]
        start = random.randrange(len(ring))
        ring, sign = ring[start:] + ring[:start], 1
        if random.random() < 0.5:
            ring, sign = ring[::-1], -1
        signs.append(sign)
        other.add_cell(ring, rank=2)
    again = from_toponetx(other)
    assert_complex_equal(again, complex)
    # our columns, permuted and turned as the cells were inserted, are TopoNetX's
    columns = again.incidence_matrix(2).toarray()[:, order] * np.array(signs, dtype=int)
    assert (columns == other.incidence_matrix(2).toarray()).all()
    if complex.shape[1]:
        assert equal(again.hodge_laplacian_matrix(0), other.hodge_laplacian_matrix(0))
        assert equal(again.hodge_laplacian_matrix(1), other.hodge_laplacian_matrix(1))


@given(simplicial_complexes())
def test_simplicial_complexes_there_and_back(complex):
    other = to_toponetx(complex, kind="simplicial")
    assert other.shape == complex.shape
    for r in range(1, complex.rank + 1):
        assert equal(complex.incidence_matrix(r), other.incidence_matrix(r))
    for r in range(complex.rank + 1):
        if complex.rank:
            assert equal(complex.hodge_laplacian_matrix(r), other.hodge_laplacian_matrix(r))
    assert_complex_equal(from_toponetx(other), complex)


def test_simplices_with_other_names():
    other = tnx.SimplicialComplex([["d", "b", "a"], ["d", "z"]])
    complex = from_toponetx(other)
    assert complex.cells(2) == [(0, 1, 2)]
    for r in (1, 2):
        assert equal(complex.incidence_matrix(r), other.incidence_matrix(r))


@pytest.mark.parametrize(
    "complex", [torus_7(), projective_plane_6(), hemicube(), grid(5, 5, True, False)]
)
def test_known_spaces(complex):
    check_cells(complex, to_toponetx(complex))
    assert from_toponetx(to_toponetx(complex)).betti_numbers() == complex.betti_numbers()


def test_two_cells_on_one_cycle_are_both_kept():
    other = tnx.CellComplex([[0, 1, 2], [1, 2, 0]])
    complex = from_toponetx(other).validate()
    assert complex.shape == other.shape == (3, 3, 2)
    assert complex.betti_numbers() == [1, 0, 1]


def test_empty_and_isolated():
    assert from_toponetx(tnx.CellComplex()).shape == (0, 0, 0)
    assert from_toponetx(tnx.SimplicialComplex()).shape == (0,)
    other = tnx.CellComplex([[0, 1, 2]])
    other.add_node(7)
    assert from_toponetx(other).betti_numbers() == [2, 0, 0]


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"ends at rank 2.*rank 3"):
        to_toponetx(cube(3))
    with pytest.raises(ValueError, match="not simplices"):
        to_toponetx(hemicube(), kind="simplicial")
    with pytest.raises(ValueError, match='"cell" or "simplicial"'):
        to_toponetx(torus_7(), kind="graph")
    with pytest.raises(TypeError, match="got Graph"):
        from_toponetx(nx.Graph())
    mixed = tnx.CellComplex([[0, 1, "a"]])
    with pytest.raises(TypeError, match="cannot be sorted"):
        from_toponetx(mixed)
    for ring, message in [([1, 2, 3, 2], "occurs twice"), ([0, 1, 2, 0, 3, 4], "vertex twice")]:
        irregular = tnx.CellComplex(regular=False)
        irregular.add_cell(ring, rank=2)
        with pytest.raises(ValueError, match=message):
            from_toponetx(irregular)
