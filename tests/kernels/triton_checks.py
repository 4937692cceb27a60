"""The Triton kernels against the reference: run by test_triton.py where there is something to run
them on, a GPU or the interpreter."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from kernel_cases import _poisoned, make_case
from kernel_operations import OPERATIONS
from torch import Tensor

from topodiff import kernels
from topodiff.kernels import cpu, sheaf

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-13}


@pytest.fixture(autouse=True)
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_empty", _poisoned)


def assert_matches(run: Callable[..., Tensor], inputs: list[Tensor]) -> None:
    """Values and gradients of both."""
    results = []
    for name in ("reference", "triton"):
        leaves = [x.detach().to(DEVICE).requires_grad_() for x in inputs]
        with kernels.use(name):
            out = run(*leaves)
            seed = torch.arange(out.numel(), dtype=out.dtype, device=DEVICE).sin()
            gradients = torch.autograd.grad(out, leaves, seed.reshape(out.shape))
        results.append([out.detach(), *gradients])
    tolerance = TOLERANCE[inputs[0].dtype]
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=10 * tolerance)


class Graph:
    """7 vertices, the last isolated, and 7 edges, a loop and a double edge among them."""

    def __init__(self, index_dtype: torch.dtype = torch.int64) -> None:
        face = torch.tensor([0, 1, 0, 1, 1, 2, 2, 2, 3, 0, 3, 4, 3, 5])
        with kernels.use("reference"):
            face_ptr, by_face = kernels.sort_by_key(face, 7)
        cell = torch.arange(7).repeat_interleave(2)
        arrays = face, cell, torch.arange(0, 15, 2), face_ptr, by_face
        arrays = tuple(a.to(DEVICE, index_dtype) for a in arrays)
        self.incidence = arrays
        self.edges = arrays[0], *arrays[3:]


def maps(count: int, d: int, form: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(count, *[d] * (form - 1), dtype=dtype)


SHAPES = [(1, 1), (2, 3), (3, 70), (4, 1), (5, 2), (8, 9)]
FORMS = pytest.mark.parametrize("form", [1, 2, 3])
STALKS = pytest.mark.parametrize(("d", "channels"), SHAPES)
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE)


@STALKS
@FORMS
def test_block_matmul(d: int, channels: int, form: int) -> None:
    graph, dtype = Graph(), torch.float32 if form % 2 else torch.float64
    inputs = [torch.randn(7, d, channels, dtype=dtype), maps(7, d, form, dtype)]
    if d != 2:
        inputs.append(maps(7, d, 1 + (form + d) % 3, dtype))
    assert_matches(lambda x, b, a=None: kernels.block_matmul(x, a, b, *graph.edges), inputs)


@STALKS
@FORMS
def test_sheaf_matmul(d: int, channels: int, form: int) -> None:
    dtype, index = (torch.float64, torch.float32)[form % 2], (torch.int64, torch.int32)[d % 2]
    graph, transpose = Graph(index), (form + d) % 2 == 0
    inputs = [torch.randn(7, d, channels, dtype=dtype), maps(14, d, form, dtype)]
    assert_matches(lambda x, m: kernels.sheaf_matmul(x, m, *graph.incidence, transpose), inputs)


def test_same_bits_every_time() -> None:
    graph, x, blocks = Graph(), torch.randn(7, 3, 5), maps(7, 3, 3, torch.float32)
    x, blocks = x.to(DEVICE), blocks.to(DEVICE)
    with kernels.use("triton"):
        results = [kernels.block_matmul(x, None, blocks, *graph.edges) for _ in range(2)]
        outer = [sheaf.block_outer(x, x.cos(), *graph.edges, 3) for _ in range(2)]
    assert torch.equal(*results)
    assert torch.equal(*outer)


@DTYPES
@pytest.mark.parametrize("d", [*range(1, 9), 17])
def test_small_matmul(d: int, dtype: torch.dtype) -> None:
    a, b = torch.randn(9, d, d, dtype=dtype), torch.randn(9, d, 2 * d, dtype=dtype)
    for ta, tb in ((False, False), (True, False), (False, True), (True, True)):
        assert_matches(
            lambda a, b, ta=ta, tb=tb: kernels.small_matmul(a, b[:, :, ::2], ta, tb), [a, b]
        )


ROWS = [n for n in OPERATIONS if "sum" in n or "mean" in n or "bound" in n or "softmax" in n]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("channels", [(), (2, 35)])
def test_rows(name: str, channels: tuple[int, ...]) -> None:
    operation = OPERATIONS[name]
    dtype = torch.float32 if channels else torch.float64
    case = make_case([2, 0, 3, 5, 0], 4, channels, dtype, strided=not channels)
    inputs = [getattr(case, field) for field in operation.inputs]
    for field in ("ptr", "index", "cell", "face_ptr", "by_face"):
        setattr(case, field, getattr(case, field).to(DEVICE))
    assert_matches(lambda *x: operation.run(case, *x), inputs)


@pytest.mark.parametrize("squash", kernels.SQUASHES)
@pytest.mark.parametrize("heads", [1, 3, 130])
@pytest.mark.parametrize("ordered", [False, True])
def test_weights(squash: str, heads: int, ordered: bool) -> None:
    dtype, index = (torch.float64, torch.float32)[heads % 2], (torch.int64, torch.int32)[ordered]
    ptr = torch.tensor([0, 2, 2, 9, 10]).to(DEVICE, index)
    order = torch.tensor([3, 1, 0, 9, 4, 2, 8, 6, 7, 5]).to(DEVICE, index) if ordered else None
    scores = 3 * torch.randn(10, heads, dtype=dtype)
    scores[0] = scores[3]
    assert_matches(lambda s: kernels.segment_weights(s, ptr, order, squash), [scores])


def test_second_derivative() -> None:
    graph = Graph()
    x = torch.randn(7, 3, 2, dtype=torch.float64, device=DEVICE, requires_grad=True)
    blocks = maps(7, 3, 3, torch.float64).to(DEVICE).requires_grad_()
    found = []
    for name in ("reference", "triton"):
        with kernels.use(name):
            out = kernels.block_matmul(x, None, blocks, *graph.edges)
            (first,) = torch.autograd.grad(out.sin().sum(), x, create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), blocks)[0])
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sums_in_single(dtype: torch.dtype) -> None:
    """300 ones: their sum is no number of 8 bits, and adding 1 to 256 gives 256."""
    x = torch.ones(300, 2, dtype=dtype, device=DEVICE)
    ptr = torch.tensor([0, 0, 300], device=DEVICE)
    with kernels.use("triton"):
        assert kernels.segment_reduce(x, ptr)[1].tolist() == [300.0, 300.0]


def test_nothing_to_do() -> None:
    empty = torch.zeros(0, dtype=torch.long, device=DEVICE)
    x, ptr = torch.ones(3, 2, 0, device=DEVICE), torch.zeros(4, dtype=torch.long, device=DEVICE)
    no_blocks = torch.zeros(0, 2, 2, device=DEVICE)
    with kernels.use("triton"):
        assert kernels.block_matmul(x, None, no_blocks, empty, ptr, empty).shape == x.shape
        x = torch.ones(3, 2, 5, device=DEVICE)
        assert not kernels.block_matmul(x, None, no_blocks, empty, ptr, empty).any()
        outer = sheaf.block_outer(x[:, :, :0], x[:, :, :0], ptr.new_tensor([0, 1]), ptr, ptr, 3)
        assert outer.shape == (1, 2, 2)
        assert not outer.any()
        assert kernels.small_matmul(no_blocks, no_blocks).shape == (0, 2, 2)
        assert kernels.segment_softmax(x[:0], ptr[:1]).shape == (0, 2, 5)


def test_an_index_out_of_range_reads_nothing() -> None:
    x, ptr = torch.ones(3, 2, device=DEVICE), torch.tensor([0, 2, 4], device=DEVICE)
    index = torch.tensor([0, 2, 1, 3], device=DEVICE)
    with kernels.use("triton"):
        out = kernels.gather_reduce(x, index, ptr)
        weights = kernels.segment_weights(torch.ones(4, 2, device=DEVICE), ptr, index + 1)
    assert out[0].tolist() == [2.0, 2.0]
    assert out[1].isnan().all()
    assert weights.isnan().tolist() == [True, False, False, False]
