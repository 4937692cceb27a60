"""Sums of Chebyshev polynomials of sparse matrices: against dense ones, and all alike."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import IMPLEMENTATIONS, implementation

from topodiff import kernels

EACH = pytest.mark.parametrize("which", IMPLEMENTATIONS, ids=lambda w: f"{w[0]}-{w[1]}")


def matrix(n: int, seed: int, kind: torch.dtype, dtype: torch.dtype = torch.float64):
    """A dense matrix with empty rows, and its compressed rows."""
    g = torch.Generator().manual_seed(seed)
    dense = torch.randn(n, n, generator=g, dtype=dtype) / max(n, 1)
    dense[torch.rand(n, n, generator=g) < 0.6] = 0
    row, column = dense.nonzero().T
    ptr = torch.zeros(n + 1, dtype=torch.int64)
    ptr[1:] = torch.bincount(row, minlength=n).cumsum(0)
    return dense, column.to(kind).contiguous(), ptr.to(kind), dense[row, column]


@EACH
@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(0, 30), channels=st.sampled_from([0, 1, 3, 4, 17]), times=st.integers(1, 3),
    terms=st.integers(2, 7), wide=st.booleans(), single=st.booleans(), seed=st.integers(0, 999),
)  # fmt: skip
def test_against_dense_matrices(which, n, channels, times, terms, wide, single, seed):
    dtype = torch.float32 if single else torch.float64
    dense, index, ptr, value = matrix(n, seed, torch.int64 if wide else torch.int32, dtype)
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, channels, dtype=dtype, generator=g)
    c = torch.randn(times, terms, dtype=torch.float64, generator=g)
    with implementation(*which):
        out, last, before = kernels.chebyshev_sum(x, index, ptr, value, c, 0.7, -0.2)
    matrices = [torch.eye(n).double(), (0.7 * dense - 0.2 * torch.eye(n)).double()]
    for _ in range(terms - 2):
        matrices.append(2 * matrices[1] @ matrices[-1] - matrices[-2])
    polynomials = torch.stack(matrices) @ x.double()
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if single else {"rtol": 1e-7, "atol": 1e-7}
    expected = torch.tensordot(c, polynomials, 1)
    torch.testing.assert_close(out.double(), expected, **tolerance)
    torch.testing.assert_close(last.double(), polynomials[-1], **tolerance)
    torch.testing.assert_close(before.double(), polynomials[-2], **tolerance)


@EACH
def test_a_matrix_that_threads_share(which):
    g = torch.Generator().manual_seed(0)
    n, nnz = 20_000, 100_000
    row = torch.randint(n, (nnz,), generator=g).sort().values
    index = torch.randint(n, (nnz,), generator=g)
    ptr = torch.zeros(n + 1, dtype=torch.int64)
    ptr[1:] = torch.bincount(row, minlength=n).cumsum(0)
    value, x = 0.1 * torch.randn(nnz, generator=g), torch.randn(n, 5, generator=g)
    c = torch.tensor([[1.0, 0.5, -2.0]], dtype=torch.float64)
    with implementation(*which):
        (out,), *_ = kernels.chebyshev_sum(x, index, ptr, value, c)
    dense = torch.sparse_coo_tensor(torch.stack([row, index]), value, (n, n))
    first = dense @ x
    second = 2 * (dense @ first) - x
    torch.testing.assert_close(out, x + 0.5 * first - 2 * second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("which", ["reference", *(w for w, _ in IMPLEMENTATIONS)])
@pytest.mark.parametrize("terms", [2, 3, 4])
def test_no_gradients(which, terms):
    _, index, ptr, value = matrix(4, 0, torch.int64)
    x = torch.ones(4, 1, dtype=torch.float64, requires_grad=True)
    with implementation(which):
        found = kernels.chebyshev_sum(
            x, index, ptr, value.requires_grad_(), torch.ones(1, terms, dtype=torch.float64)
        )
    assert not any(t.requires_grad for t in found)


@EACH
@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"x": torch.zeros(3)}, ValueError, r"shape \(n, channels\)"),
        ({"x": torch.zeros(4, 1)}, ValueError, "matrix of n = 3 rows"),
        ({"value": torch.ones(2, dtype=torch.float64)}, TypeError, "integer or torch.float32"),
        ({"value": torch.ones(3)}, ValueError, r"shape \(2,\)"),
        ({"value": torch.ones(2, dtype=torch.int64)}, TypeError, "as x and coefficients float64"),
        ({"c": torch.ones(1, 3)}, TypeError, "coefficients float64"),
        ({"c": torch.ones(1, 1, dtype=torch.float64)}, ValueError, "terms >= 2"),
        ({"index": torch.tensor([0, 3])}, ValueError, "index"),
        ({"ptr": torch.tensor([0, 2, 1, 2])}, ValueError, "ptr"),
    ],
)
def test_bad_input(which, change, error, says):
    given_ = {
        "x": torch.zeros(3, 1),
        "index": torch.tensor([0, 2]),
        "ptr": torch.tensor([0, 1, 1, 2]),
        "value": torch.ones(2),
        "c": torch.ones(1, 3, dtype=torch.float64),
        **change,
    }
    with implementation(*which), pytest.raises(error, match=says):
        kernels.chebyshev_sum(*given_.values())
