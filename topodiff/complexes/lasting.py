"""What is computed once outlasts the mode in which it was first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def outlasting(make: Callable[P, T]) -> Callable[P, T]:
    """``make`` outside of ``torch.inference_mode`` and without gradients, for results that are
    kept: autograd takes no tensor that was made in inference mode, then or ever after.
    """

    @wraps(make)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.inference_mode(False), torch.no_grad():  # in this order: the first turns them on
            return make(*args, **kwargs)

    return run
