"""Normalised weights of scores: against plain PyTorch, gradients of two orders, ties, faults."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import IMPLEMENTATIONS, implementation

from topodiff import kernels
from topodiff.kernels import weights

every_implementation = pytest.mark.parametrize(
    "which", [("reference", None), *IMPLEMENTATIONS], ids=lambda w: f"{w[0]}-{w[1]}"
)
every_squash = pytest.mark.parametrize("squash", kernels.SQUASHES)


def make(lengths, heads, ordered, dtype=torch.float64, index=torch.int64):
    g = torch.Generator().manual_seed(0)
    ptr = torch.tensor([0, *lengths]).cumsum(0).to(index)
    scores = 3 * torch.randn(int(ptr[-1]), heads, dtype=dtype, generator=g)
    order = torch.randperm(len(scores), generator=g).to(index) if ordered else None
    return scores, ptr, order


def plain(scores, ptr, order, squash):
    """Segment by segment."""
    out = torch.zeros(len(scores), dtype=scores.dtype)
    if squash == "shifted_squareplus" and scores.numel():
        scores = scores - scores.max()
    for begin, end in zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True):
        here = torch.arange(begin, end) if order is None else order[begin:end].long()
        s = scores[here]
        f = s.exp() if squash == "softmax" else s + (s**2 + 4).sqrt()
        out = out.index_put((here,), (f / f.sum(0)).mean(1))
    return out


@every_implementation
@every_squash
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=9), st.sampled_from([1, 2, 3, 8, 17, 40]),
    st.booleans(),
    st.sampled_from([torch.float32, torch.float64]), st.sampled_from([torch.int32, torch.int64]),
)  # fmt: skip
def test_values_and_gradients(which, squash, lengths, heads, ordered, dtype, index):
    scores, ptr, order = make(lengths, heads, ordered, dtype, index)
    exact = scores.double().requires_grad_()
    scores = scores.requires_grad_()
    expected = plain(exact, ptr, order, squash)
    with implementation(*which):
        found = kernels.segment_weights(scores, ptr, order, squash)
        close = {"rtol": 2e-5, "atol": 1e-6} if dtype is torch.float32 else {}
        torch.testing.assert_close(found, expected.to(dtype), **close)
        if len(scores):
            grad = torch.randn(len(scores), dtype=dtype)
            (ours,) = torch.autograd.grad(found, scores, grad)
            (theirs,) = torch.autograd.grad(expected, exact, grad.double())
            torch.testing.assert_close(ours, theirs.to(dtype), **close)


@every_implementation
@every_squash
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("ordered", [False, True])
def test_derivatives_of_two_orders(which, squash, heads, ordered):
    scores, ptr, order = make([3, 0, 4], heads, ordered)
    with implementation(*which):
        run = lambda s: kernels.segment_weights(s, ptr, order, squash)  # noqa: E731
        assert torch.autograd.gradcheck(run, scores.requires_grad_())
        assert torch.autograd.gradgradcheck(run, scores)


@every_implementation
@every_squash
def test_sums_of_segments_are_one(which, squash):
    scores, ptr, order = make([5, 1, 70], 8, True, torch.float32)
    with implementation(*which):
        w = kernels.segment_weights(100 * scores, ptr, order, squash)
    sums = kernels.segment_reduce(w[order], ptr)
    torch.testing.assert_close(sums, torch.ones(3))


@every_implementation
def test_scores_that_are_equally_large_share_a_gradient(which):
    scores = torch.tensor([[2.0, 1.0], [2.0, -3.0], [0.0, 2.0]]).double().requires_grad_()
    ptr = torch.tensor([0, 2, 3])
    expected = torch.autograd.grad(plain(scores, ptr, None, "shifted_squareplus")[0], scores)
    with implementation(*which):
        out = kernels.segment_weights(scores, ptr, None, "shifted_squareplus")
        torch.testing.assert_close(torch.autograd.grad(out[0], scores), expected)


@every_implementation
@pytest.mark.parametrize("squash", ["squareplus", "shifted_squareplus"])
def test_squareplus_keeps_its_digits_at_very_low_scores(which, squash):
    scores, ptr, order = make([4, 9], 5, True)
    scores = 100 * scores - 500
    with implementation(*which):
        exact = kernels.segment_weights(scores, ptr, order, squash)
        found = kernels.segment_weights(scores.float(), ptr, order, squash)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)


def test_squareplus_of_scores_whose_square_overflows():
    scores = torch.tensor([[2e19], [2e19], [-1e30], [1e4]], requires_grad=True)
    with kernels.use("reference"):
        w = kernels.segment_weights(scores, torch.tensor([0, 4]), squash="squareplus")
        (grad,) = torch.autograd.grad(w[0], scores, create_graph=True)
        (second,) = torch.autograd.grad(grad.square().sum(), scores)
    torch.testing.assert_close(w.detach(), torch.tensor([0.5, 0.5, 0, 0]))
    assert grad.isfinite().all()
    assert second.isfinite().all()


@every_squash
@pytest.mark.parametrize("heads", [1, 8])
def test_threads_change_no_bit(squash, heads):
    scores, ptr, order = make([7] * (40_000 // heads), heads, True, torch.float32)
    grad = torch.randn(len(scores))
    found = []
    threads = torch.get_num_threads()
    for number in (1, 2, 5):
        torch.set_num_threads(number)
        s = scores.clone().requires_grad_()
        out = kernels.segment_weights(s, ptr, order, squash)
        found.append((out.detach(), *torch.autograd.grad(out, s, grad)))
    torch.set_num_threads(threads)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@every_implementation
def test_faults(which):
    scores, ptr, order = make([2, 3], 2, True)
    with implementation(*which):
        with pytest.raises(ValueError, match=r"index must lie in 0\.\.4"):
            kernels.segment_weights(scores, ptr, order + 1)
        for bad in ([0, 2, 4], [0, 6, 5], [1, 2, 5]):
            with pytest.raises(ValueError, match="ptr must rise"):
                kernels.segment_weights(scores, torch.tensor(bad), order)
    with pytest.raises(ValueError, match="one head at least"):
        kernels.segment_weights(scores[:, :0], ptr)
    with pytest.raises(ValueError, match="squash must be one of"):
        kernels.segment_weights(scores, ptr, squash="sigmoid")
    with pytest.raises(ValueError, match="order must have 5 rows"):
        kernels.segment_weights(scores, ptr, order[:4])


@every_squash
def test_the_library_accepts_the_operation(squash):
    scores, ptr, order = make([2, 0, 3], 3, True)
    overload = weights._segment_weights.overload
    for o in (order, None):
        torch.library.opcheck(overload, (scores.requires_grad_(), o, ptr, squash))
