"""Unions: batch and unbatch, selection, data loaders."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spaces import cube, hemicube, torus_7
from torch.utils.data import BatchSampler, DataLoader

from topodiff.complexes import CellComplex, batch, unbatch
from topodiff.testing import assert_complex_equal
from topodiff.testing.strategies import batches, complexes, with_data

POINT = CellComplex.from_simplices([(0,)])
EMPTY = CellComplex.from_simplices([])
NO_EDGES = CellComplex.from_edges(3, torch.zeros(2, 0))
UNLIKE = [torus_7(), POINT, cube(4), EMPTY, NO_EDGES, hemicube(), cube(1)]


@given(st.lists(complexes(), min_size=1, max_size=6), st.booleans())
def test_unbatching_gives_back_the_inputs(parts, data):
    if data:
        parts = [with_data(part, seed) for seed, part in enumerate(parts)]
    union = batch(parts).validate()
    assert len(union) == len(parts)
    assert union.rank == max(part.rank for part in parts)
    for actual, expected in zip(unbatch(union), parts, strict=True):
        assert_complex_equal(actual, expected)


def test_missing_ranks_empty_complexes_and_points(dtype):
    parts = [with_data(part, seed) for seed, part in enumerate(UNLIKE)]
    union = batch(parts).validate()
    assert union.ranks.tolist() == [2, 0, 4, 0, 1, 2, 1]
    assert union.x[0].dtype == dtype
    for i, part in enumerate(parts):
        assert_complex_equal(union[i], part)
        assert_complex_equal(union[i - len(parts)], part)
        for r in range(union.rank + 1):
            assert (union.membership(r) == i).sum() == part.num_cells(r)


@given(batches(), st.data())
def test_selection_is_the_union_of_the_chosen(union, data):
    size = len(union)
    which = data.draw(st.lists(st.integers(-size, size - 1), max_size=6))
    chosen = union.select(which).validate()
    assert len(chosen) == len(which)
    for actual, index in zip(chosen, which, strict=True):
        assert_complex_equal(actual, union[index])
    if which:
        again = batch([union[i] for i in which])
        assert chosen.skeleton(again.rank).equals(again)
    assert_complex_equal(union.select(torch.tensor(which, dtype=torch.int32)), chosen)
    assert_complex_equal(union[1:], union.select(range(1, size)))
    assert_complex_equal(union[::-1], union.select(range(size)[::-1]))


@given(batches(), batches())
def test_unions_of_unions_are_flat(a, b):
    parts = unbatch(a) + unbatch(b)
    assert_complex_equal(batch([a, b]), batch(parts))


def test_a_single_complex_is_a_union_of_one():
    complex = with_data(torus_7())
    assert len(complex) == 1
    assert_complex_equal(complex[0], complex)
    assert_complex_equal(unbatch(complex)[0], complex)
    assert_complex_equal(complex.select([0, 0])[1], complex)


@given(batches(), st.data())
def test_numbers_in_brackets_select(union, data):
    size = len(union)
    which = data.draw(st.lists(st.integers(-size, size - 1), max_size=4))
    chosen = union.select(which)
    for numbers in (which, tuple(which), np.array(which, dtype=np.int64), torch.tensor(which)):
        assert_complex_equal(union[numbers], chosen)
    for number in which:
        for one in (np.int64(number), np.array(number), torch.tensor(number)):
            assert_complex_equal(union[one], union[number])


def test_a_part_neither_keeps_nor_follows_its_union():
    union = with_data(batch([torus_7(), cube(2)])).to("cpu")
    for part in (union[1], unbatch(union)[1]):
        tensors = [part.boundary_index(1), part.boundary_sign(1), part.x[0], part.positions, part.y]
        for tensor in tensors:
            assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    x = torch.randn(11, 2, requires_grad=True)
    part = union.replace(x={0: x})[1]
    part.x[0].sum().backward()
    assert x.grad[:7].abs().sum() == 0
    assert (x.grad[7:] == 1).all()


def test_a_batch_sampler_alone_makes_batches():
    union = batch([with_data(part, seed) for seed, part in enumerate(UNLIKE * 2)])
    sampler = BatchSampler(range(len(union)), batch_size=4, drop_last=False)
    loader = DataLoader(union, sampler=sampler, batch_size=None)
    batches = list(loader)
    assert [len(b) for b in batches] == [4, 4, 4, 2]
    assert_complex_equal(batch(batches), union)


def test_an_empty_selection_keeps_widths_and_joins():
    complex = with_data(torus_7())
    nothing = complex.select([]).validate()
    assert nothing.shape == (0, 0, 0)
    assert (len(nothing), nothing.x[1].shape, nothing.y.shape) == (0, (0, 2), (0, 1))
    assert_complex_equal(batch([nothing, complex]), batch([complex]))


def test_cells_of_a_union_do_not_mix():
    union = batch([cube(3), torus_7(), cube(3)])
    assert union.cells(0) == [(i,) for i in range(23)]
    assert union.cells(3) == [tuple(range(8)), tuple(range(15, 23))]
    assert union.cells(2)[6:20] == [tuple(v + 8 for v in t) for t in torus_7().cells(2)]


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([0, 7], IndexError, "complex 7 asked for in a union of 7"),
        ([-8], IndexError, "complex -8"),
        (torch.tensor([True] * 7), TypeError, r"whole numbers, got torch\.bool"),
        ([0.5], TypeError, "whole numbers"),
    ],
)
def test_wrong_selections_are_named(indices, error, message):
    with pytest.raises(error, match=message):
        batch(UNLIKE).select(indices)
    with pytest.raises(error, match=message):
        batch(UNLIKE)[indices]


def test_other_mistakes_with_unions_are_named():
    union = batch(UNLIKE)
    with pytest.raises(TypeError, match="takes one CellComplex, got list"):
        unbatch([union])
    with pytest.raises(TypeError, match="whole numbers"):
        union[True]
    with pytest.raises(TypeError, match="whole numbers, got str"):
        union["first"]
    for rank in (-1, 5):
        with pytest.raises(ValueError, match=rf"ranks 0 to 4, asked for {rank}"):
            union.membership(rank)


def test_what_does_not_fit_together_is_named():
    complex = torus_7()
    with pytest.raises(ValueError, match="at least one complex"):
        batch([])
    with pytest.raises(TypeError, match="got str"):
        batch([complex, "torus"])
    with pytest.raises(ValueError, match=r"x\[0\] is given on 1 of 2 complexes"):
        batch([complex, complex.replace(x={0: torch.zeros(7, 1)})])
    with pytest.raises(ValueError, match=r"x\[0\] differs in width or dtype"):
        batch([complex.replace(x={0: torch.zeros(7, k)}) for k in (1, 2)])
    with pytest.raises(ValueError, match="y is given on 1 of 2"):
        batch([complex, complex.replace(y=torch.zeros(1))])


def test_data_on_cells_that_some_complexes_do_not_have():
    with_triangles = torus_7().replace(
        x={2: torch.ones(14, 2)}, positions=torch.zeros(7, 3), y=torch.zeros(1)
    )
    graph = torus_7().skeleton(1).replace(positions=torch.zeros(7, 3), y=torch.zeros(1))
    union = batch([graph, with_triangles, EMPTY.replace(y=torch.zeros(1))]).validate()
    assert union.x[2].shape == (14, 2)
    assert union[0].x == {}
    assert union[1].equals(with_triangles)


@given(batches())
def test_pickling(union):
    for r in range(1, union.rank + 1):
        union.lower_adjacency(r)  # cached relations travel too
    assert_complex_equal(pickle.loads(pickle.dumps(union)), union)


@pytest.mark.parametrize("workers", [0, 2])
def test_data_loader_over_a_union(workers):
    union = batch([with_data(part, seed) for seed, part in enumerate(UNLIKE * 3)])
    loader = DataLoader(
        range(len(union)), batch_size=4, collate_fn=union.select, num_workers=workers
    )
    assert_complex_equal(batch(list(loader)), union)


@pytest.mark.parametrize("workers", [0, 2])
def test_data_loader_over_a_list(workers):
    parts = [with_data(part, seed) for seed, part in enumerate(UNLIKE * 3)]
    loader = DataLoader(parts, batch_size=4, collate_fn=batch, num_workers=workers)
    assert_complex_equal(batch(list(loader)), batch(parts))


def test_dtype_changes_floating_data_alone(dtype):
    complex = with_data(batch(UNLIKE))
    moved = complex.to(dtype=torch.float16).to("cpu")
    assert {t.dtype for t in moved.x.values()} == {torch.float16}
    assert moved.positions.dtype == moved.y.dtype == moved.weights[1].dtype == torch.float16
    assert moved.labels[0].dtype == moved.boundary_sign(1).dtype == torch.long
    assert moved.validate().to(dtype=dtype).x[0].dtype == dtype
    assert torch.equal(moved.x[1].to(dtype), complex.x[1].half().to(dtype))


def test_equals_sees_every_difference():
    complex = with_data(torus_7())
    assert complex.equals(with_data(torus_7()))
    nan = complex.replace(y=torch.tensor([[float("nan")]]))
    assert nan.equals(nan.to("cpu"))
    wide = complex.replace(y=torch.ones(1, 2))
    different = [
        nan, wide, torus_7(), complex.select([0]), complex.skeleton(1), hemicube(), "torus",
        complex.replace(y=torch.ones(1, 1)), complex.to(dtype=torch.float16),
        complex.replace(x={**complex.x, 0: complex.x[0] + 1}), complex.replace(weights=None),
    ]  # fmt: skip
    assert not any(complex.equals(other) for other in different)
    assert not complex.replace(y=torch.ones(1, 1)).equals(wide)


def test_replace_refuses_unknown_data():
    with pytest.raises(TypeError, match="shape"):
        torus_7().replace(shape=(7,))


def test_ranks_may_be_any_integers():
    x = torch.zeros(7, 1)
    complex = torus_7().replace(x={np.int64(0): x})
    assert complex.x == {0: x}
    assert {type(rank) for rank in complex.x} == {int}


def test_to_says_what_it_takes():
    with pytest.raises(
        TypeError, match=r"takes a device, and dtype=\.\.\. by name, got torch\.float64"
    ):
        torus_7().to(torch.float64)
    with pytest.raises(TypeError, match=r"dtype must be .* got 'float64'"):
        torus_7().to("cpu", dtype="float64")
