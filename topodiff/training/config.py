"""All settings of a training run, in one flat record that is saved as JSON."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from topodiff.complexes.integers import whole_number
from topodiff.kernels.checks import check_choice
from topodiff.training.metrics import CLASSIFICATION_METRICS, REGRESSION_METRICS
from topodiff.training.targets import LOSSES

MAX_SEED = (1 << 63) - 1  # of torch
SCHEDULES = ("cosine", "plateau", "constant")
METRICS = ("auto", "loss", *REGRESSION_METRICS, *CLASSIFICATION_METRICS)


@dataclass(frozen=True)
class FitConfig:
    """Settings of :func:`topodiff.training.fit`.

    Args:
        epochs: passes over the training set at most.
        batch_size: complexes per step.
        learning_rate: of AdamW, at its highest.
        weight_decay: of AdamW.
        loss: of regressions: ``l2``, ``l1`` or ``huber``.
        schedule: ``cosine`` (linear warm-up, then half a cosine to 0), ``plateau`` (times
            ``plateau_factor`` after ``plateau_patience`` epochs without improvement; ends the
            training below ``minimal_rate``) or ``constant``.
        warmup: share of all steps in which the rate rises (cosine only).
        patience: end after so many epochs without improvement on the validation set; 0 for never.
        metric: what selects the best epoch on the validation set: ``loss``, ``rmse``, ``mae``,
            ``r2``, ``roc_auc``, ``average_precision``; ``auto`` is rmse for one regression,
            roc_auc for classifications, the loss otherwise. Of several regressions, whose units
            may differ, neither rmse nor mae can select.
        clip: largest norm of the gradient; 0 for no limit.
        average: decay per step of the moving average of the weights that is validated and kept
            in place of the weights; 0 for none.
        seed: of the order of batches and of dropout (and of the initial weights in
            :func:`topodiff.training.train_ensemble`).
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    loss: str = "huber"
    schedule: str = "cosine"
    warmup: float = 0.1
    plateau_factor: float = 0.5
    plateau_patience: int = 10
    minimal_rate: float = 1e-5
    patience: int = 0
    metric: str = "auto"
    clip: float = 5.0
    average: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, LOSSES)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("metric", self.metric, METRICS)
        for name, least in (("epochs", 1), ("batch_size", 1), ("patience", 0)):
            whole_number(name, getattr(self, name), least)
        whole_number("plateau_patience", self.plateau_patience, 0)
        whole_number("seed", self.seed, 0, MAX_SEED)
        for name in ("learning_rate", "weight_decay", "clip", "minimal_rate"):
            if not 0 <= check_number(name, getattr(self, name)) < math.inf:
                raise ValueError(f"{name} is finite and not negative, got {getattr(self, name)}")
        for name in ("warmup", "average"):
            if not 0 <= check_number(name, getattr(self, name)) < 1:
                raise ValueError(f"{name} is in [0, 1), got {getattr(self, name)}")
        if not 0 < check_number("plateau_factor", self.plateau_factor) < 1:
            raise ValueError(f"plateau_factor is in (0, 1), got {self.plateau_factor}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FitConfig:
        """Inverse of :meth:`to_dict`; ValueError for unknown names."""
        check_names(content, [f.name for f in dataclasses.fields(cls)], "setting")
        return cls(**content)


def check_names(given: Iterable[str], known: Iterable[str], what: str) -> None:
    """ValueError with near matches for the first name that is not known."""
    known = list(known)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
            raise ValueError(f"there is no {what} {name!r}; {hint}")


def check_number(name: str, value: Any) -> Any:
    """``value``; TypeError unless it is a number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is a number, got {value!r}")
    return value
