"""Products with stalks: values, gradients of first and second order, torch.library contracts."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from fuzz_sheaf import fuzz
from kernel_cases import COMPILED, implementation
from sheaf_cases import (
    COMPILED_SETS,
    PRODUCTS,
    SheafCase,
    inputs_of,
    make_sheaf_case,
    names_for,
)
from torch import Tensor

from topodiff.kernels import block_matmul, sheaf_cpu, sheaf_matmul
from topodiff.kernels import sheaf as ops
from topodiff.testing import assert_compiles

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]
CHANNELS = [0, 1, 2, 3, 5, 8, 17, 33, 64, 70, 131]
needs_compiled = pytest.mark.skipif(not COMPILED, reason="the compiled kernels are not built")


def values_and_gradients(name: str, case: SheafCase) -> list[Tensor]:
    inputs = [x.detach().requires_grad_() for x in inputs_of(name, case)]
    out = PRODUCTS[name][0](case, *inputs)
    seed = torch.arange(out.numel(), dtype=out.dtype).reshape(out.shape).remainder(5) - 2
    return [out, *torch.autograd.grad(out, inputs, seed)]


def assert_matches_reference(case: SheafCase, which: tuple) -> None:
    for name in names_for(case):
        with implementation("reference"):
            expected = values_and_gradients(name, case)
        with implementation(*which):
            actual = values_and_gradients(name, case)
        for a, e in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, e, rtol=0, atol=0)


@pytest.mark.parametrize("which", COMPILED_SETS, ids=lambda w: w[1])
@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("d", [*range(1, 10), 12, 17])
def test_matches_reference(d: int, kind: int, which: tuple) -> None:
    rng = np.random.default_rng([d, kind])
    for k, channels in enumerate(CHANNELS):
        dtype = (torch.float32, torch.float64)[k % 2]
        index_dtype = (torch.int64, torch.int32)[k // 2 % 2]
        case = make_sheaf_case(
            rng, 7, 5, 12, d, channels, kind, k % 4, dtype, index_dtype, strided=k % 3 == 1
        )
        assert_matches_reference(case, which)


@pytest.mark.parametrize("which", COMPILED_SETS, ids=lambda w: w[1])
@pytest.mark.parametrize("shape", [(0, 0, 0), (1, 0, 0), (4, 3, 0), (1, 2, 3)])
def test_nothing_to_sum(shape: tuple[int, int, int], which: tuple) -> None:
    for diagonal_kind in range(4):
        case = make_sheaf_case(np.random.default_rng(0), *shape, 3, 5, 3, diagonal_kind)
        assert_matches_reference(case, which)


@pytest.mark.parametrize("which", COMPILED_SETS, ids=lambda w: w[1])
def test_long_segments_and_rows_that_are_asked_for_early(which: tuple) -> None:
    """Segments of thousands of entries, more rows than the second cache holds."""
    case = make_sheaf_case(
        np.random.default_rng(1), 3000, 3, 9000, 3, 70, 3, 2, torch.float32, longest=5000
    )
    assert_matches_reference(case, which)


@needs_compiled
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_same_bits_for_any_number_of_threads(name: str, kind: int) -> None:
    case = make_sheaf_case(np.random.default_rng(2), 900, 700, 4000, 4, 19, kind, kind, longest=9)
    g = torch.Generator().manual_seed(0)
    for field in ("faces", "cells", "maps", "blocks", "diagonal"):
        shape = getattr(case, field).shape
        setattr(case, field, torch.randn(shape, generator=g, dtype=torch.float64))
    before, seen = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            with implementation("cpu"):
                seen.append(values_and_gradients(name, case))
    finally:
        torch.set_num_threads(before)
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))


@needs_compiled
def test_random_cases() -> None:
    assert fuzz(1000, seed=1) > 8000


# ---- derivatives and contracts


def small_case(kind: int, d: int = 2) -> SheafCase:
    return make_sheaf_case(np.random.default_rng(kind), 4, 3, 5, d, 2, kind, kind)


@pytest.mark.parametrize("implementation_name", NAMES)
@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("name", PRODUCTS)
def test_first_and_second_derivatives(name: str, kind: int, implementation_name: str) -> None:
    case = small_case(kind)
    g = torch.Generator().manual_seed(1)
    inputs = [
        torch.randn(x.shape, generator=g, dtype=torch.float64, requires_grad=True)
        for x in inputs_of(name, case)
    ]
    with implementation(implementation_name):
        assert torch.autograd.gradcheck(lambda *x: PRODUCTS[name][0](case, *x), inputs)
        assert torch.autograd.gradgradcheck(lambda *x: PRODUCTS[name][0](case, *x), inputs)


def _library_calls(case: SheafCase) -> dict[str, tuple]:
    def leaf(x: Tensor | None) -> Tensor:
        assert x is not None
        return x.float().requires_grad_()

    faces, cells, kind = leaf(case.faces), leaf(case.cells), case.maps.dim()
    return {
        "sheaf_sum": (faces, leaf(case.maps), *case.incidence, True),
        "sheaf_outer": (cells, faces, *case.incidence, kind),
        "_block_matmul": (faces, leaf(case.diagonal), leaf(case.blocks), *case.graph),
        "block_outer": (faces, faces.detach() + 1, *case.graph, kind),
    }


@pytest.mark.parametrize("implementation_name", NAMES)
@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("name", _library_calls(small_case(3)))
def test_opcheck(name: str, kind: int, implementation_name: str) -> None:
    arguments = _library_calls(small_case(kind))[name]
    with implementation(implementation_name):
        torch.library.opcheck(getattr(ops, name).overload, arguments)


@pytest.mark.parametrize("name", PRODUCTS)
def test_compiles_without_graph_breaks(name: str) -> None:
    case = small_case(3)
    inputs = [x.detach().clone().requires_grad_() for x in inputs_of(name, case)]
    assert_compiles(partial(PRODUCTS[name][0], case), *inputs)


# ---- what is looked up once


@needs_compiled
def test_writing_to_the_graph_is_seen() -> None:
    face, face_ptr, by_face = torch.tensor([0, 1]), torch.tensor([0, 1, 2]), torch.tensor([0, 1])
    x = torch.tensor([[[1.0]], [[10.0]]])
    graph = (face, face_ptr, by_face)
    assert block_matmul(x, None, torch.ones(1), *graph).flatten().tolist() == [10.0, 1.0]
    face[1] = 0  # the entry of vertex 0 now reads vertex 0
    assert block_matmul(x, None, torch.ones(1), *graph).flatten().tolist() == [1.0, 1.0]
    by_face.copy_(torch.tensor([1, 0]))
    assert block_matmul(x, None, torch.ones(1), *graph).flatten().tolist() == [1.0, 1.0]


@needs_compiled
def test_what_was_looked_up_goes_with_the_graph() -> None:
    case = small_case(3)
    before = len(sheaf_cpu._kept)
    sheaf_matmul(case.cells, case.maps, *case.incidence)
    block_matmul(case.faces, None, case.blocks, *case.graph)
    block_matmul(case.faces, None, case.blocks, *case.graph)
    assert len(sheaf_cpu._kept) == before + 2
    del case
    assert len(sheaf_cpu._kept) == before


@needs_compiled
def test_inference_mode() -> None:
    with torch.inference_mode():
        case = small_case(3)
        before = len(sheaf_cpu._kept)
        out = block_matmul(case.faces, None, case.blocks, *case.graph)
        assert len(sheaf_cpu._kept) == before
    with implementation("reference"):
        expected = block_matmul(case.faces, None, case.blocks, *case.graph)
    assert torch.equal(out, expected)


@needs_compiled
def test_more_entries_than_can_be_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheaf_cpu, "_MOST", 2)
    monkeypatch.setattr(sheaf_cpu, "_look_up", None)
    assert_matches_reference(small_case(3), ("cpu", None))


@needs_compiled
def test_same_index_in_two_orders() -> None:
    """The same arrays serve as incidences and as a graph."""
    case = small_case(3)
    face, face_ptr, by_face = case.graph
    edge = torch.arange(face.shape[0]) // 2
    edge_ptr = torch.arange(0, face.shape[0] + 1, 2)
    ones, minus = torch.ones(face.shape[0]).double(), -torch.ones(face.shape[0] // 2).double()
    signs = ones * torch.tensor([-1.0, 1.0]).double().repeat(face.shape[0] // 2)
    incidence = (face, edge, edge_ptr, face_ptr, by_face)
    y = sheaf_matmul(case.faces, signs, *incidence, transpose=True)
    twice = sheaf_matmul(y, signs, *incidence)
    degree = face_ptr.diff().double()
    torch.testing.assert_close(twice, block_matmul(case.faces, degree, minus, *case.graph))
