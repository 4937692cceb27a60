"""Computing in higher precision than that of the arguments, or than autocast has it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor

_LOW = (torch.float16, torch.bfloat16)
_Function = TypeVar("_Function", bound=Callable)
_NOTHING: AbstractContextManager = nullcontext()


def at_least_single(x: Tensor) -> Tensor:
    """x, in float32 where it is float16 or bfloat16: these neither hold the square of a large
    number, nor are linear systems solved in them, nor do numpy and scipy know both."""
    return x.float() if x.dtype in _LOW else x


def full_precision(x: Tensor) -> AbstractContextManager:
    """A context without autocast on the device of x, in which products have the dtype of x.

    For what happens in steps, whose errors would add up, or stay above those that an adaptive
    solver allows; and for what has to hold to rounding.
    """
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else _NOTHING


def rounded_once(function: _Function) -> _Function:
    """``function`` in float32 where its arguments are float16 or bfloat16, and its results rounded:
    sums stop growing where their terms are below rounding, and in float16 they overflow early.
    """

    @wraps(function)
    def run(*arguments: Any) -> Any:
        for given in arguments:
            if isinstance(given, Tensor) and given.dtype in _LOW:
                break
        else:
            return function(*arguments)
        results = function(*(at_least_single(a) if isinstance(a, Tensor) else a for a in arguments))
        if isinstance(results, Tensor):
            return results.to(given.dtype)
        return tuple(r.to(given.dtype) if r.is_floating_point() else r for r in results)

    return run  # type: ignore[return-value]
