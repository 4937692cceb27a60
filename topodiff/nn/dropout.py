"""Dropout with cheap random numbers: on small graphs drawing them costs more than the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 1 << 16


class Dropout(nn.Module):
    """Zeroes entries with probability ``p`` in training and divides the others by ``1 - p``.

    As ``torch.nn.Dropout``, but on the CPU four entries share one 64-bit random number, a quarter
    of the time; ``p`` is then a multiple of 1/65536.

    Args:
        p: probability, 0 <= p <= 1.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        check_probability("p", p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if self.p == 0 or not self.training:
            return x
        if x.device.type != "cpu" or self.p == 1:
            return functional.dropout(x, self.p)
        return x * keep_mask(x, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def keep_mask(x: Tensor, p: float) -> Tensor:
    """0 with probability ``p`` and ``1 / (1 - p)`` otherwise, in shape and dtype of ``x``."""
    count = x.numel()
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = words.view(torch.int16)[:count].view(x.shape)
    dropped = min(max(round(p * _LEVELS), 1), _LEVELS - 1)
    kept = bits >= dropped - _LEVELS // 2
    return kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped))


def check_probability(name: str, p: float) -> None:
    """ValueError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name} is a probability, 0 to 1; got {p!r}")
