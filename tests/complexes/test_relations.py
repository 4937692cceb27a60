"""Incidences and adjacencies against their definitions."""

import networkx as nx
import pytest
import torch
from hypothesis import given
from spaces import cube, hemicube, torus_7

from topodiff.complexes import CellComplex
from topodiff.testing import assert_matches_dense
from topodiff.testing.strategies import batches, complexes


def by_definition(matrix, shared_rows):
    """(target, via, source) for all pairs of columns (rows) with a common row (column)."""
    matrix = abs(matrix).toarray().astype(bool)
    members = matrix if shared_rows else matrix.T
    return sorted(
        (int(i), via, int(j))
        for via, row in enumerate(members)
        for i in row.nonzero()[0]
        for j in row.nonzero()[0]
        if i != j
    )


def triples(adjacency):
    return list(map(tuple, torch.stack([adjacency[1], adjacency[2], adjacency[0]], 1).tolist()))


def check_adjacencies(complex):
    for r in range(complex.rank):
        expected = by_definition(complex.incidence_matrix(r + 1), shared_rows=False)
        assert triples(complex.upper_adjacency(r)) == expected
    for r in range(1, complex.rank + 1):
        expected = by_definition(complex.incidence_matrix(r), shared_rows=True)
        assert triples(complex.lower_adjacency(r)) == expected


@given(complexes())
def test_adjacencies_follow_their_definition(complex):
    check_adjacencies(complex)


@pytest.mark.parametrize("complex", [cube(3), cube(4), torus_7(), hemicube()])
def test_adjacencies_of_known_spaces(complex):
    check_adjacencies(complex)


@given(batches())
def test_adjacencies_of_unions(complex):
    check_adjacencies(complex)
    for r in range(complex.rank):
        source, target, _ = complex.upper_adjacency(r)
        assert torch.equal(complex.membership(r)[source], complex.membership(r)[target])


def test_karate_club():
    cliques = list(nx.enumerate_all_cliques(nx.karate_club_graph()))
    complex = CellComplex.from_simplices(cliques)
    assert complex.shape == (34, 78, 45, 11, 2)
    assert complex.betti_numbers() == [1, 9, 0, 0, 0]
    assert complex.upper_adjacency(1).source.numel() == 270
    assert complex.lower_adjacency(1).source.numel() == 1056


def test_two_shared_cofaces_count_twice():
    sphere = CellComplex.from_boundaries(
        (3, 3, 2),
        {
            1: (torch.tensor([[0, 1, 0, 2, 1, 2], [0, 0, 1, 1, 2, 2]]), torch.tensor([-1, 1] * 3)),
            2: (
                torch.tensor([[0, 1, 2] * 2, [0] * 3 + [1] * 3]),
                torch.tensor([1, -1, 1] * 2),
            ),
        },
    )
    assert sphere.validate().betti_numbers() == [1, 0, 1]
    assert sphere.upper_adjacency(1).source.numel() == 12
    assert sphere.lower_adjacency(2).source.numel() == 6


@given(complexes())
def test_relations_are_computed_once_and_shared(complex):
    for r in range(1, complex.rank + 1):
        assert complex.lower_adjacency(r) is complex.lower_adjacency(r)
        assert complex.replace(y=None).lower_adjacency(r) is complex.lower_adjacency(r)


def test_adjacency_ends():
    complex = torus_7()
    assert complex.upper_adjacency(2).source.numel() == 0
    with pytest.raises(ValueError, match="ranks 1 to 2, asked for 0"):
        complex.lower_adjacency(0)


@given(batches())
def test_incidences_from_both_sides(complex):
    for r in range(1, complex.rank + 1):
        inc = complex.incidence(r)
        for cell in range(inc.num_cells):
            part = inc.cell[inc.cell_ptr[cell] : inc.cell_ptr[cell + 1]]
            assert (part == cell).all()
        for face in range(inc.num_faces):
            entries = inc.by_face[inc.face_ptr[face] : inc.face_ptr[face + 1]]
            assert (inc.face[entries] == face).all()
            assert (entries.diff() > 0).all()
        assert torch.equal(inc.by_face.sort().values, torch.arange(inc.nnz))
        assert torch.equal(inc.cell_by_face, inc.cell[inc.by_face])


@pytest.mark.parametrize("complex", [cube(3), torus_7(), hemicube()])
def test_index_and_sign_make_the_boundary_and_coboundary(complex, dtype):
    for r in range(1, complex.rank + 1):
        dense = torch.tensor(complex.incidence_matrix(r).toarray()).to(dtype)
        face, cell = complex.boundary_index(r)
        sign = complex.boundary_sign(r).to(dtype)[:, None]
        lower, upper = (torch.zeros(n, 3) for n in dense.shape)
        boundary = lambda x: lower.index_add(0, face, sign * x[cell])  # noqa: B023, E731
        coboundary = lambda x: upper.index_add(0, cell, sign * x[face])  # noqa: B023, E731
        assert_matches_dense(boundary, dense)
        assert_matches_dense(coboundary, dense.T)
