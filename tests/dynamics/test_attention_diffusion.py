"""GRAND: exact solutions, limits, maximum principle, equivariance."""

from __future__ import annotations

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
    scaled_dot,
)
from topodiff.solvers import diffuse


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


class AtOnce:
    """Attention that also gives its product, as models do."""

    def __init__(self, attention):
        self.attention = attention

    def __call__(self, t, x, entries):
        return self.attention(t, x, entries)

    def product(self, t, x, entries):
        return EntryOperator(entries, self.attention(t, x, entries)) @ x


def with_isolated(normalization):
    """Laws on a graph of which the vertices 1 and 4 are isolated, and without loops."""
    graph = CellComplex.from_edges(5, torch.tensor([[0, 0, 2], [2, 3, 3]]))
    entries = Entries.from_complex(graph)
    q, k = randn(2, 6, seed=1), randn(2, 6, seed=2)
    attention = scaled_attention(q, k, normalization)
    matrix = adjacency(graph, F64, normalization=normalization, loops=0.0)
    return {
        "given": AttentionDiffusion(entries, weights(entries, normalization)),
        "matrix": AttentionDiffusion.from_matrix(matrix),
        "of the state": AttentionDiffusion(entries, attention),
        "at once": AttentionDiffusion(entries, AtOnce(attention)),
        "moving": AttentionDiffusion(entries, AtOnce(attention), rewire=lambda x: entries),
    }


@pytest.mark.parametrize("normalization", ["row", "col", "sym"])
@pytest.mark.parametrize("name", ["given", "matrix", "of the state", "at once", "moving"])
def test_isolated_vertices_stay(name, normalization):
    law, x = with_isolated(normalization)[name], randn(5, 2)
    out = diffuse(law, x, 5.0, "rk4").x
    torch.testing.assert_close(out[[1, 4]], x[[1, 4]], rtol=0, atol=0)
    assert float((out - x)[[0, 2, 3]].abs().min()) > 0
    if normalization == "row":
        assert bool(((out >= x.amin(0)) & (out <= x.amax(0))).all())
    if normalization == "col":
        torch.testing.assert_close(out.sum(0), x.sum(0))


@pytest.mark.parametrize("solver", ["implicit_euler", "imex", "uniformization", "dopri5"])
def test_isolated_vertices_stay_with_every_kind_of_solver(solver):
    law, x = with_isolated("row")["given"], randn(5, 2)
    out = diffuse(law, x, 5.0, solver).x
    torch.testing.assert_close(out[[1, 4]], x[[1, 4]])
    torch.testing.assert_close(out, diffuse(law, x, 5.0, "rk4").x, rtol=0.1, atol=0.1)


def test_gradients_of_weights_beside_isolated_vertices():
    x, gradients = randn(5, 2), []
    for backward in ("direct", "adjoint"):
        graph = CellComplex.from_edges(5, torch.tensor([[0, 0, 2], [2, 3, 3]]))
        entries = Entries.from_complex(graph)
        w = weights(entries).requires_grad_()
        out = diffuse(AttentionDiffusion(entries, w), x, 2.0, "dopri5", backward=backward).x
        gradients.append(torch.autograd.grad(out.square().sum(), w)[0])
    assert float(gradients[0].abs().min()) > 0
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-6)


def scaled_attention(q, k, normalization="row"):
    """Attention from the state, with fixed projections."""

    def weights(t, x, entries):
        project = lambda w: (x @ w).unflatten(1, (2, -1))  # noqa: E731
        scores = scaled_dot(project(q), project(k), entries)
        return attention_weights(scores, entries, normalization=normalization)

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
