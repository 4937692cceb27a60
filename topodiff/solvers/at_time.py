"""States with their derivative to the time at which they are taken."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from topodiff.solvers.law import Scalar, System


class _AtTime(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, t: Tensor, x: Tensor, system: System) -> Tensor:
        ctx.system = system
        # the state as a result: its own derivative to t is here again, so all orders are right
        state = x.view_as(x)
        ctx.save_for_backward(t, state)
        return state

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        t, state = ctx.saved_tensors
        return (grads[0] * ctx.system(t, state)).sum().to(t), grads[0], None


def at_time(system: System, t: Scalar, x: Tensor) -> Tensor:
    """x(t) with its derivative to t, ``law(t, x)``, if t is a tensor; found in the backward pass by
    one evaluation."""
    if not isinstance(t, Tensor) or not torch.is_grad_enabled():
        return x
    found: Tensor = _AtTime.apply(t, x, system)
    return found
