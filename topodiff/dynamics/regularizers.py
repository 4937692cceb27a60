"""Regularisers of a flow: its kinetic energy and the size of its Jacobian (Finlay et al., How to
train your neural ODE, ICML 2020)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from topodiff.solvers.law import System

# as near as float32 brings a saved time and a jump
_NEAR = 4 * torch.finfo(torch.float32).eps


def kinetic_energy(law: Any, t: Tensor, x: Tensor) -> Tensor:
    """``|dx/dt|^2`` at (t, x), the mean over the entries of x.

    Args:
        law: a law of first order, a function f(t, x) or an operator A for ``dx/dt = - A x``.

    Raises:
        TypeError: for a law of second order.
    """
    return _derivative(law, t, x).square().mean()


def jacobian_norm(law: Any, t: Tensor, x: Tensor, noise: Tensor | None = None) -> Tensor:
    """``|e^T J|^2`` over the number of entries of x, J the Jacobian of ``law(t, .)`` at x: for e of
    unit variance an unbiased estimate of the squared Frobenius norm over that number.

    Args:
        law: as for :func:`kinetic_energy`.
        noise: e, of the shape of x; by default +1 or -1 at random.

    Raises:
        TypeError: for a law of second order.
        RuntimeError: in ``torch.inference_mode``, in which there are no derivatives.
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError("inference_mode has no Jacobians: use torch.no_grad, or none of these")
    if noise is None:
        noise = torch.randint_like(x, 0, 2) * 2 - 1
    with torch.enable_grad():
        at = x if x.requires_grad else x.detach().requires_grad_()
        derivative = _derivative(law, t, at)
        if not derivative.requires_grad:
            return x.new_zeros(())
        (product,) = torch.autograd.grad(
            derivative, at, noise, create_graph=True, allow_unused=True, materialize_grads=True
        )
    return product.square().mean()


def _derivative(law: Any, t: Tensor, x: Tensor) -> Tensor:
    """dx/dt."""
    system = System(law, x)
    if system.order != 1:
        raise TypeError(f"regularisers are for laws of first order in time, got {law}")
    return system(t, x)


def time_integral(
    term: Callable[[Any, Tensor, Tensor], Tensor], law: Any, ts: Tensor, xs: Tensor | Sequence
) -> Tensor:
    """``int term(law, t, x(t)) dt`` by the trapezoidal rule over the states that a solver saved.

    A law that jumps is to have states saved at its ``breaks()``: then it counts on either side of
    each as it is there.

    Args:
        term: :func:`kinetic_energy` or :func:`jacobian_norm`, say.
        ts, xs: at least two times (rising) and the states there, as in ``Solution``.
    """
    if len(ts) < 2 or len(ts) != len(xs):
        raise ValueError(
            f"an integral over time needs two states at least, one for each time; got {len(ts)} "
            f"times and {len(xs)} states: pass save_at to diffuse"
        )
    parts = []
    for first, last, now in _stretches(law, ts.tolist()):
        times, states = ts[first : last + 1], xs[first : last + 1]
        values = [term(now, t.to(x.dtype), x) for t, x in zip(times, states, strict=True)]
        parts.append(torch.trapezoid(torch.stack(values), times.to(values[0])))
    return torch.stack(parts).sum()


def _stretches(law: Any, times: list[float]) -> Iterator[tuple[int, int, Any]]:
    """First and last number of the times between two jumps, and the law there."""
    breaks = law.breaks() if hasattr(law, "breaks") else []
    near = _NEAR * times[-1]
    at_breaks = [k for k, t in enumerate(times) if any(abs(t - s) <= near for s in breaks)]
    for first, last in pairwise(sorted({0, *at_breaks, len(times) - 1})):
        start, end = times[first], times[last]
        whole = not any(start + near < t < end - near for t in breaks)
        yield first, last, law.within(start, end) if breaks and whole else law
