"""Drawing the parameters of a whole model anew."""

from __future__ import annotations

from torch import nn


def reset_children(module: nn.Module) -> None:
    """Call ``reset_parameters()`` of every module inside ``module`` that has one."""
    for child in module.children():
        reset = getattr(child, "reset_parameters", None)
        if reset is None:
            reset_children(child)
        else:
            reset()
