"""GRAND: exact solutions, limits, maximum principle, equivariance; weights and scores."""

from __future__ import annotations

import math

import pytest
import torch
from domains import GRAPH
from entry_weights import F64, LOOPS, N, dense, randn, weights
from hypothesis import given, settings
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.dynamics import (
    AttentionDiffusion,
    Entries,
    EntryOperator,
    Piecewise,
    adjacency,
    attention_weights,
    cosine,
    exp_kernel,
    pearson,
    scaled_dot,
)
from topodiff.solvers import diffuse

# ---- scores and weights


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


# ---- the flow


@pytest.mark.parametrize("normalization", ["row", "col", "sym"])
def test_linear_flow_is_the_matrix_exponential(normalization):
    w, x = weights(LOOPS, normalization), randn(N, 3)
    a = dense(LOOPS, w) - torch.eye(N, dtype=F64)
    exact = torch.matrix_exp(1.7 * a) @ x
    law = AttentionDiffusion(LOOPS, w)
    found = diffuse(law, x, 1.7, solver="dopri5", rtol=1e-10, atol=1e-12).x
    torch.testing.assert_close(found, exact, rtol=1e-8, atol=1e-8)


def test_gradient_is_the_derivative_of_the_exponential():
    scores = randn(LOOPS.nnz, 1, seed=7).requires_grad_()
    x = randn(N, 3).requires_grad_()
    w = attention_weights(scores, LOOPS)
    goal = randn(N, 3, seed=8)
    law = AttentionDiffusion(LOOPS, w)
    found = diffuse(law, x, 1.3, solver="dopri5", rtol=1e-10, atol=1e-12).x
    a = torch.zeros(N, N, dtype=F64).index_put((LOOPS.row, LOOPS.index), w) - torch.eye(N)
    exact = torch.matrix_exp(1.3 * a) @ x
    found = torch.autograd.grad((found * goal).sum(), [scores, x], retain_graph=True)
    exact = torch.autograd.grad((exact * goal).sum(), [scores, x])
    for f, e in zip(found, exact, strict=True):
        torch.testing.assert_close(f, e, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("normalization", ["row", "col", "sym"])
def test_limits_for_each_normalisation(normalization):
    law = AttentionDiffusion.from_matrix(adjacency(GRAPH, F64, normalization=normalization))
    x = randn(N, 2)
    end = diffuse(law, x, 200.0, solver="implicit_euler", step_size=0.5).x
    d = torch.bincount(GRAPH.edge_index.flatten(), minlength=N).to(F64)[:, None] + 1
    expected = {
        "row": ((d * x).sum(0) / d.sum()).expand(N, 2),  # the same everywhere
        "col": d / d.sum() * x.sum(0),  # the degree vector
        "sym": d.sqrt() * (d.sqrt() * x).sum(0) / d.sum(),
    }[normalization]
    torch.testing.assert_close(end, expected, rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1.0), st.floats(0.01, 100.0))
def test_maximum_principle_of_both_euler_schemes(seed, small, large):
    w, x = weights(LOOPS, "row", seed), randn(N, 2, seed=seed)
    low, high = x.amin(0) - 1e-9, x.amax(0) + 1e-9
    law = AttentionDiffusion(LOOPS, w)
    explicit = diffuse(law, x, 5 * small, solver="euler", num_steps=5).x
    implicit = diffuse(law, x, 3 * large, solver="implicit_euler", num_steps=3).x
    for found in (explicit, implicit):
        assert bool(((found >= low) & (found <= high)).all())


def test_columns_keep_the_sum():
    x = randn(N, 2)
    law = AttentionDiffusion(LOOPS, weights(LOOPS, "col"))
    out = diffuse(law, x, 4.0, solver="rk4").x
    torch.testing.assert_close(out.sum(0), x.sum(0))


@pytest.mark.parametrize("tau", [0.1, 1.0, 20.0])
def test_a_backward_euler_step_is_personalised_pagerank(tau):
    matrix = adjacency(GRAPH, F64, normalization="row")
    x = randn(N, 3)
    step = diffuse(AttentionDiffusion.from_matrix(matrix), x, tau, "implicit_euler", num_steps=1).x
    teleport, power, total = 1 / (1 + tau), x, torch.zeros_like(x)
    for k in range(3000):
        total = total + teleport * (tau / (1 + tau)) ** k * power
        power = matrix @ power
    torch.testing.assert_close(step, total, rtol=1e-6, atol=1e-8)


def scaled_attention(q, k):
    """Attention from the state, with fixed projections."""

    def weights(t, x, entries):
        project = lambda w: (x @ w).unflatten(1, (2, -1))  # noqa: E731
        return attention_weights(scaled_dot(project(q), project(k), entries), entries)

    return weights


def test_permuting_vertices_permutes_the_flow():
    g = torch.Generator().manual_seed(9)
    permutation = torch.randperm(N, generator=g)
    inverse = permutation.argsort()
    other = CellComplex.from_edges(N, inverse[GRAPH.edge_index])
    x, attention = randn(N, 4), scaled_attention(randn(4, 6, seed=1), randn(4, 6, seed=2))
    a = diffuse(AttentionDiffusion(LOOPS, attention), x, 2.0, "rk4", num_steps=20).x
    moved = AttentionDiffusion(Entries.from_complex(other, True), attention)
    b = diffuse(moved, x[permutation], 2.0, "rk4", num_steps=20).x
    torch.testing.assert_close(a[permutation], b, rtol=1e-12, atol=1e-12)


def test_one_euler_step_of_length_one_is_attention_alone():
    """``x + (A x - x) = A x``: attention without residual; without loops in A it is the residual
    layer ``x + A x - x`` of GAT."""
    x, attention = randn(N, 4), scaled_attention(randn(4, 6, seed=1), randn(4, 6, seed=2))
    law = AttentionDiffusion(LOOPS, attention)
    step = diffuse(law, x, 1.0, "euler", num_steps=1).x
    zero = torch.zeros((), dtype=F64)
    torch.testing.assert_close(step, dense(LOOPS, attention(zero, x, LOOPS)) @ x)


def test_frozen_law_has_the_weights_of_the_moment():
    x, attention = randn(N, 4), scaled_attention(randn(4, 6, seed=1), randn(4, 6, seed=2))
    law, zero = AttentionDiffusion(LOOPS, attention), torch.zeros((), dtype=F64)
    frozen = law.frozen(zero, x)
    torch.testing.assert_close(frozen(zero, x), law(zero, x))
    assert frozen.linear
    # the semi-implicit scheme obeys the maximum principle whatever the step
    y = x
    for _ in range(3):
        y = diffuse(law.frozen(zero, y), y, 30.0, "implicit_euler", num_steps=1).x
        assert bool((y <= x.amax(0) + 1e-9).all())
        assert bool((y >= x.amin(0) - 1e-9).all())


def test_source_keeps_its_gradient():
    w, x = weights(LOOPS), randn(N, 2).requires_grad_()
    beta = torch.tensor(0.3, dtype=F64, requires_grad=True)
    law = AttentionDiffusion(LOOPS, w, source=x, strength=beta)
    out = diffuse(law, x.detach(), 1.0, "rk4", num_steps=10).x
    gx, gb = torch.autograd.grad(out.sum(), [x, beta])
    assert float(gx.abs().min()) > 0
    assert float(gb.abs()) > 0
    with torch.no_grad():
        t = torch.zeros((), dtype=F64)
        torch.testing.assert_close(law.rest(t, x), law(t, x) + law.linear_operator(t) @ x)


def test_layers_are_parameters_constant_on_intervals():
    w, x = weights(LOOPS), randn(N, 2)
    rates = torch.tensor([0.2, 1.0, 0.5], dtype=F64, requires_grad=True)
    law = AttentionDiffusion(LOOPS, w, rate=Piecewise(rates, end=3.0))
    assert not law.autonomous
    out = diffuse(law, x, 3.0, "euler", num_steps=3).x
    layers = x
    for rate in rates:
        layers = layers + rate * (dense(LOOPS, w) @ layers - layers)
    torch.testing.assert_close(out, layers)
    for f in (out, layers):
        (grad,) = torch.autograd.grad(f.square().sum(), rates, retain_graph=True)
        assert float(grad.abs().min()) > 0


@pytest.mark.parametrize("count", [3, 7, 10, 64])
def test_every_layer_is_reached_once_in_single_precision(count):
    piecewise = Piecewise(torch.arange(count), end=count * 0.1)
    times = torch.arange(count, dtype=torch.float32) * 0.1
    assert [int(piecewise(t)) for t in times] == list(range(count))
    assert int(piecewise(torch.tensor(count * 0.1))) == count - 1


def test_what_attention_refuses():
    with pytest.raises(ValueError, match="weight must have shape"):
        EntryOperator(LOOPS, torch.ones(3))
    with pytest.raises(ValueError, match="normalization must be one of row, col, sym"):
        attention_weights(torch.ones(LOOPS.nnz, 1), LOOPS, normalization="both")
    with pytest.raises(ValueError, match="squash must be one of"):
        attention_weights(torch.ones(LOOPS.nnz, 1), LOOPS, squash="relu")
    with pytest.raises(ValueError, match="no meaning on a graph that moves"):
        AttentionDiffusion(LOOPS, weights(LOOPS), rewire=lambda x: LOOPS)
    with pytest.raises(ValueError, match="must not be negative"):
        adjacency(GRAPH, F64, loops=-1.0)
    with pytest.raises(ValueError, match="end must be positive"):
        Piecewise(torch.ones(3), 0.0)
