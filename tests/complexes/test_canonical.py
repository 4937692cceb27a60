"""The canonical form depends on the cells alone, for cells of any rank and shape."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spaces import cube, cube_boundaries, torus_7

from topodiff.complexes import CellComplex, batch, canonical_form
from topodiff.complexes.permute import permute_vertices
from topodiff.testing import assert_complex_equal, renumber, reorient
from topodiff.testing.strategies import complexes

seeds = st.integers(0, 1000)


def boundaries_of(complex):
    return {
        r: (complex.boundary_index(r), complex.boundary_sign(r)) for r in range(1, complex.rank + 1)
    }


def scrambled(shape, boundaries, seed):
    """The same cells with other numbers (ranks >= 1), orientations and order of entries."""
    generator = torch.Generator().manual_seed(seed)
    number = [torch.arange(shape[0])]
    number += [torch.randperm(n, generator=generator) for n in shape[1:]]
    turn = [torch.ones(shape[0], dtype=torch.long)]
    turn += [1 - 2 * torch.randint(2, (n,), generator=generator) for n in shape[1:]]
    result = {}
    for r, ((face, cell), sign) in boundaries.items():
        order = torch.randperm(sign.numel(), generator=generator)
        index = torch.stack([number[r - 1][face], number[r][cell]])[:, order]
        result[r] = (index, (sign * turn[r - 1][face] * turn[r][cell])[order])
    return result


@given(complexes(), seeds)
def test_order_and_orientation_of_the_input_do_not_matter(complex, seed):
    again = CellComplex.from_boundaries(
        complex.shape, scrambled(complex.shape, boundaries_of(complex), seed)
    )
    assert_complex_equal(again, complex)


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_cubes_of_any_rank(dim, seed):
    shape, boundaries = cube_boundaries(dim)
    again = CellComplex.from_boundaries(shape, scrambled(shape, boundaries, seed))
    assert_complex_equal(again.validate(), cube(dim).validate())


@given(complexes(), seeds)
def test_order_and_flip_lead_back(complex, seed):
    given = scrambled(complex.shape, boundaries_of(complex), seed)
    form = canonical_form(complex.shape, given)
    for r, (index, sign) in given.items():
        dense = torch.zeros(complex.shape[r - 1], complex.shape[r]).long()
        dense[index[0], index[1]] = sign
        dense = dense[form.order[r - 1]][:, form.order[r]]
        dense = form.flip[r - 1][:, None] * dense * form.flip[r]
        assert (torch.tensor(form.complex.incidence_matrix(r).toarray()) == dense).all()


@given(complexes(), seeds)
def test_renumbered_vertices_give_the_same_cells(complex, seed):
    moved, order, _ = renumber(complex, seed)
    moved.validate()
    for r in range(complex.rank + 1):
        before, after = complex.cells(r), moved.cells(r)
        for k, vertices in enumerate(after):
            assert {int(order[0][v]) for v in vertices} == set(before[int(order[r][k])])


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        ([0, 1, 2], ValueError, r"each of the vertices 0 to 6 once, got \(3,\)"),
        ([0, 1, 2, 3, 4, 5, 5], ValueError, "each of the vertices 0 to 6 once"),
        ([0, 1, 2, 3, 4, 5, 7], ValueError, "each of the vertices 0 to 6 once"),
        ([[0, 1, 2, 3, 4, 5, 6]], ValueError, "each of the vertices 0 to 6 once"),
        ([0.0, 1, 2, 3, 4, 5, 6], TypeError, "order must be whole numbers"),
    ],
)
def test_orders_that_are_no_permutations_are_named(order, error, message):
    with pytest.raises(error, match=message):
        permute_vertices(torus_7(), torch.tensor(order))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8])
def test_data_without_signs_does_not_turn(dtype):
    complex = torus_7().replace(x={r: torch.ones(n, dtype=dtype) for r, n in enumerate((7, 21))})
    order = torch.arange(6, -1, -1)
    with pytest.raises(TypeError, match=rf"x\[1\] is {dtype}, which has no signs"):
        permute_vertices(complex, order, oriented=True)
    assert permute_vertices(complex, order).complex.x[1].all()


def test_unions_are_not_renumbered_as_one():
    with pytest.raises(ValueError, match="takes one complex, got a union of 2"):
        permute_vertices(batch([torus_7(), torus_7()]), torch.arange(14))


@given(complexes(), seeds)
def test_reorientation_is_undone(complex, seed):
    turned, _ = reorient(complex, seed)
    assert_complex_equal(CellComplex.from_boundaries(turned.shape, boundaries_of(turned)), complex)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_cells_with_the_same_vertices_are_ordered_by_their_faces(order):
    disk = CellComplex.from_rings(3, torch.tensor([[0, 1, 2], [1, 2, 0]]), [[0, 1, 2]])
    three_disks = (
        torch.tensor([[0, 1, 2] * 3, [0] * 3 + [1] * 3 + [2] * 3]),
        torch.tensor([1, -1, 1] * 3),
    )
    balls = torch.tensor([[0, 1], [0, 2], [1, 2]])[order]
    index = torch.stack([balls.flatten(), torch.arange(3).repeat_interleave(2)])
    complex = CellComplex.from_boundaries(
        (3, 3, 3, 3), {**boundaries_of(disk), 2: three_disks, 3: (index, torch.tensor([-1, 1] * 3))}
    )
    complex.validate()
    assert complex.boundary_index(3)[0].tolist() == [0, 1, 0, 2, 1, 2]
    assert complex.betti_numbers() == [1, 0, 0, 1]


def test_vertices_of_cells_of_rank_3_and_4():
    assert cube(3).cells(3) == [tuple(range(8))]
    assert cube(4).cells(4) == [tuple(range(16))]
    assert cube(4).shape == (16, 32, 24, 8, 1)
    assert all(len(volume) == 8 for volume in cube(4).cells(3))
    with pytest.raises(ValueError, match="ranks 0 to 2, asked for 3"):
        torus_7().cells(3)
