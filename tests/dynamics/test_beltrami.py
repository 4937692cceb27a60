"""BLEND and rewiring: reductions to GRAND, decreasing energies, neighbours."""

from __future__ import annotations

import pytest
import torch
from domains import GRAPH
from hypothesis import given, settings
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.dynamics import (
    AttentionDiffusion,
    BeltramiFlow,
    DirichletEnergy,
    Entries,
    EntryOperator,
    GradientFlow,
    PDirichletEnergy,
    PolyakovEnergy,
    attention_weights,
    exp_kernel,
    keep_heaviest,
    nearest_neighbors,
    normalize,
    pagerank_rows,
    scaled_dot,
    within_radius,
)
from topodiff.solvers import diffuse

F64 = torch.float64
N, C, P = 8, 3, 2
LOOPS = Entries.from_complex(GRAPH, True)


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


X, U = randn(N, C), randn(N, P, seed=1)
Q, K = randn(C, 4, seed=2), randn(C, 4, seed=3)
QP, KP = randn(P, 4, seed=4), randn(P, 4, seed=5)


def heads(x):
    return x.unflatten(1, (2, -1))


def product_kernel(alpha):
    """Kernel of features times kernel of positions, the latter at the scale alpha."""

    def attention(t, z, entries):
        x, u = z[:, :C], alpha * z[:, C:]
        scores = exp_kernel(heads(x @ Q), heads(x @ K), entries)
        scores = scores * exp_kernel(heads(u @ QP), heads(u @ KP), entries)
        return attention_weights(scores, entries)

    return attention


def dot_of_both(alpha):
    def attention(t, z, entries):
        x, u = z[:, :C], alpha * z[:, C:]
        return attention_weights(
            scaled_dot(heads(x @ Q + u @ QP), heads(x @ K + u @ KP), entries), entries
        )

    return attention


@pytest.mark.parametrize("make", [product_kernel, dot_of_both])
def test_without_positions_in_attention_it_is_grand(make):
    z = torch.cat([X, U], 1)
    joint = diffuse(BeltramiFlow(LOOPS, make(0.0), C), z, 2.0, "rk4", num_steps=20).x
    alone = AttentionDiffusion(
        LOOPS, lambda t, x, e: make(0.0)(t, torch.cat([x, torch.zeros_like(U)], 1), e)
    )
    features = diffuse(alone, X, 2.0, "rk4", num_steps=20).x
    assert torch.equal(joint[:, :C], features)
    # and with positions it is something else, which tends to it
    gaps = [
        float((diffuse(BeltramiFlow(LOOPS, make(a), C), z, 2.0, "rk4", num_steps=20).x[:, :C]
               - features).norm())
        for a in (1.0, 0.1, 0.01)
    ]  # fmt: skip
    assert gaps[0] > 10 * gaps[2] > 0
    assert gaps[1] > gaps[2]


def test_constant_attention_is_heat_on_features_and_positions():
    w = normalize(LOOPS, torch.ones(LOOPS.nnz, 1, dtype=F64), "row")[:, 0]
    z = torch.cat([X, U], 1)
    joint = diffuse(BeltramiFlow(LOOPS, w, C), z, 1.5, "rk4", num_steps=15).x
    for part, found in ((X, joint[:, :C]), (U, joint[:, C:])):
        alone = diffuse(AttentionDiffusion(LOOPS, w), part, 1.5, "rk4", num_steps=15).x
        torch.testing.assert_close(found, alone)


def test_graph_moves_with_the_positions():
    calls = []

    def rewire(positions):
        calls.append(positions.clone())
        return nearest_neighbors(positions, 3)

    z = torch.cat([X, U], 1).requires_grad_()
    law = BeltramiFlow(LOOPS, product_kernel(1.0), C, rewire=rewire)
    out = diffuse(law, z, 1.0, "euler", num_steps=5).x
    assert len(calls) == 5
    assert torch.equal(calls[0], U)
    assert not torch.equal(calls[-1], U)
    (grad,) = torch.autograd.grad(out.square().sum(), z)
    assert float(grad[:, C:].abs().max()) > 0
    # by hand
    state = z.detach()
    for positions in calls:
        entries = nearest_neighbors(positions, 3)
        w = product_kernel(1.0)(None, state, entries)
        a = torch.zeros(N, N, dtype=F64).index_put((entries.row, entries.index), w)
        state = state + 0.2 * (a @ state - state)
    torch.testing.assert_close(out.detach(), state)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 1.0))
def test_harmonic_energy_of_the_frozen_metric_falls(seed, tau):
    """``dE/dt = - |dz/dt|^2`` in the product weighted by degrees, the gradient flow's."""
    complex = GRAPH
    w = 0.1 + torch.rand(12, dtype=F64, generator=torch.Generator().manual_seed(seed))
    energy = DirichletEnergy(complex, weights=w)
    tail, head = complex.edge_index
    a = torch.zeros(N, N, dtype=F64).index_put((tail, head), w)
    a = a + a.T
    d = a.sum(1)
    entries = Entries.from_complex(complex)
    law = AttentionDiffusion(entries, (a / d[:, None])[entries.row, entries.index])
    z, zero = randn(N, 5, seed=seed), torch.zeros((), dtype=F64)
    rate = law(zero, z)
    slope = (energy.gradient(z) * rate).sum()
    torch.testing.assert_close(slope, -(d[:, None] * rate.square()).sum())
    assert energy.value(z + tau * rate) <= energy.value(z) + 1e-12


def test_beltrami_flow_of_a_step_stays_sharper_than_heat():
    """In one dimension, stopped where both have the same Dirichlet energy."""
    n = 40
    path = CellComplex.from_edges(n, torch.stack([torch.arange(n - 1), torch.arange(1, n)]))
    x = torch.zeros(n, 1, dtype=F64)
    x[n // 2 :] = 1
    x = x + 0.05 * randn(n, 1, seed=3)
    dirichlet, length = DirichletEnergy(path), PDirichletEnergy(path, 1, eps=0.05)
    times = torch.linspace(0, 1, 101)
    beltrami = diffuse(GradientFlow(length), x, 1.0, "rk4", num_steps=2000, save_at=times)
    lengths = torch.stack([length.value(s) for s in beltrami.x])
    assert bool((lengths.diff() < 1e-12).all())  # the area falls
    end = beltrami.x[-1]
    heat = diffuse(GradientFlow(dirichlet), x, 2.0, "rk4", num_steps=2000, save_at=2 * times)
    energies = torch.stack([dirichlet.value(s) for s in heat.x])
    same = heat.x[int((energies - dirichlet.value(end)).abs().argmin())]
    assert float(end.diff(dim=0).abs().max()) > 1.2 * float(same.diff(dim=0).abs().max())
    assert PolyakovEnergy(path, eps=0.05).value(end) < PolyakovEnergy(path, eps=0.05).value(x)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.integers(0, 10_000), st.data())
def test_nearest_neighbours(n, seed, data):
    k = data.draw(st.integers(1, n - 1))
    p = randn(n, 3, seed=seed)
    entries = nearest_neighbors(p, k)
    assert bool((entries.ptr.diff() == k).all())
    assert not bool((entries.row == entries.index).any())
    distance = torch.cdist(p, p)
    found = distance[entries.row, entries.index].reshape(n, k)
    expected = distance.fill_diagonal_(torch.inf).sort(1).values[:, :k]
    torch.testing.assert_close(found, expected)
    # distances stay under rotations and shifts
    rotation = torch.linalg.qr(randn(3, 3, seed=seed + 1)).Q
    moved = nearest_neighbors(p @ rotation + 5.0, k)
    assert torch.equal(moved.index, entries.index)
    both = nearest_neighbors(p, k, symmetric=True)
    pairs = set(zip(both.row.tolist(), both.index.tolist(), strict=True))
    assert pairs == {(j, i) for i, j in pairs}
    assert len(pairs) == both.nnz
    own = nearest_neighbors(p, k, loops=True)
    assert torch.equal(own.index.reshape(n, k)[:, 0], torch.arange(n))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(0, 10_000), st.data())
def test_rows_of_a_sparse_matrix_are_positions(n, seed, data):
    p = randn(n, n, seed=seed) * (randn(n, n, seed=seed + 1) > 0.5)
    row, column = p.nonzero().unbind(1)
    matrix = EntryOperator(Entries.from_pairs(row, column, n), p[row, column])
    k, cut = data.draw(st.integers(1, n - 1)), data.draw(st.integers(0, n))
    ptr = torch.tensor([0, cut, n])
    for search in (
        lambda q: nearest_neighbors(q, k),
        lambda q: nearest_neighbors(q, k, loops=True, ptr=ptr),
        lambda q: within_radius(q, 1.5, ptr=ptr),
    ):
        found, expected = search(matrix), search(p)
        assert torch.equal(found.ptr, expected.ptr)
        far = torch.cdist(p, p)
        torch.testing.assert_close(far[found.row, found.index], far[expected.row, expected.index])
    matrix.weight.fill_(torch.nan)
    if len(row):
        with pytest.raises(ValueError, match="positions are not finite"):
            nearest_neighbors(matrix, k)


def test_points_at_the_same_place():
    p = torch.zeros(7, 2, dtype=F64)
    entries = nearest_neighbors(p, 3, loops=True)
    assert torch.equal(entries.index.reshape(7, 3)[:, 0], torch.arange(7))
    assert not bool((nearest_neighbors(p, 3).index == nearest_neighbors(p, 3).row).any())


@pytest.mark.parametrize("loops", [False, True])
@pytest.mark.parametrize(
    "search",
    [
        lambda p, **options: nearest_neighbors(p, 3, **options),
        lambda p, **options: nearest_neighbors(p, 3, symmetric=True, **options),
        lambda p, **options: within_radius(p, 0.8, **options),
    ],
)
def test_neighbours_in_each_graph_of_a_batch(search, loops):
    sizes = [5, 1, 0, 2, 9]
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    p = randn(17, 2)
    entries = search(p, loops=loops, ptr=ptr)
    start = 0
    for n in sizes:
        mine = slice(entries.ptr[start], entries.ptr[start + n])
        alone = search(p[start : start + n], loops=loops, ptr=torch.tensor([0, n]))
        assert torch.equal(entries.ptr[start : start + n + 1] - mine.start, alone.ptr)
        assert torch.equal(entries.index[mine] - start, alone.index)
        start += n
    with pytest.raises(ValueError, match="ptr must go from 0 to 17"):
        search(p, loops=loops, ptr=ptr[:-1])
    with pytest.raises(ValueError, match="k must be at least 1"):
        nearest_neighbors(p, 0, ptr=ptr)


def test_neighbours_within_a_radius():
    p = randn(30, 2)
    entries = within_radius(p, 0.8)
    expected = (torch.cdist(p, p) <= 0.8).fill_diagonal_(False)
    assert torch.equal(torch.stack([entries.row, entries.index]), expected.nonzero().T)
    assert within_radius(p, 0.0, loops=True).nnz == 30


def test_heaviest_entries_and_pagerank():
    w = torch.arange(LOOPS.nnz, dtype=F64)
    kept = keep_heaviest(LOOPS, w, 0.25)
    chosen = set(zip(kept.row.tolist(), kept.index.tolist(), strict=True))
    assert {(i, i) for i in range(N)} <= chosen
    assert {(int(LOOPS.row[-1]), int(LOOPS.index[-1]))} <= chosen
    assert keep_heaviest(LOOPS, w, 1.0).nnz == LOOPS.nnz
    matrix = normalize(LOOPS, torch.ones(LOOPS.nnz, 1, dtype=F64), "row")[:, 0]
    a = torch.zeros(N, N, dtype=F64).index_put((LOOPS.row, LOOPS.index), matrix)
    exact = 0.15 * torch.linalg.inv(torch.eye(N, dtype=F64) - 0.85 * a)
    exact.fill_diagonal_(torch.inf)
    entries, _ = pagerank_rows(matrix, LOOPS, 3, teleport=0.15)
    found = exact[entries.row, entries.index].reshape(N, 4)
    torch.testing.assert_close(found, exact.sort(1, descending=True).values[:, :4])
    apart = Entries.from_complex(CellComplex.from_edges(5, torch.tensor([[0, 1], [1, 2]])), True)
    ones = torch.ones(apart.nnz, dtype=F64)
    entries, _ = pagerank_rows(normalize(apart, ones, "row"), apart, 4)
    assert entries.ptr.diff().tolist() == [3, 3, 3, 1, 1]  # no one from another part


def test_what_rewiring_refuses():
    with pytest.raises(ValueError, match="k must be 1 to 7 for 8 points, got 8"):
        nearest_neighbors(U, 8)
    with pytest.raises(ValueError, match="radius must not be negative"):
        within_radius(U, float("nan"))
    with pytest.raises(ValueError, match="positions are not finite"):
        nearest_neighbors(U.clone().fill_(torch.nan), 2)
    with pytest.raises(ValueError, match="fraction must be in"):
        keep_heaviest(LOOPS, torch.ones(LOOPS.nnz), 0.0)
    for shape in ((LOOPS.nnz, 2), (3,)):
        with pytest.raises(ValueError, match=rf"weight must have shape \({LOOPS.nnz},\)"):
            keep_heaviest(LOOPS, torch.ones(shape), 0.5)
    with pytest.raises(ValueError, match="teleport must be in"):
        pagerank_rows(torch.ones(LOOPS.nnz), LOOPS, 2, teleport=1.0)
