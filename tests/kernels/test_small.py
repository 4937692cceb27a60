"""Products of very many very small matrices: every layout, dimension and instruction set."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import COMPILED, IMPLEMENTATIONS, implementation

from topodiff import kernels
from topodiff.kernels import sheaf

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]
TRANSPOSES = [(ta, tb) for ta in (False, True) for tb in (False, True)]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-13}


def matrices(n: int, d: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, d, generator=generator, dtype=torch.float64).to(dtype)


def exact(a: torch.Tensor, b: torch.Tensor, ta: bool, tb: bool) -> torch.Tensor:
    return torch.einsum("nij,njk->nik", a.mT if ta else a, b.mT if tb else b)


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("d", [*range(10), 17])
def test_every_dimension(which, dtype, d):
    for n in (0, 1, 2, 5, 33):
        a, b = matrices(n, d, dtype), matrices(n, d, dtype, 1)
        for ta, tb in TRANSPOSES:
            with implementation(*which):
                found = kernels.small_matmul(a, b, ta, tb)
            expected = exact(a, b, ta, tb)
            tolerance = TOLERANCE[dtype]
            torch.testing.assert_close(found, expected, rtol=tolerance, atol=4 * tolerance)


LAYOUTS = {
    "every other": lambda n, d: matrices(2 * n, d)[::2],
    "the other ones": lambda n, d: matrices(2 * n, d)[1::2],
    "one for all": lambda n, d: matrices(1, d).expand(n, d, d),
    "transposed": lambda n, d: matrices(n, d).mT,
    "rows apart": lambda n, d: torch.randn(n, d, 2 * d, dtype=torch.float64)[:, :, :d],
    "overlapping": lambda n, d: torch.randn(n + d * d, dtype=torch.float64).as_strided(
        (n, d, d), (1, d, 1)
    ),
    "last dimension first": lambda n, d: torch.randn(d, d, n, dtype=torch.float64).permute(2, 0, 1),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 7])
def test_every_layout(name, layout, d):
    strided, plain = LAYOUTS[layout](6, d), matrices(6, d, seed=2)
    for ta, tb in TRANSPOSES:
        with implementation(name):
            left = kernels.small_matmul(strided, plain, ta, tb)
            right = kernels.small_matmul(plain, strided, ta, tb)
        torch.testing.assert_close(left, exact(strided, plain, ta, tb))
        torch.testing.assert_close(right, exact(plain, strided, ta, tb))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("ta", "tb"), TRANSPOSES)
def test_first_and_second_derivatives(name, ta, tb):
    inputs = [matrices(3, 3, seed=s).requires_grad_() for s in (0, 1)]
    with implementation(name):
        assert torch.autograd.gradcheck(lambda a, b: kernels.small_matmul(a, b, ta, tb), inputs)
        assert torch.autograd.gradgradcheck(lambda a, b: kernels.small_matmul(a, b, ta, tb), inputs)


@pytest.mark.parametrize("name", NAMES)
def test_operator_of_the_library(name):
    inputs = [matrices(4, 3, seed=s).requires_grad_() for s in (0, 1)]
    with implementation(name):
        torch.library.opcheck(sheaf._small_matmul.overload, (*inputs, True, False))


@pytest.mark.skipif(not COMPILED, reason="no compiled kernels")
@pytest.mark.parametrize("d", [1, 3, 4])
def test_threads_write_their_own_matrices(d):
    n = 200_000 // (d * d)
    a, b = matrices(n, d, torch.float32), matrices(n, d, torch.float32, 1)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(kernels.small_matmul(a, b))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)
    torch.testing.assert_close(results[0], exact(a, b, False, False), rtol=1e-5, atol=1e-5)


def test_mistakes_are_reported():
    a = matrices(4, 3)
    with pytest.raises(ValueError, match=r"a must have shape \(n, d, d\), got \(4, 3, 2\)"):
        kernels.small_matmul(a[:, :, :2], a)
    with pytest.raises(ValueError, match="a and b must share shape and dtype"):
        kernels.small_matmul(a, a.float())
    with pytest.raises(ValueError, match="a and b must share shape and dtype"):
        kernels.small_matmul(a, a[:3])


@pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 8, 9])
def test_transports(which, dtype, d):
    tolerance = TOLERANCE[dtype]
    for n in (0, 1, 2, 33, 3000):
        maps = matrices(2 * n, d, dtype).requires_grad_()
        factor = matrices(n, 1, dtype, 1).flatten().requires_grad_()
        seed = matrices(n, d, dtype, 2)
        expected = factor[:, None, None] * exact(maps[1::2], maps[0::2], True, False)
        wanted = torch.autograd.grad(expected, (maps, factor), seed)
        with implementation(*which):
            found = kernels.transports(maps, factor)
            gradients = torch.autograd.grad(found, (maps, factor), seed)
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=20 * tolerance)
        torch.testing.assert_close(gradients, wanted, rtol=tolerance, atol=100 * tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_of_gradients_of_transports(name):
    maps, factor = matrices(6, 3).requires_grad_(), matrices(3, 1).flatten().requires_grad_()
    with kernels.use(name):
        assert torch.autograd.gradcheck(kernels.transports, (maps, factor))
        assert torch.autograd.gradgradcheck(kernels.transports, (maps, factor))


def test_transports_refuse_wrong_arguments():
    for maps in (torch.ones(3, 2, 2), torch.ones(4, 2, 3), torch.ones(4, 2)):
        with pytest.raises(ValueError, match="maps must have shape"):
            kernels.transports(maps, torch.ones(2))
    for factor in (torch.ones(3), torch.ones(2).double(), torch.ones(2, 1)):
        with pytest.raises(ValueError, match="factor must have shape"):
            kernels.transports(torch.ones(4, 2, 2), factor)
