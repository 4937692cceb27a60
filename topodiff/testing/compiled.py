"""Functions go through torch.compile in one piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from topodiff.testing.compare import assert_close


def assert_compiles(
    function: Callable[..., Tensor],
    *args: Any,
    backend: str = "aot_eager",
    tolerance: float | None = None,
) -> None:
    """``torch.compile`` captures the function without graph breaks, and what it makes of it has the
    same result and the same gradients. What was compiled before is forgotten.

    Args:
        function: of ``args``; a module, too. Without randomness.
        args: gradients are compared for the tensors among them that require them, and for the
            parameters of a module.
        backend: of ``torch.compile``; the default needs no compiler.
        tolerance: relative; see :func:`topodiff.testing.compare.assert_close`.

    Raises:
        torch._dynamo.exc.Unsupported: there is a graph break; the message says where.
    """
    given = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
    leaves = [*given, *(function.parameters() if isinstance(function, torch.nn.Module) else ())]
    expected = function(*args)
    torch.compiler.reset()  # functions that share their code share a limit of compilations
    out = torch.compile(function, backend=backend, fullgraph=True)(*args)
    assert_close(out, expected, "the result", tolerance)
    if not leaves:
        return
    grads = (torch.autograd.grad(o.square().sum(), leaves, allow_unused=True)
             for o in (out, expected))  # fmt: skip
    for k, (found, wanted) in enumerate(zip(*grads, strict=True)):
        if (found is None) != (wanted is None):
            raise AssertionError(f"gradient {k} is {found}, expected {wanted}")
        if found is not None:
            assert_close(found, wanted, f"gradient {k}", tolerance)
