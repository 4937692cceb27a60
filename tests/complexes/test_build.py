"""Construction from edges, rings, simplices and boundaries: canonical results, clear refusals."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spaces import cube

from topodiff.complexes import CellComplex, canonical_edges
from topodiff.testing import assert_boundary_of_boundary_zero, assert_complex_equal
from topodiff.testing.strategies import complexes, graphs, ring_complexes, simplicial_complexes

TRIANGLE = torch.tensor([[0, 1, 2], [1, 2, 0]])


@given(complexes())
def test_every_construction_is_valid(complex):
    complex.validate()
    assert_boundary_of_boundary_zero(complex)


def test_signs_of_a_triangle():
    complex = CellComplex.from_rings(3, TRIANGLE, [[2, 1, 0]])
    assert complex.cells(1) == [(0, 1), (0, 2), (1, 2)]
    assert complex.incidence_matrix(1).toarray().tolist() == [[-1, -1, 0], [1, 0, -1], [0, 1, 1]]
    assert complex.incidence_matrix(2).toarray().tolist() == [[1], [-1], [1]]


@given(graphs(), st.randoms(use_true_random=False))
def test_edges_in_any_order_direction_and_number(graph, random):
    pairs = [pair if random.random() < 0.5 else pair[::-1] for pair in graph.cells(1)] * 2
    random.shuffle(pairs)
    index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    assert_complex_equal(CellComplex.from_edges(graph.shape[0], index), graph)
    edges, place = canonical_edges(graph.shape[0], index)
    assert torch.equal(edges[:, place].sort(0).values, index.sort(0).values)


@given(ring_complexes(), st.randoms(use_true_random=False))
def test_rings_in_any_order_rotation_direction_and_number(complex, random):
    rings = []
    for ring in complex.cells(2) + complex.cells(2):
        k = random.randrange(len(ring))
        turned = ring[k:] + ring[:k]
        rings.append(turned if random.random() < 0.5 else turned[::-1])
    random.shuffle(rings)
    again = CellComplex.from_rings(complex.shape[0], complex.edge_index, rings)
    assert_complex_equal(again, complex)
    ptr = np.cumsum([0] + [len(ring) for ring in rings])
    flat = np.array([v for ring in rings for v in ring], dtype=np.int64)
    ragged = CellComplex.from_rings(complex.shape[0], complex.edge_index, (ptr, flat))
    assert_complex_equal(ragged, complex)


@given(ring_complexes())
def test_rings_go_from_the_smallest_vertex_to_its_smaller_neighbour(complex):
    for ring in complex.cells(2):
        assert ring[0] == min(ring)
        assert ring[1] < ring[-1]
    by_size = sorted(complex.cells(2), key=lambda ring: (len(ring), ring))
    assert complex.cells(2) == by_size


@given(simplicial_complexes(), st.randoms(use_true_random=False))
def test_simplices_as_tuples_and_as_arrays(complex, random):
    simplices = [list(s) for r in range(complex.rank + 1) for s in complex.cells(r)]
    for simplex in simplices:
        random.shuffle(simplex)
    random.shuffle(simplices)
    assert_complex_equal(CellComplex.from_simplices(simplices), complex)
    rows = {r: torch.tensor(complex.cells(r)).reshape(-1, r + 1) for r in range(complex.rank + 1)}
    assert_complex_equal(CellComplex.from_simplices(rows), complex)


@given(simplicial_complexes())
def test_simplices_carry_the_usual_signs(complex):
    for r in range(1, complex.rank + 1):
        matrix = complex.incidence_matrix(r)
        faces = {face: i for i, face in enumerate(complex.cells(r - 1))}
        for number, simplex in enumerate(complex.cells(r)):
            for i in range(r + 1):
                face = faces[simplex[:i] + simplex[i + 1 :]]
                assert matrix[face, number] == (-1) ** i


def test_isolated_and_empty():
    assert CellComplex.from_edges(0, torch.zeros(2, 0)).shape == (0, 0)
    assert CellComplex.from_edges(3, torch.zeros(2, 0)).betti_numbers() == [3, 0]
    assert CellComplex.from_rings(3, TRIANGLE, []).shape == (3, 3, 0)
    assert CellComplex.from_simplices([]).shape == (0,)
    assert CellComplex.from_simplices([(4,)]).shape == (5,)
    assert CellComplex.from_simplices({0: [[0], [1], [2]], 1: [[0, 1]]}).shape == (3, 1)
    assert CellComplex.from_simplices({}, num_vertices=2).shape == (2,)


def test_no_edges_are_where_the_edges_were():
    nowhere = torch.zeros(2, 0, dtype=torch.long, device="meta")
    assert all(t.device.type == "meta" for t in canonical_edges(3, nowhere))


def test_self_loops_can_be_dropped():
    index = torch.tensor([[0, 1, 1], [0, 0, 1]])
    assert CellComplex.from_edges(2, index, self_loops="drop").cells(1) == [(0, 1)]
    edges, place = canonical_edges(2, index, "drop")
    assert place.tolist() == [-1, 0, -1]
    assert edges.tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, torch.tensor([[0, 1], [1, 3]])), r"edge 1 is \(1, 3\), but vertices go from 0 to 2"),
        ((3, torch.tensor([[-1], [1]])), r"edge 0 is \(-1, 1\)"),
        ((3, torch.tensor([[0, 1], [1, 1]])), "edge 1 is a self-loop at vertex 1"),
        ((3, torch.tensor([[0, 1, 2]])), r"shape \(2, E\), got \(1, 3\)"),
        ((-1, TRIANGLE), "num_vertices must be a whole number >= 0, got -1"),
        ((2.5, TRIANGLE), "num_vertices"),
        ((3.0, TRIANGLE), "num_vertices must be a whole number >= 0, got 3.0"),
        ((float("nan"), TRIANGLE), "num_vertices must be a whole number >= 0, got nan"),
        ((float("inf"), TRIANGLE), "num_vertices .* got inf"),
        (("three", TRIANGLE), "num_vertices .* got 'three'"),
    ],
)
def test_wrong_edges_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        CellComplex.from_edges(*arguments)


def test_wrong_types_are_named():
    with pytest.raises(TypeError, match=r"integers, got torch\.float32"):
        CellComplex.from_edges(3, TRIANGLE.float())
    with pytest.raises(ValueError, match="self_loops must be one of error, drop; got 'keep'"):
        CellComplex.from_edges(3, TRIANGLE, self_loops="keep")
    for build in (
        lambda: CellComplex.from_simplices({1: torch.tensor([[0.7, 1.2]])}),
        lambda: CellComplex.from_rings(3, TRIANGLE, [[0.0, 1.0, 2.5]]),
        lambda: CellComplex.from_rings(3, TRIANGLE, (torch.tensor([0, 3]), torch.ones(3))),
    ):
        with pytest.raises(TypeError, match=r"whole numbers, got torch\.float32"):
            build()
    with pytest.raises(TypeError, match="as an integer"):
        CellComplex.from_simplices([(0.9, 1.5)])
    with pytest.raises(TypeError, match="whole numbers"):
        CellComplex.from_boundaries((2, 1), {1: (torch.tensor([[0.5, 1], [0, 0]]), [-1, 1])})


@pytest.mark.parametrize(
    ("rings", "message"),
    [
        ([[0, 1, 2], [0, 1]], "ring 1 has 2 vertices"),
        ([[0, 1, 2, 1]], "ring 0 visits vertex 1 twice"),
        ([[0, 1, 3]], "from vertex 1 to 3"),
        ([[0, 1, 7]], "vertex 7 is not a vertex"),
        ([[0, 1, -1]], "vertex -1"),
        (
            (torch.tensor([0, 3]), torch.tensor([0, 1])),
            "ptr of ragged rows must go from 0 to the 2",
        ),
        ((torch.tensor([0, 3, 1]), torch.tensor([0, 1, 2])), "rising"),
    ],
)
def test_wrong_rings_are_named(rings, message):
    with pytest.raises(ValueError, match=message):
        CellComplex.from_rings(4, TRIANGLE, rings)


def test_one_long_ring_among_many_short_ones():
    n = 2000
    ring = torch.arange(n)
    edges = torch.cat([torch.stack([ring, ring.roll(-1)]), torch.stack([ring, ring.roll(-2)])], 1)
    rings = [[i, (i + 1) % n, (i + 2) % n] for i in range(n)]
    complex = CellComplex.from_rings(n, edges, [list(range(n)), *rings])
    assert complex.shape == (n, 2 * n, n + 1)
    assert complex.cells(2)[-1] == tuple(range(n))
    assert complex.cells(2)[:2] == [(0, 1, 2), (0, 1, n - 1)]


@pytest.mark.parametrize(
    ("simplices", "message"),
    [
        ([(0, 1, 1)], r"simplex \(0, 1, 1\) repeats"),
        ([(0, -1)], r"simplex \(-1,\) repeats a vertex or leaves"),
        ({1: [[0, 1], [1, 2]], 2: [[0, 1, 2]]}, r"\(0, 1, 2\) is given, but not its face \(0, 2\)"),
        ({3: [[0, 1, 2, 3]]}, "but not its face"),
        ({1: [[0, 1, 2]]}, r"must have shape \(n, 2\), got \(1, 3\)"),
        ({-1: [[0]]}, "rank of simplices must be a whole number >= 0, got -1"),
        ({1.5: [[0, 1]]}, "rank of simplices .* got 1.5"),
    ],
)
def test_wrong_simplices_are_named(simplices, message):
    with pytest.raises(ValueError, match=message):
        CellComplex.from_simplices(simplices)


EDGES = (torch.tensor([[0, 1, 0, 2, 1, 2], [0, 0, 1, 1, 2, 2]]), torch.tensor([-1, 1] * 3))
FACE = (torch.tensor([[0, 1, 2], [0, 0, 0]]), torch.tensor([1, -1, 1]))


@pytest.mark.parametrize(
    ("shape", "boundaries", "message"),
    [
        ((-2,), {}, r"whole counts of at least 0, got \(-2,\)"),
        ((3.7,), {}, r"whole counts of at least 0, got \(3.7,\)"),
        (3, {}, "whole counts of at least 0, got 3"),
        ((3, 3, 1), {1: EDGES}, r"needs boundaries of ranks \[1, 2\], got \[1\]"),
        ((2, 3), {1: EDGES}, "rank 1: entry 3 refers to face 2, but there are 2"),
        ((3, 2), {1: EDGES}, "rank 1: entry 4 refers to cell 2, but there are 2"),
        ((3, 4), {1: EDGES}, "edge 3 has 0 ends"),
        ((3, 3), {1: (EDGES[0], EDGES[1] * 2)}, "sign -2 of entry 0"),
        ((3, 3), {1: (EDGES[0], EDGES[1].abs())}, "edge 0 has 2 ends with signs summing to 2"),
        ((3, 3), {1: (EDGES[0][:, :5], EDGES[1])}, r"index must be \(2, nnz\)"),
        ((3, 3, 1), {1: EDGES, 2: (FACE[0], FACE[1].abs())}, "rank 2: cell 0 is not closed"),
        ((3, 3, 2), {1: EDGES, 2: FACE}, "rank 2: cell 1 has fewer than two faces"),
        ((2, 2), {1: (torch.tensor([[0, 1, 1, 0], [0, 0, 1, 1]]), torch.tensor([-1, 1, -1, 1]))},
         "two edges join the vertices 0 and 1"),
        ((3, 3, 1), {1: EDGES, 2: (FACE[0].repeat(1, 2), FACE[1].repeat(2))},
         "face 0 occurs twice in cell 0"),
    ],
)  # fmt: skip
def test_wrong_boundaries_are_named(shape, boundaries, message):
    with pytest.raises(ValueError, match=message):
        CellComplex.from_boundaries(shape, boundaries)


def test_a_boundary_of_two_cycles_is_refused():
    two = torch.cat([TRIANGLE, TRIANGLE + 3], 1)
    graph = CellComplex.from_edges(6, two)
    cell = (torch.stack([torch.arange(6), torch.zeros(6).long()]), FACE[1].repeat(2))
    edges = (graph.boundary_index(1), graph.boundary_sign(1))
    with pytest.raises(ValueError, match="2-cell 0 has a boundary of several cycles"):
        CellComplex.from_boundaries((6, 6, 1), {1: edges, 2: cell})


def test_repr_tells_what_is_in_it():
    complex = cube(3).replace(x={1: torch.zeros(12, 4)}, y=torch.zeros(1, dtype=torch.long))
    expected = "CellComplex(8 vertices, 12 edges, 6 2-cells, 1 3-cells; x[1]: 12x4 float32; y: 1"
    assert repr(complex) == expected + " int64)"
    assert repr(complex.select([0, 0])).startswith("CellComplex(2 complexes; 16 vertices")
