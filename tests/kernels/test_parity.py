"""Every implementation gives the values and gradients of the reference."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from kernel_cases import IMPLEMENTATIONS, Case, cases, implementation, make_case
from kernel_operations import OPERATIONS, Operation
from torch import Tensor

from topodiff import kernels

QUICK = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
)


def values_and_gradients(operation: Operation, case: Case) -> list[Tensor]:
    inputs = [getattr(case, name).detach().requires_grad_() for name in operation.inputs]
    out = operation.run(case, *inputs)
    seed = torch.arange(out.numel(), dtype=out.dtype).reshape(out.shape).sin()
    return [out, *torch.autograd.grad(out, inputs, seed)]


def assert_matches_reference(operation: Operation, case: Case, which: tuple) -> None:
    with implementation("reference"):
        expected = values_and_gradients(operation, case)
    with implementation(*which):
        actual = values_and_gradients(operation, case)
        without_gradient = operation.run(case, *[getattr(case, n) for n in operation.inputs])
    tolerance = 2e-5 if case.entries.dtype is torch.float32 else 1e-12
    for a, e in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, e, rtol=tolerance, atol=10 * tolerance)
    torch.testing.assert_close(without_gradient, actual[0].detach(), rtol=0, atol=0)


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("name", OPERATIONS)
@QUICK
@given(case=cases())
def test_matches_reference(name: str, which: tuple, case: Case) -> None:
    assert_matches_reference(OPERATIONS[name], case, which)


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("channels", [(1,), (33,)])
def test_matches_reference_where_threads_share_the_work(
    name: str, which: tuple, channels: tuple[int, ...]
) -> None:
    lengths = [s % 7 for s in range(2000)] + [0, 700, 0, 50_000 // channels[0]]
    case = make_case(lengths, 1500, channels)
    assert_matches_reference(OPERATIONS[name], case, which)


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("name", [n for n in OPERATIONS if "coface" not in n])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matches_reference_where_rows_are_far(name: str, which: tuple, dtype: torch.dtype) -> None:
    """More rows than the second cache holds, of one channel; segments short and long."""
    lengths = [s % 40 for s in range(300)] + [1023, 1024, 1025, 4000]
    assert_matches_reference(OPERATIONS[name], make_case(lengths, 300_000, (1,), dtype), which)


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("rows", [50, 300_000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_of_one_channel_stay_within_their_segment(which, rows, dtype):
    lengths = torch.arange(1, 150) % 70
    ptr = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
    odd = torch.arange(149).repeat_interleave(lengths) % 2 == 1
    values = torch.tensor([1.0, torch.nan], dtype=dtype)
    expected = torch.where((torch.arange(149) % 2 == 1) & (lengths > 0), torch.nan, lengths)
    with implementation(*which):
        sums = kernels.segment_reduce(values[odd.long()], ptr)
        x = torch.zeros(rows, dtype=dtype)
        x[[rows - 2, rows - 1]] = values
        gathered = kernels.gather_reduce(x, rows - 2 + odd.long(), ptr)
    for found in (sums, gathered):
        torch.testing.assert_close(found, expected.to(dtype), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("index_dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (1000, 3), (300_000, 1000)])
def test_sort_by_key(which: tuple, index_dtype: torch.dtype, shape: tuple[int, int]) -> None:
    n, num_keys = shape
    key = torch.randint(0, max(num_keys, 1), (n,), dtype=index_dtype)
    with implementation(*which):
        ptr, perm = kernels.sort_by_key(key, num_keys)
    assert ptr.dtype == perm.dtype == index_dtype
    assert torch.equal(perm.long(), torch.sort(key, stable=True).indices)
    counts = torch.bincount(key, minlength=num_keys) if n else torch.zeros(num_keys)
    assert ptr[0] == 0
    assert torch.equal(ptr.diff().long(), counts.long())


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("activation", kernels.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activations_over_their_whole_range(
    which: tuple, activation: str, dtype: torch.dtype
) -> None:
    """An edge hands each end the activation of the other."""
    sizes = torch.logspace(-30, 4, 600, dtype=torch.float64)
    z = torch.cat([-sizes, torch.zeros(1, dtype=torch.float64), sizes]).to(dtype)
    other = torch.zeros_like(z)
    p = torch.stack([z, other]).requires_grad_()
    face, cell_ptr = torch.tensor([0, 1]), torch.tensor([0, 2])
    arrays = (face, cell_ptr, torch.tensor([0, 1, 2]), torch.tensor([0, 1]))
    with implementation(*which):
        out = kernels.coface_message(p, None, *arrays, activation)[1]
        (grad,) = torch.autograd.grad(out.sum(), p)
    exact = z.double().requires_grad_()
    expected = kernels.activations.activate(exact, activation)
    (expected_grad,) = torch.autograd.grad(expected.sum(), exact)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(out.double(), expected, rtol=8 * eps, atol=1e-36)
    torch.testing.assert_close(grad[0].double(), expected_grad, rtol=16 * eps, atol=4 * eps)


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
def test_softmax_is_stable_and_masks(which: tuple) -> None:
    x = torch.tensor([1e4, 1e4, -1e4, 3.0, -torch.inf, 3.0])
    ptr = torch.tensor([0, 3, 6])
    with implementation(*which):
        y = kernels.segment_softmax(x, ptr)
    assert y.tolist() == [0.5, 0.5, 0.0, 0.5, 0.0, 0.5]


@pytest.mark.parametrize("which", [w for w in IMPLEMENTATIONS if w[0] == "cpu"], ids=str)
@pytest.mark.parametrize("name", [n for n in OPERATIONS if "max" in n or "relu" in n])
def test_nan_is_not_lost(name: str, which: tuple) -> None:
    case = make_case([3, 2, 4], 3, (5,))
    for field in OPERATIONS[name].inputs[:1]:
        getattr(case, field)[1, 2] = torch.nan
    with implementation("reference"):
        expected = OPERATIONS[name].run(case, *[getattr(case, n) for n in OPERATIONS[name].inputs])
    with implementation(*which):
        actual = OPERATIONS[name].run(case, *[getattr(case, n) for n in OPERATIONS[name].inputs])
    assert expected.isnan().any()
    torch.testing.assert_close(actual, expected, equal_nan=True)


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("reduce", ["max", "min"])
@pytest.mark.parametrize("scatter", [False, True])
def test_extremes_of_what_is_not_finite(which, reduce, scatter):
    least, inf, nan = torch.finfo(torch.float32).min, torch.inf, torch.nan
    x = torch.tensor([-inf, -inf, inf, inf, nan, 1, 1, nan, least, least, -least, -least])
    grad, index = torch.arange(1.0, 7.0), torch.arange(6).repeat_interleave(2)
    found = []
    for each in (("reference", None), which):
        y = x.clone().requires_grad_()
        with implementation(*each):
            if scatter:
                out = kernels.scatter_reduce(y, index, 6, reduce)
            else:
                out = kernels.segment_reduce(y, torch.arange(0, 13, 2), reduce)
            found.append((out.detach(), *torch.autograd.grad(out, y, grad)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("which", [("reference", None), *IMPLEMENTATIONS], ids=str)
def test_large_integer_weights(which):
    """Of int64, with an index of int32."""
    x, index, ptr = torch.tensor([[1.0, 2.0]]), torch.tensor([0, 0]).int(), torch.tensor([0, 2])
    weight = torch.tensor([3_000_000_000, -5_000_000_000])
    with implementation(*which):
        assert kernels.gather_reduce(x, index, ptr.int(), weight).tolist() == [[-2e9, -4e9]]
        assert kernels.gather_reduce(x, index, ptr.int(), weight, "max").tolist() == [[3e9, 6e9]]


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("reduce", ["max", "min"])
@pytest.mark.parametrize("channels", [1, 3, 64])
def test_extremes_without_gradients_are_those_with(which, reduce, channels):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, channels, generator=g)
    x[::7], x[3::11], x[5::13] = torch.nan, -torch.inf, torch.inf
    index = torch.randint(0, 90, (200,), generator=g)
    with implementation(*which):
        bare = kernels.scatter_reduce(x, index, 100, reduce)
        found = kernels.scatter_reduce(x.clone().requires_grad_(), index, 100, reduce)
    assert torch.equal(bare.isnan(), found.isnan())
    assert torch.equal(bare.nan_to_num(), found.detach().nan_to_num())
    assert (bare[90:] == 0).all()
