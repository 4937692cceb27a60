"""What is computed once outlasts the mode in which it was first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

try:  # there is no public way out of a transform
    from torch._C._functorch import peek_interpreter_stack
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
except ImportError:  # renamed: then what is first asked for in a transform does not outlast it

    def peek_interpreter_stack() -> None:  # type: ignore[misc]
        return None


P = ParamSpec("P")
T = TypeVar("T")


def outlasting(make: Callable[P, T]) -> Callable[P, T]:
    """``make`` outside of ``torch.inference_mode`` and of ``torch.func``, and without gradients,
    for results that are kept: autograd takes no tensor that was made in inference mode, then or
    ever after, and nothing takes one that was wrapped for a transform once this is over.

    Where ``make`` needs tensors that may be wrapped themselves, ask :func:`transformed` first.
    """

    @wraps(make)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if transformed():
            with temporarily_clear_interpreter_stack():
                return run(*args, **kwargs)
        with torch.inference_mode(False), torch.no_grad():  # in this order: the first turns them on
            return make(*args, **kwargs)

    return run


def transformed() -> bool:
    """Whether a transform of ``torch.func`` is at work, which wraps tensors."""
    if torch.compiler.is_compiling():  # it traces transforms, and has no stack of them to show
        return False
    return peek_interpreter_stack() is not None
