"""Regularisers of a flow: its kinetic energy and the size of its Jacobian (Finlay et al., How to
train your neural ODE, ICML 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from topodiff.solvers.law import System


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

    Args:
        term: :func:`kinetic_energy` or :func:`jacobian_norm`, say.
        ts, xs: at least two times (rising) and the states there, as in ``Solution``.
    """
    if len(ts) < 2 or len(ts) != len(xs):
        raise ValueError(
            f"an integral over time needs two states at least, one for each time; got {len(ts)} "
            f"times and {len(xs)} states: pass save_at to diffuse"
        )
    values = torch.stack([term(law, t.to(x.dtype), x) for t, x in zip(ts, xs, strict=True)])
    return torch.trapezoid(values, ts.to(values))
