"""Scores of queries and keys, and the weights made of them."""

from __future__ import annotations

import math

import pytest
import torch
from entry_weights import F64, LOOPS, N, dense, randn

from topodiff.dynamics import (
    Entries,
    attention_weights,
    cosine,
    exp_kernel,
    pearson,
    scaled_dot,
)


def test_scores_written_out():
    q, k = randn(N, 2, 5, seed=2), randn(N, 2, 5, seed=3)
    qi, kj = q[LOOPS.row], k[LOOPS.index]
    dots = (qi * kj).sum(-1)
    torch.testing.assert_close(scaled_dot(q, k, LOOPS), dots / math.sqrt(5))
    expected = torch.nn.functional.cosine_similarity(qi, kj, dim=-1)
    torch.testing.assert_close(cosine(q, k, LOOPS), expected)
    expected = torch.stack(
        [
            torch.stack(
                [torch.corrcoef(torch.stack([a, b]))[0, 1] for a, b in zip(x, y, strict=True)]
            )
            for x, y in zip(qi, kj, strict=True)
        ]
    )
    torch.testing.assert_close(pearson(q, k, LOOPS), expected)
    expected = 1.5**2 * torch.exp(-(qi - kj).square().sum(-1) / (2 * 0.7**2))
    torch.testing.assert_close(exp_kernel(q, k, LOOPS, 0.7, 1.5), expected)


@pytest.mark.parametrize("squash", ["softmax", "squareplus", "shifted_squareplus"])
@pytest.mark.parametrize("normalization", ["row", "col", "sym"])
def test_weights_are_positive_and_normalised(squash, normalization):
    scores = randn(LOOPS.nnz, 3, seed=4).requires_grad_()
    w = attention_weights(scores, LOOPS, squash=squash, normalization=normalization)
    a = dense(LOOPS, w.detach())
    assert float(w.detach().min()) > 0
    if normalization == "row":
        torch.testing.assert_close(a.sum(1), torch.ones(N, dtype=F64))
    elif normalization == "col":
        torch.testing.assert_close(a.sum(0), torch.ones(N, dtype=F64))
    else:
        assert float(torch.linalg.matrix_norm(a, 2)) <= 1 + 1e-12
    assert torch.autograd.gradcheck(
        lambda s: attention_weights(s, LOOPS, squash=squash, normalization=normalization), scores
    )


@pytest.mark.parametrize("score", [cosine, pearson])
@pytest.mark.parametrize("size", [1e-30, 1e-7, 1e30])
def test_angles_do_not_depend_on_lengths(score, size):
    q, k = randn(N, 2, 5, seed=2), randn(N, 2, 5, seed=3)
    found = score(size * q.float(), size * k.float(), LOOPS)
    torch.testing.assert_close(found, score(q, k, LOOPS).float(), rtol=1e-4, atol=1e-5)


def test_vectors_without_direction_have_no_angle():
    k = randn(N, 2, 5, seed=3).float()
    q = torch.zeros_like(k).requires_grad_()
    (grad,) = torch.autograd.grad(cosine(q, k, LOOPS).sum(), q)
    assert bool(grad.isfinite().all())
    assert torch.equal(cosine(q, k, LOOPS), torch.zeros(LOOPS.nnz, 2))
    # the mean of equal numbers is one of them up to rounding
    for value in (0.1, 1 / 3, 1234.567):
        assert torch.equal(pearson(q + value, k, LOOPS), torch.zeros(LOOPS.nnz, 2))


def test_scores_of_directions_have_their_gradients():
    q, k = (randn(N, 2, 3, seed=s).requires_grad_() for s in (2, 3))
    for score in (cosine, pearson, exp_kernel):
        assert torch.autograd.gradcheck(lambda q, k: score(q, k, LOOPS), (q, k))  # noqa: B023


def test_distances_far_from_the_origin_keep_their_digits():
    q, k = randn(N, 2, 5, seed=2), randn(N, 2, 5, seed=3)
    q, k = (q + 1000).float(), (k + 1000).float()
    exact = exp_kernel(q.double(), k.double(), LOOPS)
    torch.testing.assert_close(exp_kernel(q, k, LOOPS).double(), exact, rtol=1e-4, atol=1e-6)


def test_symmetric_softmax_keeps_rows_of_low_scores():
    scores = randn(LOOPS.nnz, 2, seed=4)
    scores = scores - 120 * (LOOPS.row % 2)[:, None]
    found = attention_weights(scores.float(), LOOPS, normalization="sym")
    a = torch.zeros(2, N, N, dtype=F64)
    a[:, LOOPS.row, LOOPS.index] = scores.T.exp()
    expected = (a / (a.sum(2, keepdim=True) * a.sum(1, keepdim=True)).sqrt()).mean(0)
    torch.testing.assert_close(found.double(), expected[LOOPS.row, LOOPS.index], rtol=1e-4, atol=0)


def test_softmax_of_columns_is_that_of_the_transpose():
    scores = randn(N, N, seed=5)
    full = Entries.from_pairs(*torch.ones(N, N).nonzero().T.contiguous(), N)
    w = attention_weights(scores.reshape(-1, 1), full, normalization="col")
    torch.testing.assert_close(w.reshape(N, N), scores.softmax(0))


def test_squareplus_does_not_see_edges_far_away_and_the_shifted_one_does():
    scores = randn(LOOPS.nnz, 1, seed=6)
    far = scores.clone()
    far[-1] += 50.0  # an entry of the last row
    first_rows = slice(0, int(LOOPS.ptr[-2]))
    for squash, same in (("softmax", True), ("squareplus", True), ("shifted_squareplus", False)):
        a = attention_weights(scores, LOOPS, squash=squash)[first_rows]
        b = attention_weights(far, LOOPS, squash=squash)[first_rows]
        assert torch.allclose(a, b, atol=1e-6) == same


@pytest.mark.parametrize("squash", ["squareplus", "shifted_squareplus"])
@pytest.mark.parametrize("normalization", ["row", "col", "sym"])
def test_squareplus_keeps_its_digits_at_very_low_scores(squash, normalization):
    scores = 100 * randn(LOOPS.nnz, 2, seed=9) - 500
    options = {"squash": squash, "normalization": normalization}
    exact = attention_weights(scores, LOOPS, **options)
    found = attention_weights(scores.float(), LOOPS, **options)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)
