"""Operations as ``torch.library`` entries: schema, shapes for tracing, one gradient formula each.

The autograd layer is written by hand because it is passed thousands of times per training step:
``register_autograd`` adds 15 us to a call, this one 7, and 3 where nothing but autograd looks on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad

from topodiff.kernels import backend

_library = torch.library.Library("topodiff", "DEF")
_below_autograd = torch._C._AutoDispatchBelowAutograd
_grad_enabled = torch.is_grad_enabled
_any_requires_grad = torch._C._any_requires_grad
_dispatch_modes = torch._C._len_torch_dispatch_stack
_innermost_transform = torch._C._functorch.peek_interpreter_stack
_jit_tracing = torch._C._get_tracing_state
_PLAIN = (torch.Tensor, torch.nn.Parameter)

Operation = Callable[..., Any]


def needs_gradient(*tensors: torch.Tensor | None) -> bool:
    """Whether autograd will record an operation on these tensors."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


Gradient = Callable[..., tuple]
"""``gradient(needed, arguments, results, *grads)``: one gradient (or ``None``) per argument.

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
    differentiable: int = 1,
) -> Operation:
    """Define ``topodiff::name`` and return the callable operation.

    Args:
        schema: arguments and results, as ``torch.library`` writes them.
        fake: same arguments, gives empty results (for tracing).
        gradient: see :data:`Gradient`.
        saves: positions of the tensors that the gradient reads.
        saves_results: whether the gradient reads the results.
        differentiable: how many of the results have gradients.
    """
    _library.define(f"{name}{schema}")
    torch.library.register_fake(f"topodiff::{name}", fake, lib=_library)
    operation = getattr(torch.ops.topodiff, name).default

    def run(*arguments: Any) -> Any:
        tensor = arguments[0]
        if tensor is None:
            tensor = arguments[1]
        return backend.select(name, tensor)(*arguments)

    def run_below_autograd(*arguments: Any) -> Any:
        with _below_autograd():
            return operation(*arguments)

    _library.impl(name, run, "CompositeExplicitAutograd")
    eager = run
    if gradient is not None:
        rules = (gradient, saves, saves_results, differentiable)
        eager = _recording(run, _node(name, run, *rules))
        recording = _recording(run_below_autograd, _node(name, run_below_autograd, *rules))
        _library.impl(name, recording, "Autograd")

    def call(*arguments: Any) -> Any:
        return eager(*arguments) if _is_plain(arguments) else operation(*arguments)

    call.overload = operation  # type: ignore[attr-defined]
    return call


def _is_plain(arguments: tuple) -> bool:
    """Whether nothing but eager execution and autograd sees the call: then the dispatcher's two
    rounds (5 us) are spared.
    """
    if (
        torch.compiler.is_compiling()
        or _dispatch_modes()
        or _innermost_transform() is not None
        or _jit_tracing() is not None
        or forward_ad._current_level >= 0
    ):
        return False
    for a in arguments:  # noqa: SIM110 - a loop costs half of all(...)
        if type(a) not in _PLAIN and isinstance(a, torch.Tensor):
            return False
    return True


def _recording(execute: Callable, node: type) -> Callable:
    """Execute, as a node of the autograd graph if any argument requires a gradient."""
    apply = node.apply  # type: ignore[attr-defined]

    def recording(*arguments: Any) -> Any:
        if _grad_enabled() and (_any_requires_grad(*arguments) or forward_ad._current_level >= 0):
            return apply(*arguments)
        return execute(*arguments)

    return recording


def _node(
    name: str,
    execute: Callable,
    gradient: Gradient,
    saves: tuple[int, ...],
    saves_results: bool,
    differentiable: int,
) -> type:
    """The autograd function of an operation."""

    def forward(ctx: Any, *arguments: Any) -> Any:
        results = execute(*arguments)
        several = isinstance(results, tuple)
        kept = [arguments[i] for i in saves]
        if saves_results:
            kept += results if several else (results,)
        ctx.save_for_backward(*kept)
        ctx.others = [a.shape if isinstance(a, torch.Tensor) else a for a in arguments]
        if several:
            ctx.mark_non_differentiable(*results[differentiable:])
        return results

    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        saved, arguments = ctx.saved_tensors, list(ctx.others)
        for i, tensor in zip(saves, saved, strict=False):
            arguments[i] = tensor
        results, grads = saved[len(saves) :], grads[:differentiable]
        return gradient(ctx.needs_input_grad, arguments, results, *grads)

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(name, (torch.autograd.Function,), methods)
