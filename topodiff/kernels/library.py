"""Operations as ``torch.library`` entries: schema, shapes for tracing, one gradient formula each.

The dispatcher entry is written by hand because it is called thousands of times per training step:
``register_autograd`` costs 19 us a call where this costs 12 (and 7 without gradients).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from topodiff.kernels import backend

_library = torch.library.Library("topodiff", "DEF")
_below_autograd = torch._C._AutoDispatchBelowAutograd
_grad_enabled = torch.is_grad_enabled
_any_requires_grad = torch._C._any_requires_grad


def needs_gradient(*tensors: torch.Tensor | None) -> bool:
    """Whether autograd will record an operation on these tensors."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


Gradient = Callable[..., tuple]
"""``gradient(needed, arguments, results, grad)``: one gradient (or ``None``) per argument.

``needed`` says which arguments require one; ``arguments`` holds the saved tensors, the shapes of
the tensors that were not saved, and everything else as it was given; ``results`` is empty unless
saved.
"""


def define(
    name: str,
    schema: str,
    fake: Callable,
    gradient: Gradient | None = None,
    saves: tuple[int, ...] = (),
    saves_results: bool = False,
) -> Callable:
    """Define ``topodiff::name`` and return the callable operation.

    Args:
        schema: arguments and results, as ``torch.library`` writes them.
        fake: same arguments, gives empty results (for tracing).
        gradient: see :data:`Gradient`; results after the first get none.
        saves: positions of the tensors that the gradient reads.
        saves_results: whether the gradient reads the results.
    """
    _library.define(f"{name}{schema}")
    torch.library.register_fake(f"topodiff::{name}", fake, lib=_library)
    operation = getattr(torch.ops.topodiff, name).default

    def run(*arguments: Any) -> Any:
        tensor = arguments[0]
        if tensor is None:
            tensor = arguments[1]
        return backend.select(name, tensor)(*arguments)

    _library.impl(name, run, "CompositeExplicitAutograd")
    if gradient is not None:
        node = _node(name, operation, gradient, saves, saves_results)
        _library.impl(name, _dispatch(node, operation), "Autograd")
    return operation


def _dispatch(node: type, operation: Callable) -> Callable:
    apply = node.apply  # type: ignore[attr-defined]

    def dispatch(*arguments: Any) -> Any:
        if _grad_enabled() and _any_requires_grad(*arguments):
            return apply(*arguments)
        with _below_autograd():
            return operation(*arguments)

    return dispatch


def _node(
    name: str, operation: Callable, gradient: Gradient, saves: tuple[int, ...], saves_results: bool
) -> type:
    """The autograd function of an operation."""

    def forward(ctx: Any, *arguments: Any) -> Any:
        with _below_autograd():
            results = operation(*arguments)
        several = isinstance(results, tuple)
        kept = [arguments[i] for i in saves]
        if saves_results:
            kept += results if several else (results,)
        ctx.save_for_backward(*kept)
        ctx.others = [a.shape if isinstance(a, torch.Tensor) else a for a in arguments]
        if several:
            ctx.mark_non_differentiable(*results[1:])
        return results

    def backward(ctx: Any, grad: torch.Tensor, *_: Any) -> Any:
        saved, arguments = ctx.saved_tensors, list(ctx.others)
        for i, tensor in zip(saves, saved, strict=False):
            arguments[i] = tensor
        return gradient(ctx.needs_input_grad, arguments, saved[len(saves) :], grad)

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(name, (torch.autograd.Function,), methods)
