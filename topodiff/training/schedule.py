"""Learning rates over time. A schedule is a few numbers, so that it can be saved and resumed."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from topodiff.training.config import FitConfig


class Schedule:
    """Sets the learning rate of ``optimizer`` before every step, as ``FitConfig.schedule`` says."""

    def __init__(self, config: FitConfig, optimizer: Optimizer, steps_per_epoch: int) -> None:
        self.config, self.optimizer = config, optimizer
        self.step, self.total = 0, config.epochs * steps_per_epoch
        self.plateau = ReduceLROnPlateau(
            optimizer, "min", config.plateau_factor, config.plateau_patience
        )

    @property
    def rate(self) -> float:
        """The current learning rate."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def finished(self) -> bool:
        """Whether a plateau schedule has come to its lowest rate."""
        return self.config.schedule == "plateau" and self.rate < self.config.minimal_rate

    def before_step(self) -> None:
        """Set the rate for the coming step."""
        if self.config.schedule == "cosine":
            factor = cosine_factor(self.step, self.total, self.config.warmup)
            for group in self.optimizer.param_groups:
                group["lr"] = self.config.learning_rate * factor
        self.step += 1

    def after_epoch(self, score: float) -> None:
        """Take note of the validation score (lower is better)."""
        if self.config.schedule == "plateau":
            self.plateau.step(score)

    def state_dict(self) -> dict:
        """Plain values."""
        return {"step": self.step, "plateau": self.plateau.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Inverse of :meth:`state_dict`."""
        self.step = state["step"]
        self.plateau.load_state_dict(state["plateau"])


def cosine_factor(step: int, total: int, warmup: float) -> float:
    """Linear from 0 to 1 over ``warmup * total`` steps, then half a cosine down to 0."""
    rise = max(1.0, warmup * total)
    if step + 1 < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step + 1 - rise) / max(1.0, total - rise))))
