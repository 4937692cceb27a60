"""Dropout that costs no more than reading the state."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from topodiff import kernels


class Dropout(nn.Module):
    """Zeroes entries with probability ``p`` in training and divides the others by ``1 - p``.

    As ``torch.nn.Dropout``; on the CPU through :func:`topodiff.kernels.dropout`.

    Args:
        p: probability, 0 <= p <= 1.
    """

    def __init__(self, p: float = 0.0) -> None:
        super().__init__()
        check_probability("p", p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return drop(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        return f"p={self.p}"


def drop(x: Tensor, p: float) -> Tensor:
    """Dropout of x with probability ``p``."""
    if p == 0:
        return x
    if x.device.type != "cpu" or p == 1:
        return functional.dropout(x, p)
    return kernels.dropout(x, p)


def leave_drop(x: Tensor, p: float) -> tuple[Tensor, float]:
    """x and p for a kernel that drops while it reads; elsewhere than on the CPU, x after dropout
    and 0, as PyTorch's dropout is the faster one there."""
    return (x, p) if p == 0 or x.device.type == "cpu" else (drop(x, p), 0.0)


def check_probability(name: str, p: float) -> None:
    """ValueError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name} is a probability, 0 to 1; got {p!r}")
