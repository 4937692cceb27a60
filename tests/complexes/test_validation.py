"""validate() and the constructor name every kind of violation."""

import pytest
import torch
from spaces import cube, torus_7

from topodiff.complexes import CellComplex, batch
from topodiff.testing.strategies import with_data


def square(**changes):
    """Two triangles on four vertices, with parts of the constructor's arguments replaced."""
    edges = torch.tensor([[0, 1, 0, 2, 0, 3, 1, 2, 2, 3], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]])
    faces = torch.tensor([[0, 1, 3, 1, 2, 4], [0, 0, 0, 1, 1, 1]])
    parts = {
        "shape": (4, 5, 2), "edges": edges, "ends": torch.tensor([-1, 1] * 5), "faces": faces,
        "turns": torch.tensor([1, -1, 1] * 2), "data": {}, **changes,
    }  # fmt: skip
    boundaries = [(parts["edges"], parts["ends"]), (parts["faces"], parts["turns"])]
    return CellComplex(parts["shape"], boundaries, **parts["data"])


def changed(tensor, place, value):
    tensor = tensor.clone()
    tensor[place] = value
    return tensor


GOOD = square()
EDGES, ENDS = GOOD.boundary_index(1), GOOD.boundary_sign(1)
FACES, TURNS = GOOD.boundary_index(2), GOOD.boundary_sign(2)


def test_the_square_itself_is_valid():
    assert square().validate().cells(2) == [(0, 1, 2), (0, 2, 3)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edges": changed(EDGES, (0, 3), 4)}, "rank 1: entry 3 refers to face 4, but there are 4"),
        ({"edges": changed(EDGES, (0, 3), -1)}, "rank 1: entry 3 refers to face -1"),
        ({"faces": changed(FACES, (1, 5), 2)}, "rank 2: entry 5 refers to cell 2, but there are 2"),
        ({"edges": EDGES[0]}, r"index must be \(2, nnz\)"),
        ({"ends": ENDS[:-1]}, r"index must be \(2, nnz\)"),
        ({"ends": ENDS.float()}, "must be long"),
        ({"edges": EDGES.int()}, "must be long"),
        ({"turns": changed(TURNS, 2, 0)}, "sign 0 of entry 2"),
        ({"faces": changed(FACES, (0, 1), 0)}, r"face 0 occurs twice in cell 0 \(entry 1\)"),
        ({"ends": changed(ENDS, 0, 1)}, "edge 0 has 2 ends with signs summing to 2"),
        ({"edges": changed(EDGES, (1, 9), 3)}, "edge 3 has 3 ends"),
        ({"shape": (4, 5, 3)}, "cell 2 has fewer than two faces"),
        ({"turns": changed(TURNS, 1, 1)}, "cell 0 is not closed"),
        ({"turns": changed(TURNS, 4, 1)}, "cell 1 is not closed"),
        ({"turns": -TURNS}, "first face of cell 0 must carry the sign 1"),
        ({"ends": -ENDS}, "first face of cell 0 must carry the sign -1"),
        ({"edges": EDGES[:, [1, 0, *range(2, 10)]], "ends": changed(ENDS, [0, 1], ENDS[[1, 0]])},
         "entries 0 and 1 are not sorted"),
        ({"faces": FACES[:, [3, 4, 5, 0, 1, 2]]}, "entries 2 and 3 are not sorted"),
        ({"faces": torch.stack([FACES[0, [3, 4, 5, 0, 1, 2]], FACES[1]])},
         "2-cell 0 is out of canonical order"),
    ],
)  # fmt: skip
def test_wrong_boundaries_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        square(**changes).validate()


def test_edges_out_of_order_and_parallel_edges():
    ends = torch.tensor([-1, 1, -1, 1])
    for index, message in [
        ([[1, 2, 0, 1], [0, 0, 1, 1]], "1-cell 0 is out of canonical order"),
        ([[0, 1, 0, 1], [0, 0, 1, 1]], "two edges join the vertices 0 and 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            CellComplex((3, 2), [(torch.tensor(index), ends)]).validate()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ptr", lambda p: (p[0], p[1] + 1, p[2]), "ptr of rank 1 must rise from 0 to 42"),
        ("ptr", lambda p: (p[0].flip(0), p[1], p[2]), "ptr of rank 0 must rise"),
        ("ptr", lambda p: (p[0], p[1], p[2][:-1]), r"ptr of rank 2 must be long \(3,\)"),
        ("ptr", lambda p: (p[0], p[1], p[2].int()), "ptr of rank 2 must be long"),
        ("ptr", lambda p: (p[0], changed(p[1], 1, 20), p[2]), "rank 1: entry 40 joins cells of"),
        ("ranks", lambda r: r[:1], r"ranks must be long \(2,\)"),
        ("ranks", lambda r: changed(r, 1, 1), "complex 1 of the union has 2-cells, but rank 1"),
    ],
)
def test_wrong_unions_are_named(field, value, message):
    union = batch([torus_7(), torus_7()])
    parts = {"ptr": union.ptr, "ranks": union.ranks}
    parts[field] = value(parts[field])
    boundaries = [(union.boundary_index(r), union.boundary_sign(r)) for r in (1, 2)]
    with pytest.raises(ValueError, match=message):
        CellComplex(union.shape, boundaries, **parts).validate()


@pytest.mark.parametrize(
    ("shape", "ptr", "message"),
    [
        ((), None, "shape must be"),
        ((4, -5, 2), None, "shape must be"),
        ((4, 5.5, 2), None, "shape must be .* whole counts"),
        ((4, 5), None, "needs 1 boundaries, one for each rank from 1, got 2"),
        ((4, 5, 2), [torch.tensor([0, 4])], "needs 3 ptr, got 1"),
    ],
)
def test_wrong_shapes_are_named(shape, ptr, message):
    with pytest.raises(ValueError, match=message):
        square(shape=shape, data={"ptr": ptr})


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"x": {1: torch.zeros(4, 2)}}, ValueError, r"x\[1\] has shape \(4, 2\).*must be 5, the"),
        ({"x": {3: torch.zeros(4)}}, ValueError, r"x\[3\] given, but ranks go from 0 to 2"),
        ({"weights": {0: torch.tensor(1.0)}}, ValueError, r"weights\[0\] has shape \(\)"),
        ({"labels": {0: [1, 2, 3, 4]}}, TypeError, r"labels\[0\] must be a torch.Tensor, got list"),
        ({"positions": torch.zeros(5, 3)}, ValueError, "must be 4, the number of vertices"),
        ({"y": torch.zeros(4)}, ValueError, "must be 1, the number of complexes"),
        ({"x": torch.zeros(4, 2)}, TypeError, "x must be a dict from rank to tensor, got Tensor"),
        ({"x": {"0": torch.zeros(4, 2)}}, TypeError, "x must be a dict from rank"),
    ],
)
def test_wrong_data_are_named(data, error, message):
    for build in (lambda: square(data=data), lambda: square().replace(**data)):
        with pytest.raises(error, match=message):
            build()


def test_validate_returns_the_complex():
    complex = with_data(cube(4))
    assert complex.validate() is complex


@pytest.mark.parametrize("rank", [-1, "a", 1.0])
def test_wrong_ranks_of_a_skeleton_are_named(rank):
    with pytest.raises(ValueError, match=f"rank must be a whole number >= 0, got {rank!r}"):
        cube(4).skeleton(rank)
