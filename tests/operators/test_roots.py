"""Inverse square roots and their gradients, repeated eigenvalues above all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.operators import SheafLaplacian, inverse_sqrt
from topodiff.operators.blocks import sheaf_blocks
from topodiff.sheaves import CellularSheaf, SpecialOrthogonal


def blocks(dim, values):
    """(3, d, d) with the given eigenvalues and random eigenvectors."""
    rotation = SpecialOrthogonal(dim, "givens")
    r = rotation(torch.randn(3, rotation.num_params, dtype=torch.float64))
    return r @ torch.diag_embed(torch.tensor(values, dtype=torch.float64)) @ r.mT


def symmetric(m):
    return inverse_sqrt((m + m.mT) / 2)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [1.0, 1.0, 5.0], [1.0, 1.0 + 1e-12, 1e-3], [4.0]]
)
def test_gradients_at_repeated_eigenvalues(values):
    m = blocks(len(values), values)
    m[0] = torch.diag(torch.tensor(values, dtype=torch.float64))
    root = symmetric(m)
    identity = torch.eye(len(values), dtype=torch.float64).expand_as(m)
    torch.testing.assert_close(root @ m @ root, identity)
    m.requires_grad_()
    assert torch.autograd.gradcheck(symmetric, m, atol=1e-4, rtol=1e-4)
    if min(values) > 0.1:
        assert torch.autograd.gradgradcheck(symmetric, m, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**20), dim=st.integers(1, 8), dtype=st.sampled_from([0, 1]))
def test_inverse_square_root(seed, dim, dtype):
    dtype = (torch.float32, torch.float64)[dtype]
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(4, dim, dim + 3, generator=generator).to(dtype)
    m = a @ a.mT + 0.1 * torch.eye(dim, dtype=dtype)
    root = inverse_sqrt(m)
    tol = 1e3 * torch.finfo(dtype).eps
    expected = torch.eye(dim, dtype=dtype).expand_as(m)
    torch.testing.assert_close(root @ m @ root, expected, rtol=0, atol=tol)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 3)])
def test_singular_blocks_give_zero_and_finite_gradients(shape):
    m = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    root = inverse_sqrt(m)
    assert torch.equal(root, torch.zeros_like(root))
    root.sum().backward()
    assert torch.equal(m.grad, torch.zeros_like(m))


def test_kernel_of_a_singular_block():
    m = blocks(3, [4.0, 1.0, 0.0])
    torch.testing.assert_close(inverse_sqrt(m) @ inverse_sqrt(m), torch.linalg.pinv(m))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 3, 3)])
def test_not_a_number(shape, bad):
    m = torch.ones(shape) if len(shape) < 3 else torch.eye(3).repeat(4, 1, 1)
    m[2].view(-1)[0] = bad
    with pytest.raises(ValueError, match="block 2 is not finite"):
        inverse_sqrt(m)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("normalized", [True, "augmented"])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_not_a_number_is_no_zero_in_training(shape, normalized, weighted):
    path = CellComplex.from_edges(4, torch.tensor([[0, 1, 2], [1, 2, 3]]))
    maps = torch.ones(6, *shape)
    weights = torch.ones(3) if weighted else None
    sheaf = CellularSheaf(path, 2, maps, weights=weights)
    maps[0] = torch.nan
    blocks = sheaf_blocks(maps, path.incidence(1), weights=weights, normalized=normalized)
    for t in blocks:
        assert t[0].isnan().all()
        assert t[2:].isfinite().all()
    with pytest.raises(ValueError, match="block 0 is not finite"):
        SheafLaplacian(sheaf, normalized)
