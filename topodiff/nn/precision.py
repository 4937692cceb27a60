"""Diffusion in full precision where ``torch.autocast`` lowers that of matrix products."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

_NOTHING: AbstractContextManager = nullcontext()


def full_precision(x: Tensor) -> AbstractContextManager:
    """A context without autocast on the device of x, so that a state keeps its dtype in every step.

    Under ``torch.autocast`` models in time have encoders and decoders of lower precision; errors of
    what happens between would add up over the steps, and below those of an adaptive solver.
    """
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else _NOTHING
