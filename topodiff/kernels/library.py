"""Operations as ``torch.library`` entries: schema, shapes for tracing, one gradient formula each.

The autograd layer is written by hand because it is passed thousands of times per training step:
``register_autograd`` adds 15 us to a call, this one 7, and 2 where nothing but autograd looks on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad

from topodiff.kernels import backend, checks

_library = torch.library.Library("topodiff", "DEF")
_below_autograd = torch._C._AutoDispatchBelowAutograd
_grad_enabled = torch.is_grad_enabled
_any_requires_grad = torch._C._any_requires_grad
_dispatch_modes = torch._C._len_torch_dispatch_stack
_innermost_transform = torch._C._functorch.peek_interpreter_stack
_jit_tracing = torch._C._is_tracing
_is_tracing = torch.compiler.is_dynamo_compiling
_is_batched = torch._C._functorch.is_legacy_batchedtensor
_are_plain = frozenset(
    {torch.Tensor, torch.nn.Parameter, type(None), bool, int, float, str}
).issuperset
_Function = torch.autograd.Function

Operation = Callable[..., Any]


def needs_gradient(*tensors: torch.Tensor | None) -> bool:
    """Whether autograd will record an operation on these tensors."""
    if torch.is_grad_enabled():  # a loop: no time for any()
        for tensor in tensors:
            if tensor is not None and tensor.requires_grad:
                return True
    return False


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
    operation = getattr(torch.ops.topodiff, name).default
    tensors = {i: operation._schema.arguments[i].name for i in _tensors_of(operation)}
    known, dtype_on_cpu = backend.chosen[name].get, _dtype_on_cpu(operation)

    def check_devices(arguments: tuple) -> None:
        checks.check_devices(name, **{key: arguments[i] for i, key in tensors.items()})

    def trace(*arguments: Any) -> Any:
        check_devices(arguments)
        return fake(*arguments)

    torch.library.register_fake(f"topodiff::{name}", trace, lib=_library)

    def choose(arguments: tuple) -> Callable:
        check_devices(arguments)
        tensor = arguments[0]
        return backend.select(name, arguments[1] if tensor is None else tensor)

    def run(*arguments: Any) -> Any:
        function = known(dtype_on_cpu(*arguments)) or choose(arguments)
        return function(*arguments)

    def run_below_autograd(*arguments: Any) -> Any:
        with _below_autograd():
            return operation(*arguments)

    _library.impl(name, run, "CompositeExplicitAutograd")
    recorded: Operation | None = None
    if gradient is not None:
        rules = (gradient, saves, saves_results, differentiable)
        node = _node(name, run, operation, *rules)
        # past Function.apply, which looks for transforms of torch.func: here there are none
        recorded = super(_Function, node).apply  # type: ignore[misc]
        below = _node(name, run_below_autograd, operation, *rules).apply  # type: ignore[attr-defined]

        def recording(*arguments: Any) -> Any:
            level = forward_ad._current_level
            if _grad_enabled() and (_any_requires_grad(*arguments) or level >= 0):
                return below(*arguments)
            return run_below_autograd(*arguments)

        _library.impl(name, recording, "Autograd")

    def call(*arguments: Any) -> Any:
        # where nothing but eager execution and autograd sees the call, the dispatcher's two rounds
        # (5 us) are spared
        if (
            _is_tracing()
            or _dispatch_modes()
            or _innermost_transform() is not None
            or _jit_tracing()
            or forward_ad._current_level >= 0
            or not _are_plain(map(type, arguments))
        ):
            return operation(*arguments)
        try:
            if recorded is not None and _grad_enabled() and _any_requires_grad(*arguments):
                return recorded(*arguments)
            function = known(dtype_on_cpu(*arguments)) or choose(arguments)
            return function(*arguments)
        except RuntimeError:
            # batched gradients (is_grads_batched) have no memory of their own, and there is no
            # cheaper way to notice them; the dispatcher takes them apart
            if not any(_is_batched(a) for a in arguments if isinstance(a, torch.Tensor)):
                raise
        return operation(*arguments)

    call.overload = operation  # type: ignore[attr-defined]
    return call


def _tensors_of(operation: Any) -> list[int]:
    """The positions of the arguments that are tensors, or may be."""
    return [i for i, a in enumerate(operation._schema.arguments) if "Tensor" in str(a.type)]


def _dtype_on_cpu(operation: Any) -> Callable[..., torch.dtype | None]:
    """The dtype of the first tensor of a call if all are on the CPU, else none. Written out, as it
    comes with every call and a loop takes twice as long.
    """
    names = [a.name for a in operation._schema.arguments]
    first, second = names[:2]
    tests = [f"({names[i]} is None or {names[i]}.is_cpu)" for i in _tensors_of(operation)]
    dtype = f"({second} if {first} is None else {first}).dtype"
    return eval(f"lambda {', '.join(names)}: {dtype} if {' and '.join(tests)} else None")


def _node(
    name: str,
    execute: Callable,
    operation: Any,
    gradient: Gradient,
    saves: tuple[int, ...],
    saves_results: bool,
    differentiable: int,
) -> type:
    """The autograd function of an operation."""
    several, number = len(operation._schema.returns) > 1, len(saves)
    unsaved = set(_tensors_of(operation)) - set(saves)

    def forward(ctx: Any, *arguments: Any) -> Any:
        results = execute(*arguments)
        others = list(arguments)
        for i in unsaved:
            if others[i] is not None:
                others[i] = others[i].shape
        kept = []
        for i in saves:
            kept.append(others[i])
            others[i] = None
        if saves_results:
            kept += results if several else (results,)
        ctx.save_for_backward(*kept)
        ctx.others = others
        if several:
            ctx.mark_non_differentiable(*results[differentiable:])
            if differentiable == 1:  # no zeros for the results that have no gradient
                ctx.set_materialize_grads(False)
        return results

    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        if grads[0] is None and differentiable == 1:
            return (None,) * len(ctx.others)
        saved, arguments = ctx.saved_tensors, list(ctx.others)
        for k, i in enumerate(saves):
            arguments[i] = saved[k]
        results = saved[number:] if saves_results else ()
        return gradient(ctx.needs_input_grad, arguments, results, *grads[:differentiable])

    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type(name, (_Function,), methods)
