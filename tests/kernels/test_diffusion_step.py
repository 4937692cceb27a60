"""A layer of sheaf diffusion in one operation: as its parts, one after the other."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import IMPLEMENTATIONS, implementation

from topodiff import kernels

EACH = pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
SEED = 2**40 + 17


def case(n, edges, d, channels, dim, sides="both", has_diagonal=True):
    """Tensors that have gradients (or None) in order of the arguments, and the graph."""
    g = torch.Generator().manual_seed(n)
    face = torch.randint(max(n, 1), (2 * edges * (n > 0),), generator=g)
    shapes = (
        (n, d, channels),
        (d, d) if sides in ("left", "both") else None,
        (channels, channels) if sides in ("right", "both") else None,
        (n, d, d)[:dim] if has_diagonal else None,
        (len(face) // 2, d, d)[:dim],
        (d,),
    )
    tensors = [
        None if s is None else torch.randn(s, generator=g, dtype=torch.float64).requires_grad_()
        for s in shapes
    ]
    return tensors, (face, *kernels.sort_by_key(face, n))


def parts(x, left, right, diagonal, blocks, factor, graph, activation, p):
    y = kernels.stalk_linear(x, left, right, p, SEED)
    z = kernels.block_matmul(y, diagonal, blocks, *graph)
    return kernels.residual(x, z, factor, activation)


def whole(x, left, right, diagonal, blocks, factor, graph, activation, p):
    maps = (left, right, diagonal, blocks)
    return kernels.diffusion_step(x, *maps, *graph, factor, activation, p, SEED)


@EACH
@pytest.mark.parametrize("size", [(7, 12, 3, 20), (0, 0, 2, 3), (600, 900, 1, 1), (2, 0, 4, 16)])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("p", [0.0, 0.6])
@pytest.mark.parametrize(("sides", "diagonal"), [("both", True), ("left", False), ("right", True)])
def test_is_its_parts(which, size, dim, p, sides, diagonal):
    tensors, graph = case(*size, dim, sides, diagonal)
    inputs = [t for t in tensors if t is not None]
    with implementation("reference"):
        expected = parts(*tensors, graph, "elu", p)
        seed = torch.randn_like(expected)
        wanted = torch.autograd.grad(expected, inputs, seed)
    with implementation(*which):
        found = whole(*tensors, graph, "elu", p)
        torch.testing.assert_close(found, expected)
        for a, b in zip(torch.autograd.grad(found, inputs, seed), wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        single = whole(*(None if t is None else t.float() for t in tensors), graph, "elu", p)
    torch.testing.assert_close(single.double(), expected, rtol=1e-4, atol=1e-4)


@EACH
@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize("activation", ["elu", "tanh"])
def test_derivatives_of_gradients(which, dim, activation):
    tensors, graph = case(4, 5, 2, 3, dim)

    def run(*tensors):
        return whole(*tensors, graph, activation, 0.3)

    with implementation(*which):
        assert torch.autograd.gradcheck(run, tensors)
        assert torch.autograd.gradgradcheck(run, tensors)


@pytest.mark.parametrize("wanting", range(6))
def test_gradient_of_one_argument_alone(wanting):
    tensors, graph = case(5, 6, 2, 3, 2)
    wanted = torch.autograd.grad(whole(*tensors, graph, "elu", 0.0).sum(), tensors)[wanting]
    tensors = [t.detach() for t in tensors]
    one = tensors[wanting].requires_grad_()
    (found,) = torch.autograd.grad(whole(*tensors, graph, "elu", 0.0).sum(), one)
    torch.testing.assert_close(found, wanted)


@EACH
def test_registration(which):
    (x, left, right, diagonal, blocks, factor), graph = case(4, 5, 2, 3, 2)
    arguments = (x, left, right, diagonal, blocks, *graph, factor, "elu", 0.3, SEED)
    with implementation(*which):
        torch.library.opcheck(torch.ops.topodiff.diffusion_step.default, arguments)


def test_draws_its_own_seed():
    tensors, graph = case(4, 5, 2, 3, 2)
    x, *maps, factor = tensors
    torch.manual_seed(3)
    a = kernels.diffusion_step(x, *maps, *graph, factor, p=0.5)
    b = kernels.diffusion_step(x, *maps, *graph, factor, p=0.5)
    torch.manual_seed(3)
    again = kernels.diffusion_step(x, *maps, *graph, factor, p=0.5)
    assert torch.equal(a, again)
    assert not torch.equal(a, b)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"left": torch.eye(3).double()}, "left must have shape"),
        ({"blocks": torch.ones(4, 2).double()}, "blocks must have shape"),
        ({"factor": torch.zeros(3).double()}, "factor must have shape"),
        ({"activation": "gelu"}, "activation"),
        ({"p": 1.0}, "p must lie"),
        ({"factor": torch.zeros(2)}, "dtype"),
    ],
)
def test_bad_arguments(change, error):
    names = ("x", "left", "right", "diagonal", "blocks", "factor")
    tensors, graph = case(4, 5, 2, 3, 2)
    arguments = dict(zip(names, tensors, strict=True)) | change
    arguments |= dict(zip(("face", "face_ptr", "by_face"), graph, strict=True))
    with pytest.raises((TypeError, ValueError), match=error):
        kernels.diffusion_step(**arguments)
