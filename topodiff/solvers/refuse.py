"""What gradients written by hand cannot do is refused, lest it be zero in silence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def refuse_transforms() -> None:
    """RuntimeError inside of torch.func.grad, vmap and the like."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise RuntimeError(
            "torch.func transforms (grad, vmap, jacrev, ...) do not reach through the kernels of "
            "operators and through implicit solves: take torch.autograd.grad or "
            "torch.autograd.functional, which do"
        )


def refuse_second(what: str) -> None:
    """RuntimeError in a backward pass with create_graph=True."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"second derivatives (create_graph=True) are not to be had through {what}: take a "
            "solver that makes explicit steps (rk4, dormand_prince) or uniformization"
        )


class _FirstOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, what: str) -> Tensor:
        ctx.what = what
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        refuse_second(ctx.what)
        return grads[0], None


def first_only(x: Tensor, what: str) -> Tensor:
    """x, without second derivatives."""
    found: Tensor = _FirstOnly.apply(x, what)
    return found
