"""Operators in single and half precision."""

from functools import partial

import pytest
import torch
from operator_cases import CASES, RINGS, random_maps, sheaf, state

from topodiff.operators import SheafLaplacian


@pytest.mark.parametrize("name", CASES)
def test_gradients_in_single_precision(name):
    """Those in double precision at the same numbers."""
    build, leaves = CASES[name]
    gradients = partial(torch.autograd.grad, materialize_grads=True)
    found = []
    for dtype in (torch.float32, torch.float64):
        numbers = [leaf.float().to(dtype).requires_grad_() for leaf in leaves]
        operator = build(*numbers)
        x = state(operator, (2,), torch.float32).to(dtype).requires_grad_()
        y = state(operator, (2,), torch.float32, "row").sin().to(dtype)
        of_product = gradients(((operator @ x) * y).sum(), (x, *numbers))
        weight = torch.linspace(-1, 1, operator.shape[0] * operator.shape[1], dtype=dtype)
        of_dense = ()
        if numbers:
            loss = (build(*numbers).to_dense().flatten() * weight).sum()
            of_dense = gradients(loss, numbers)
        found.append((*of_product, *of_dense))
    for single, double in zip(*found, strict=True):
        assert single.dtype == torch.float32
        size = float(double.abs().max()) if double.numel() else 0.0
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5 * (1 + size))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("normalized", [False, True, "augmented"])
@pytest.mark.parametrize("kind", ["scalar", "diagonal", "matrix"])
def test_half_precision(kind, normalized, dtype):
    """Of a Laplacian, products, gradients and matrices, beside those in float32."""
    numbers, found = random_maps(RINGS, kind)[0].to(dtype), []
    for precision in (dtype, torch.float32):
        maps = numbers.to(precision).requires_grad_()
        operator = SheafLaplacian(sheaf(RINGS, maps), normalized)
        x = state(operator, (2,), dtype).to(precision)
        (grad,) = torch.autograd.grad((operator @ x).sin().sum(), maps)
        sparse = operator.to_sparse()
        assert sparse.dtype == grad.dtype == maps.dtype
        view = torch.from_numpy(operator.scipy() @ x.flatten(0, 1).float().numpy())
        found.append((operator @ x, grad, sparse.to_dense(), operator.block_diagonal(), view))
    for low, single in zip(*found, strict=True):
        close = 16 * torch.finfo(dtype).eps * float(single.detach().abs().max())
        torch.testing.assert_close(low.float(), single, rtol=0, atol=close)
