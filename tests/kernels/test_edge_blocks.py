"""Blocks of sheaf Laplacians with diagonal maps: against dense matrices, and all alike."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import IMPLEMENTATIONS, implementation
from torch import Tensor

from topodiff import kernels

EACH = pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")


def graph(n: int, edges: int, seed: int, dtype: torch.dtype = torch.int64) -> tuple[Tensor, ...]:
    g = torch.Generator().manual_seed(seed)
    face = torch.randint(max(n, 1), (2 * edges,), generator=g)
    return tuple(t.to(dtype) for t in (face, *kernels.sort_by_key(face, n)))


def dense(maps: Tensor, face: Tensor, n: int, augmented: bool) -> tuple[Tensor, Tensor]:
    """Diagonal and edge blocks, read off from matrices; one coordinate at a time."""
    columns = []
    for m in maps.unbind(1):
        total = torch.zeros(n, dtype=maps.dtype).index_add(0, face.long(), m * m)
        shifted = total + float(augmented)
        root = torch.where(shifted > 0, shifted.clamp(min=1e-300).rsqrt(), 0)
        ends = root[face.long()] * m
        columns.append((total * root * root, -(ends[0::2] * ends[1::2])))
    return tuple(torch.stack(c, 1) for c in zip(*columns, strict=True))


@EACH
@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 30), edges=st.integers(0, 60), d=st.integers(1, 5), augmented=st.booleans(),
    wide=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip
def test_values_and_gradients(which, n, edges, d, augmented, wide, seed):
    arrays = graph(n, edges, seed, torch.int64 if wide else torch.int32)
    maps = torch.randn(2 * edges, d, dtype=torch.float64, requires_grad=True)
    with implementation(*which):
        diagonal, blocks = kernels.edge_blocks(maps, *arrays, augmented)
        expected = dense(maps, arrays[0], n, augmented)
        torch.testing.assert_close((diagonal, blocks), expected)
        seeds = [torch.randn_like(t) for t in expected]
        (gradient,) = torch.autograd.grad((diagonal, blocks), maps, seeds)
    (wanted,) = torch.autograd.grad(expected, maps, seeds)
    torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-9)


@EACH
def test_single_precision_on_a_graph_that_threads_share(which):
    arrays = graph(5000, 100_000, 0)
    maps = torch.randn(200_000, 2, requires_grad=True)
    with implementation(*which):
        found = kernels.edge_blocks(maps, *arrays, True)
        (gradient,) = torch.autograd.grad(found[1].sum() + found[0].sum(), maps)
    double = maps.double().detach().requires_grad_()
    expected = dense(double, arrays[0], 5000, True)
    (wanted,) = torch.autograd.grad(expected[1].sum() + expected[0].sum(), double)
    torch.testing.assert_close(found[1].double(), expected[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gradient.double(), wanted, rtol=1e-3, atol=1e-5)


@EACH
def test_derivatives_of_gradients(which):
    arrays = graph(4, 5, 0)
    maps = torch.randn(10, 2, dtype=torch.float64, requires_grad=True)
    with implementation(*which):
        for augmented in (True, False):

            def blocks(m: Tensor, augmented: bool = augmented) -> tuple[Tensor, Tensor]:
                return kernels.edge_blocks(m, *arrays, augmented)

            assert torch.autograd.gradcheck(blocks, maps)
            assert torch.autograd.gradgradcheck(blocks, maps)


@EACH
def test_wrong_arguments(which):
    face, ptr, order = graph(4, 5, 0)
    maps = torch.ones(10, 2)
    with implementation(*which):
        for bad in (torch.ones(9, 2), torch.ones(10), torch.ones(10, 2, 1)):
            with pytest.raises(ValueError, match="maps must have shape"):
                kernels.edge_blocks(bad, face, ptr, order)
        with pytest.raises(ValueError, match="must"):
            kernels.edge_blocks(maps, face + 4, ptr, order)
        with pytest.raises(ValueError, match="must"):
            kernels.edge_blocks(maps, face, ptr, order - 1)
        with pytest.raises(ValueError, match="must"):
            kernels.edge_blocks(maps, face, ptr + 1, order)
        with pytest.raises(TypeError, match="floating point"):
            kernels.edge_blocks(maps.long(), face, ptr, order)
