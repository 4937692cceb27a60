"""Sparse matrices on the vertices by rows."""

from __future__ import annotations

import pytest
import torch
from domains import GRAPH
from entry_weights import F64, LOOPS, N, dense, randn, weights

from topodiff.complexes import CellComplex
from topodiff.dynamics import (
    AttentionDiffusion,
    Entries,
    EntryOperator,
    adjacency,
)
from topodiff.solvers import diffuse


def test_entries_are_those_of_the_graph():
    a = torch.zeros(N, N, dtype=F64)
    tail, head = GRAPH.edge_index
    a[tail, head] = a[head, tail] = 1
    entries = Entries.from_complex(GRAPH)
    torch.testing.assert_close(dense(entries, torch.ones(entries.nnz, dtype=F64)), a)
    torch.testing.assert_close(dense(LOOPS, torch.ones(LOOPS.nnz, dtype=F64)), a + torch.eye(N))
    assert Entries.from_complex(GRAPH) is entries  # kept
    assert torch.equal(LOOPS.row[LOOPS.by_column], LOOPS.row_by_column)
    assert torch.equal(LOOPS.by_column.sort().values, torch.arange(LOOPS.nnz))


@pytest.mark.parametrize("symmetric", [False, True])
def test_entry_operator_is_its_matrix(symmetric):
    w = adjacency(GRAPH, F64).weight.clone() if symmetric else weights(LOOPS)
    w.requires_grad_()
    operator = EntryOperator(LOOPS, w, symmetric)
    matrix = torch.zeros(N, N, dtype=F64).index_put((LOOPS.row, LOOPS.index), w)
    x = randn(N, 3)
    torch.testing.assert_close(operator @ x, matrix @ x)
    torch.testing.assert_close(operator.T @ x, matrix.T @ x)
    torch.testing.assert_close(torch.from_numpy(operator.to_scipy().toarray()), matrix.detach())
    assert operator.spectral_bound() >= torch.linalg.matrix_norm(matrix, 2) - 1e-12
    (a,) = torch.autograd.grad((operator.T @ (operator @ x)).square().sum(), w)
    (b,) = torch.autograd.grad((matrix.T @ (matrix @ x)).square().sum(), w)
    if symmetric:  # then only the gradient to both entries of a pair together has a meaning
        transposed = torch.zeros(N, N, dtype=torch.long)
        transposed[LOOPS.row, LOOPS.index] = torch.arange(LOOPS.nnz)
        mirror = transposed[LOOPS.index, LOOPS.row]
        a, b = a + a[mirror], b + b[mirror]
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_matrices_in_half_precision(dtype):
    operator = adjacency(GRAPH, dtype)
    sparse = operator.to_sparse()
    assert sparse.dtype == operator.diagonal().dtype == dtype
    torch.testing.assert_close(sparse.to_dense(), operator.to_dense())


@pytest.mark.parametrize("normalization", ["row", "col", "sym"])
@pytest.mark.parametrize("loops", [0.0, 1.0, 2.5])
def test_normalised_adjacency_written_out(normalization, loops):
    tail, head = GRAPH.edge_index
    a = loops * torch.eye(N, dtype=F64)
    a[tail, head] = a[head, tail] = 1
    d = a.sum(1)
    expected = {
        "row": a / d[:, None],
        "col": a / d,
        "sym": a / (d[:, None] * d).sqrt(),
    }[normalization]
    found = adjacency(GRAPH, F64, normalization=normalization, loops=loops)
    torch.testing.assert_close(found.to_dense(), expected)


def test_vertices_without_neighbours_stay_where_they_are():
    lonely = CellComplex.from_edges(4, torch.tensor([[0], [2]]))
    x = randn(4, 2)
    for normalization in ("row", "col", "sym"):
        a = adjacency(lonely, F64, normalization=normalization)
        law = AttentionDiffusion.from_matrix(a)
        out = diffuse(law, x, 3.0, solver="rk4").x
        torch.testing.assert_close(out[[1, 3]], x[[1, 3]])


def test_what_inference_keeps_serves_training():
    fresh = CellComplex.from_edges(N, GRAPH.edge_index)
    x, w = randn(N, 2).requires_grad_(), randn(N, seed=1).requires_grad_()
    with torch.inference_mode():
        a = adjacency(fresh, F64, normalization="row")
        a.T @ a.T @ x
        assert a.entries.both_ends
    assert adjacency(fresh, F64, normalization="row") is a
    index, ptr = a.entries.both_ends
    for kept in (
        a.weight,
        a.entries.index,
        a.entries.row_by_column,
        a.entries.by_column,
        index,
        ptr,
    ):
        assert not kept.is_inference()
    weight = EntryOperator(a.entries, w[a.entries.row] * a.weight)
    (weight.T @ (weight @ (a @ x))).sum().backward()
    assert bool(w.grad.isfinite().all())
