"""Attention along entries: against plain PyTorch, gradients of two orders, empty rows, faults."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import IMPLEMENTATIONS, implementation

from topodiff import kernels
from topodiff.kernels import attention

every_implementation = pytest.mark.parametrize(
    "which", [("reference", None), *IMPLEMENTATIONS], ids=lambda w: f"{w[0]}-{w[1]}"
)
WIDTHS = [1, 2, 3, 8, 16, 17, 33, 80]


def make(lengths, columns, heads, width, channels, shared, dtype=torch.float64, index=torch.int64):
    g = torch.Generator().manual_seed(0)
    ptr = torch.tensor([0, *lengths]).cumsum(0)
    column = torch.randint(0, columns, (int(ptr[-1]),), generator=g)
    shapes = [(len(lengths), heads, width), (columns, heads, width)]
    shapes += [(columns, channels) if shared else (columns, heads, channels)]
    q, k, x = (torch.randn(*s, dtype=dtype, generator=g) for s in shapes)
    return q, k, x, column.to(index), ptr.to(index)


def dense(q, k, x, index, ptr, scale):
    """With a full matrix of scores for every head."""
    rows, heads, _ = q.shape
    row = torch.arange(rows).repeat_interleave(ptr.diff().long())
    scores = scale * (q[row] * k[index.long()]).sum(-1)
    values = x[index.long()] if x.dim() == 3 else x[index.long()].unsqueeze(1).expand(-1, heads, -1)
    out = []
    for i in range(rows):
        a = scores[row == i].softmax(0)
        out.append((a.unsqueeze(-1) * values[row == i]).sum(0))
    out = torch.stack(out)
    return out if x.dim() == 3 else out.mean(1)


@every_implementation
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=9), st.integers(1, 8), st.integers(1, 9),
    st.sampled_from(WIDTHS), st.sampled_from(WIDTHS), st.booleans(),
    st.sampled_from([torch.float32, torch.float64]), st.sampled_from([torch.int32, torch.int64]),
)  # fmt: skip
def test_values_and_gradients(
    which, lengths, columns, heads, width, channels, shared, dtype, index
):
    *inputs, column, ptr = make(lengths, columns, heads, width, channels, shared, dtype, index)
    inputs = [t.requires_grad_() for t in inputs]
    expected = dense(*inputs, column, ptr, 1 / math.sqrt(width))
    with implementation(*which):
        found = kernels.edge_attention(*inputs, column, ptr)
        seed = torch.randn_like(found)
        tolerance = 1e-4 if dtype is torch.float32 else 1e-11
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
        a = torch.autograd.grad(found, inputs, seed)
    b = torch.autograd.grad(expected, inputs, seed)
    for f, e in zip(a, b, strict=True):
        torch.testing.assert_close(f, e, rtol=tolerance, atol=10 * tolerance)


@every_implementation
@pytest.mark.parametrize("shared", [True, False])
def test_gradients_of_gradients(which, shared):
    *inputs, column, ptr = make([2, 0, 3], 4, 2, 3, 2, shared)
    inputs = [t.requires_grad_() for t in inputs]
    with implementation(*which):
        run = lambda *t: kernels.edge_attention(*t, column, ptr)  # noqa: E731
        assert torch.autograd.gradcheck(run, inputs)
        assert torch.autograd.gradgradcheck(run, inputs)
        dot = lambda q, k: kernels.edge_dot(q, k, column, ptr)  # noqa: E731
        assert torch.autograd.gradcheck(dot, inputs[:2])
        assert torch.autograd.gradgradcheck(dot, inputs[:2])


@every_implementation
def test_only_what_is_wanted_gets_a_gradient(which):
    q, k, x, column, ptr = make([2, 0, 3], 4, 2, 3, 2, True)
    x.requires_grad_()
    with implementation(*which):
        (grad,) = torch.autograd.grad(kernels.edge_attention(q, k, x, column, ptr).sum(), x)
    torch.testing.assert_close(grad.sum(), torch.tensor(2.0 * 2, dtype=grad.dtype))


@every_implementation
def test_many_rows_on_any_number_of_threads(which):
    lengths = [s % 9 for s in range(3000)] + [0, 5000]
    *inputs, column, ptr = make(lengths, 2000, 4, 16, 20, True, torch.float32)
    inputs = [t.requires_grad_() for t in inputs]
    found = []
    with implementation(*which):
        for threads in (1, 3):
            before = torch.get_num_threads()
            torch.set_num_threads(threads)
            out = kernels.edge_attention(*inputs, column, ptr)
            found.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
            torch.set_num_threads(before)
    if which[0] == "cpu":
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    with kernels.use("reference"):
        torch.testing.assert_close(
            found[0][0], kernels.edge_attention(*inputs, column, ptr), rtol=1e-4, atol=1e-5
        )


@every_implementation
def test_large_scores_do_not_overflow(which):
    q, k, x, column, ptr = make([3, 4], 5, 2, 4, 3, False, torch.float32)
    with implementation(*which):
        out = kernels.edge_attention(1e4 * q, 1e4 * k, x, column, ptr)
    assert bool(out.isfinite().all())


@every_implementation
def test_nothing_at_all(which):
    with implementation(*which):
        for lengths, columns in (([0, 0], 3), ([], 3)):
            q, k, x, column, ptr = make(lengths, columns, 2, 4, 3, False)
            out = kernels.edge_attention(q.requires_grad_(), k, x, column, ptr)
            assert torch.equal(out, torch.zeros(len(lengths), 2, 3, dtype=out.dtype))
            out.sum().backward()
            assert kernels.edge_dot(q, k, column, ptr).shape == (0, 2)


@every_implementation
def test_arrays_that_are_not_contiguous(which):
    q, k, x, column, ptr = make([2, 0, 3], 4, 2, 3, 5, False)
    strided = [torch.stack([t, -t], -1)[..., 0] for t in (q, k, x, column, ptr)]
    with implementation(*which):
        a = kernels.edge_attention(q, k, x, column, ptr)
        torch.testing.assert_close(kernels.edge_attention(*strided), a)


@every_implementation
def test_faults_are_named(which):
    q, k, x, column, ptr = make([2, 0, 3], 4, 2, 3, 5, False)
    with implementation(*which):
        for bad in (-1, 4):
            wrong = column.clone()
            wrong[3] = bad
            with pytest.raises(ValueError, match=r"index must lie in 0\.\.3"):
                kernels.edge_attention(q, k, x, wrong, ptr)
            with pytest.raises(ValueError, match=r"index must lie in 0\.\.3"):
                kernels.edge_dot(q, k, wrong, ptr)
        for bad_ptr in ([0, 2, 2, 4], [0, 3, 2, 5], [1, 2, 2, 5]):
            with pytest.raises(ValueError, match="ptr must rise from 0 to the number of entries"):
                kernels.edge_attention(q, k, x, column, torch.tensor(bad_ptr))


def test_shapes_that_do_not_fit():
    q, k, x, column, ptr = make([2, 0, 3], 4, 2, 3, 5, False)
    with pytest.raises(ValueError, match="alike but for the rows"):
        kernels.edge_attention(q, k[:, :1], x, column, ptr)
    with pytest.raises(ValueError, match="q must have 3 rows"):
        kernels.edge_attention(q[:2], k, x, column, ptr)
    with pytest.raises(ValueError, match="x must have 4 rows"):
        kernels.edge_attention(q, k, x[:2], column, ptr)
    with pytest.raises(ValueError, match=r"x must be \(columns, channels\) or"):
        kernels.edge_attention(q, k, x.float(), column, ptr)
    with pytest.raises(ValueError, match="one head at least"):
        kernels.edge_attention(q[:, :0], k[:, :0], x[:, 0], column, ptr)
    with pytest.raises(TypeError, match="one dtype"):
        kernels.edge_dot(q, k, column.int(), ptr)


@every_implementation
@pytest.mark.parametrize("shared", [True, False])
def test_operations_as_pytorch_sees_them(which, shared):
    q, k, x, column, ptr = make([2, 0, 3], 4, 2, 3, 5, shared)
    inputs = [t.requires_grad_() for t in (q, k, x)]
    with implementation(*which):
        torch.library.opcheck(attention._edge_attention.overload, (*inputs, column, ptr, 0.5))
        torch.library.opcheck(attention._edge_dot.overload, (*inputs[:2], column, ptr, 0.5))
        weight = torch.randn(5, 2, dtype=q.dtype, requires_grad=True)
        torch.library.opcheck(attention._head_gather.overload, (k, weight, column, ptr))
        torch.library.opcheck(attention._head_spread.overload, (q, weight, column, ptr, 4))
