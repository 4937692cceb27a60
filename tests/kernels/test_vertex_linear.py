"""Linear maps of the state after dropout: all implementations alike, and as composed by hand."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import COMPILED, IMPLEMENTATIONS, implementation

from topodiff import kernels
from topodiff.kernels.activations import ACTIVATIONS, activate

EACH = pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
SHAPES = [(7, 3, 20), (0, 2, 3), (600, 1, 1), (300, 5, 33), (2, 1, 16)]
SEED = 2**40 + 17


def graph(n, edges, seed=0, dtype=torch.int64):
    g = torch.Generator().manual_seed(seed)
    face = torch.randint(max(n, 1), (2 * edges * (n > 0),), generator=g, dtype=dtype)
    return face, *kernels.sort_by_key(face, n)


def leaves(*shapes):
    g = torch.Generator().manual_seed(1)
    return [torch.randn(s, generator=g, dtype=torch.float64).requires_grad_() for s in shapes]


def check(which, run, expected, inputs):
    """Values, gradients and single precision of ``run(*inputs)``."""
    seed = torch.randn(expected.shape, dtype=torch.float64)
    wanted = torch.autograd.grad(expected, inputs, seed)
    with implementation(*which):
        found = run(*inputs)
        torch.testing.assert_close(found, expected)
        for a, b in zip(torch.autograd.grad(found, inputs, seed), wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        single = run(*(t.float() for t in inputs))
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)


@EACH
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", [0.0, 0.6])
@pytest.mark.parametrize("sides", ["left", "right", "both", "neither"])
def test_stalk_linear(which, shape, p, sides):
    _, d, channels = shape
    x, left, right = leaves(shape, (d, d), (channels, channels))
    with implementation("reference"):
        expected = kernels.dropout(x, p, SEED)
    has_left, has_right = sides in ("left", "both"), sides in ("right", "both")
    expected = expected @ right.mT if has_right else expected
    expected = left @ expected if has_left else expected
    inputs = [x] + [left] * has_left + [right] * has_right

    def run(x, *others):
        others = list(others)
        left = others.pop(0) if has_left else None
        return kernels.stalk_linear(x, left, others[0] if has_right else None, p, SEED)

    check(which, run, expected, inputs)


@EACH
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", [0.0, 0.6])
@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_pair_linear(which, shape, p, folded, activation):
    n, d, channels = shape
    x, weight = leaves(shape, (2, 3, channels if folded else d * channels))
    of_graph = graph(n, 900)
    with implementation("reference"):
        y = kernels.dropout(x, p, SEED)
    y = y.sum(1) if folded else y.flatten(1)
    own = of_graph[0]
    other = own.view(-1, 2).flip(1).flatten()
    z = torch.cat([y[own], y[other]], 1) @ torch.cat(weight.unbind(), 1).mT

    def run(x, weight):
        return kernels.pair_linear(x, weight, *of_graph, activation, p, SEED)

    check(which, run, activate(z, activation), [x, weight])


@EACH
def test_derivatives_of_gradients(which):
    x, left, right, weight = leaves((4, 2, 3), (2, 2), (3, 3), (2, 2, 3))
    of_graph = graph(4, 5)
    with implementation(*which):
        for run, inputs in (
            (lambda *a: kernels.stalk_linear(*a, 0.3, SEED), (x, left, right)),
            (lambda *a: kernels.pair_linear(*a, *of_graph, "tanh", 0.3, SEED), (x, weight)),
        ):
            assert torch.autograd.gradcheck(run, inputs)
            assert torch.autograd.gradgradcheck(run, inputs)


@EACH
def test_indices_of_32_bits(which):
    x, weight = leaves((50, 2, 3), (2, 4, 6))
    with implementation(*which):
        wide = kernels.pair_linear(x, weight, *graph(50, 80))
        narrow = kernels.pair_linear(x, weight, *(t.int() for t in graph(50, 80)))
    assert torch.equal(wide, narrow)


@pytest.mark.skipif(not COMPILED, reason="the compiled kernels are not built")
def test_same_bits_for_any_number_of_threads():
    x, left, right, weight = (
        t.detach().float().requires_grad_()
        for t in leaves((3000, 4, 32), (4, 4), (32, 32), (2, 6, 32))
    )
    of_graph, before, seen = graph(3000, 20_000), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 8):
            torch.set_num_threads(threads)
            moved = kernels.stalk_linear(x, left, right, 0.5, SEED)
            maps = kernels.pair_linear(x, weight, *of_graph, "tanh", 0.5, SEED)
            gradients = torch.autograd.grad(
                [moved.sin().sum(), maps.sin().sum()], [x, left, right, weight]
            )
            seen.append((moved, maps, *gradients))
    finally:
        torch.set_num_threads(before)
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))


@EACH
def test_values_that_are_out_of_range(which):
    x, weight = leaves((5, 2, 3), (2, 4, 6))
    face, face_ptr, by_face = graph(5, 6)
    broken = face.clone()
    broken[3] = 5
    with implementation(*which):
        for arrays in (
            (broken, face_ptr, by_face),
            (face, face_ptr + 1, by_face),
            (face, face_ptr, by_face + 1),
        ):
            with pytest.raises(ValueError, match=r"range|rise|lie"):
                kernels.pair_linear(x, weight, *arrays)


def test_wrong_arguments():
    x, of_graph = torch.ones(4, 2, 3), graph(4, 5)
    with pytest.raises(ValueError, match=r"left must have shape \(2, 2\)"):
        kernels.stalk_linear(x, torch.ones(3, 3), None)
    with pytest.raises(ValueError, match=r"right must have shape \(3, 3\)"):
        kernels.stalk_linear(x, None, torch.ones(2, 2))
    with pytest.raises(TypeError, match="must share a dtype"):
        kernels.stalk_linear(x, torch.ones(2, 2).double(), None)
    with pytest.raises(ValueError, match="x must have shape"):
        kernels.stalk_linear(x[0], None, None)
    with pytest.raises(ValueError, match="p must lie in"):
        kernels.stalk_linear(x, None, None, 1.0)
    for weight in (torch.ones(2, 4, 5), torch.ones(1, 4, 3), torch.ones(4, 3)):
        with pytest.raises(ValueError, match="weight must have shape"):
            kernels.pair_linear(x, weight, *of_graph)
    with pytest.raises(TypeError, match="must share a dtype"):
        kernels.pair_linear(x, torch.ones(2, 4, 3).double(), *of_graph)
    with pytest.raises(ValueError, match="x must have 4 rows"):
        kernels.pair_linear(x[:3], torch.ones(2, 4, 3), *of_graph)
    with pytest.raises(ValueError, match="activation must be one of"):
        kernels.pair_linear(x, torch.ones(2, 4, 3), *of_graph, "gelu")
    face = torch.zeros(3, dtype=torch.long)
    with pytest.raises(ValueError, match="two vertices for each edge"):
        kernels.pair_linear(x, torch.ones(2, 4, 3), face, *kernels.sort_by_key(face, 4))
