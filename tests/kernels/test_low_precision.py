"""float16 and bfloat16: sums in float32, rounded once."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import make_case
from kernel_operations import OPERATIONS

from topodiff import kernels as k

LOW = pytest.mark.parametrize("low", [torch.float16, torch.bfloat16])
N = 5000
ALL, ENDS = torch.zeros(N, dtype=torch.int64), torch.tensor([0, N])
STAR = torch.stack([torch.arange(1, N + 1), ALL], 1).flatten()  # an edge from each to vertex 0


def gradient_of_gather(x):
    one = x.new_zeros(1, *x.shape[1:], requires_grad=True)
    return torch.autograd.grad(k.gather(one, ALL), one, x)[0]


def block_matmul(x):
    x = torch.cat([torch.zeros_like(x[:1]), x]).reshape(N + 1, 1, -1)
    ptr, order = k.sort_by_key(STAR, N + 1)
    return k.block_matmul(x, None, x.new_ones(N), STAR, ptr, order)[:1]


# sums of all rows, which in low precision stop at 256 or 2048
SUMS = {
    "segment_reduce": lambda x: k.segment_reduce(x, ENDS),
    "scatter_reduce": lambda x: k.scatter_reduce(x, ALL, 1),
    "gather_reduce": lambda x: k.gather_reduce(x, torch.arange(N), ENDS, torch.ones_like(ALL)),
    "incidence_matmul": lambda x: k.incidence_matmul(
        x, ALL, torch.arange(N), None, torch.arange(N + 1), ENDS, torch.arange(N)
    ),
    "gradient of gather": gradient_of_gather,
    "block_matmul": block_matmul,
}


@LOW
@pytest.mark.parametrize("shape", [(N,), (N, 1), (N, 3)])
@pytest.mark.parametrize("name", SUMS)
def test_sums_of_many(name, shape, low):
    found = SUMS[name](torch.ones(shape, dtype=low))
    assert found.dtype is low
    assert (found == torch.tensor(N, dtype=low)).all()


@LOW
@pytest.mark.parametrize("reduce", ["mean", "max"])
@pytest.mark.parametrize("shape", [(N,), (N, 3)])
def test_means_whose_sums_overflow(reduce, shape, low):
    x = torch.full(shape, 100.0, dtype=low)
    for found in (
        k.segment_reduce(x, ENDS, reduce),
        k.scatter_reduce(x, ALL, 1, reduce),
        k.gather_reduce(x, torch.arange(N), ENDS, None, reduce),
    ):
        assert (found == 100).all()


@LOW
@pytest.mark.parametrize("shape", [(), (2,)])
def test_softmax_over_more_entries_than_float16_counts(shape, low):
    x = torch.zeros(70_000, *shape, dtype=low, requires_grad=True)
    y = k.segment_softmax(x, torch.tensor([0, 70_000]))
    torch.testing.assert_close(y, torch.full_like(y, 1 / 70_000))
    (grad,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert grad.isfinite().all()
    w = k.segment_weights(x.reshape(70_000, -1), torch.tensor([0, 70_000]))
    torch.testing.assert_close(w, torch.full_like(w, 1 / 70_000))


@LOW
def test_attention_whose_products_overflow(low):
    q = torch.full((2, 1, 64), 40.0, dtype=low, requires_grad=True)
    x = torch.tensor([[1.0], [3.0]], dtype=low, requires_grad=True)
    index, ptr = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 2, 4])
    out = k.edge_attention(q, q, x, index, ptr)
    assert out.flatten().tolist() == [2, 2]
    assert all(g.isfinite().all() for g in torch.autograd.grad(out.sum(), (q, x)))
    assert (k.edge_dot(q, q, index, ptr, 0.125) == 0.125 * 64 * 40 * 40).all()


@LOW
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_values_and_gradients_are_rounded_ones(name, channels, low):
    operation = OPERATIONS[name]
    case = make_case([60, 0, 3, 40], 3, channels)
    exact = [getattr(case, field).requires_grad_() for field in operation.inputs]
    inputs = [x.detach().to(low).requires_grad_() for x in exact]
    assert all(torch.equal(a.double(), b) for a, b in zip(inputs, exact, strict=True))
    found, expected = operation.run(case, *inputs), operation.run(case, *exact)
    grad = torch.randn(expected.shape).to(low)
    found = [found, *torch.autograd.grad(found, inputs, grad)]
    expected = [expected, *torch.autograd.grad(expected, exact, grad.double())]
    eps = torch.finfo(low).eps
    for a, b in zip(found, expected, strict=True):
        # of a gradient through a result (softmax) that is itself rounded, terms may cancel
        cancels = 2 * eps * float(b.detach().abs().max()) if "softmax" in name else 0
        torch.testing.assert_close(a.double(), b, rtol=2 * eps, atol=1e-3 + cancels)
