"""Assertions on values: complexes, tensors, operators."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.storage import to_tensors


def assert_complex_equal(actual: CellComplex, expected: CellComplex) -> None:
    """Same cells, order, signs and data, bit for bit; AssertionError names the first difference."""
    if actual.shape != expected.shape:
        raise AssertionError(f"shape is {actual.shape}, expected {expected.shape}")
    mine, theirs = to_tensors(actual), to_tensors(expected)
    if mine.keys() != theirs.keys():
        missing, extra = theirs.keys() - mine.keys(), mine.keys() - theirs.keys()
        raise AssertionError(f"missing {sorted(missing)}, not expected {sorted(extra)}")
    for name, tensor in mine.items():
        torch.testing.assert_close(
            tensor,
            theirs[name],
            rtol=0,
            atol=0,
            equal_nan=True,
            msg=lambda text, name=name: f"{name}: {text}",  # type: ignore[misc]
        )


def assert_close(actual: Tensor, expected: Tensor, name: str, tolerance: float | None) -> None:
    """Equal up to ``tolerance`` times the largest expected magnitude (at least 1), and finite.

    The default is 1e-4 in float32 and 1e-10 in float64, room for sums in another order.
    """
    actual, expected = actual.detach(), expected.detach()
    if not bool(torch.isfinite(actual).all()):
        raise AssertionError(f"{name} is not finite")
    if tolerance is None:
        tolerance = 1e-10 if expected.dtype == torch.float64 else 1e-4
    measured = expected.numel() > 0 and expected.dtype != torch.bool
    scale = max(1.0, float(expected.abs().max())) if measured else 1.0
    torch.testing.assert_close(
        actual, expected, rtol=0, atol=tolerance * scale, msg=lambda text: f"{name}: {text}"
    )


def assert_matches_dense(
    operator: Callable[[Tensor], Tensor],
    dense: Tensor,
    *,
    channels: int = 3,
    tolerance: float | None = None,
) -> None:
    """A linear operator equals its matrix, forward and backward.

    For random x (n, channels) and g (m, channels) in the dtype of the matrix: ``operator(x)`` is
    ``dense @ x``, and the gradient of ``<g, operator(x)>`` with respect to x is ``dense^T g``.

    Args:
        operator: takes (n, channels), returns (m, channels).
        dense: (m, n).
        channels: number of columns.
        tolerance: relative to the largest expected value; see :func:`assert_close`.
    """
    generator = torch.Generator().manual_seed(0)
    x, g = (
        torch.randn(n, channels, generator=generator, dtype=dense.dtype).to(dense.device)
        for n in (dense.shape[1], dense.shape[0])
    )
    x.requires_grad_()
    out = operator(x)
    assert_close(out, dense @ x, "operator(x)", tolerance)
    (gradient,) = torch.autograd.grad(out, x, g)
    assert_close(gradient, dense.T @ g, "gradient", tolerance)
