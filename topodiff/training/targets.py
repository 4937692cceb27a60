"""What is predicted: names, tasks and scales of the target columns, and the loss over them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from topodiff.kernels.checks import check_choice

REGRESSION, CLASSIFICATION = "regression", "classification"
TASKS = ("auto", REGRESSION, CLASSIFICATION)
LOSSES = ("l1", "l2", "huber")


@dataclass(frozen=True)
class Targets:
    """Target columns. A model's output t means ``mean_t + std_t * output`` for a regression and
    ``sigmoid(output)`` for a binary classification.

    ``names``, ``tasks``, ``mean`` and ``std`` have one entry per column; mean 0 and std 1 for
    classifications. Missing targets are NaN everywhere.
    """

    names: tuple[str, ...]
    tasks: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        y: Tensor,
        names: Sequence[str] | None = None,
        tasks: str | Sequence[str] = "auto",
        others: Tensor | None = None,
    ) -> Targets:
        """Tasks and scales from the *training* targets ``y`` (n, columns).

        With ``tasks="auto"`` a column of zeros and ones is a classification, if ``others``, the
        targets that models are validated and tested on, are zeros and ones too. Nothing else
        depends on these. A column of two other values (1 and 2, say) is a regression, with a
        warning.

        Raises:
            ValueError: a column is constant or empty, or a classification has other values
                than 0 and 1.
        """
        y = y.double()
        every = y if others is None else torch.cat([y, others.double()])
        names = tuple(names) if names is not None else tuple(f"y{t}" for t in range(y.shape[1]))
        kinds = [tasks] * y.shape[1] if isinstance(tasks, str) else list(tasks)
        if not len(names) == len(kinds) == y.shape[1]:
            raise ValueError(f"{y.shape[1]} targets, {len(names)} names and {len(kinds)} tasks")
        found = [_column(y[:, t], every[:, t], names[t], kinds[t]) for t in range(y.shape[1])]
        return cls(names, *(tuple(part) for part in zip(*found, strict=True)))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def task(self) -> str:
        """``regression``, ``classification`` or ``mixed``."""
        return self.tasks[0] if len(set(self.tasks)) == 1 else "mixed"

    def is_regression(self, device: torch.device | str = "cpu") -> Tensor:
        """(columns,) bool."""
        return torch.tensor([t == REGRESSION for t in self.tasks], device=device)

    def scale(self, y: Tensor) -> Tensor:
        """Targets in their units -> what the outputs of a model are compared with, in float64: the
        differences between large targets may be small."""
        y = y.double()
        return (y - self._row(self.mean, y)) / self._row(self.std, y)

    def unscale(self, outputs: Tensor) -> Tensor:
        """Outputs of a model (n, columns) -> values in units, or probabilities, in float64."""
        outputs = outputs.double()
        values = outputs * self._row(self.std, outputs) + self._row(self.mean, outputs)
        return torch.where(self.is_regression(outputs.device), values, outputs.sigmoid())

    def losses(self, outputs: Tensor, scaled: Tensor, kind: str = "l2") -> Tensor:
        """(n, columns) loss of every entry, 0 where the target is missing.

        Regression: ``l2`` (difference)^2, ``l1`` |difference|, ``huber`` its smooth mixture with
        the bend at half a standard deviation; classification: cross entropy.
        """
        known = scaled.isfinite()
        target = torch.where(known, scaled.to(outputs.dtype), outputs.detach())
        if kind == "l2":
            loss = F.mse_loss(outputs, target, reduction="none")
        elif kind == "l1":
            loss = F.l1_loss(outputs, target, reduction="none")
        else:
            loss = F.huber_loss(outputs, target, reduction="none", delta=0.5)
        if self.task != REGRESSION:
            entropy = F.binary_cross_entropy_with_logits(outputs, target, reduction="none")
            loss = torch.where(self.is_regression(outputs.device), loss, entropy)
        return torch.where(known, loss, 0.0)

    def loss(self, outputs: Tensor, scaled: Tensor, kind: str = "l2") -> Tensor:
        """Mean of :meth:`losses` over the entries that are known."""
        return self.losses(outputs, scaled, kind).sum() / scaled.isfinite().sum().clamp(min=1)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON."""
        return {k: list(getattr(self, k)) for k in ("names", "tasks", "mean", "std")}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Targets:
        """Inverse of :meth:`to_dict`."""
        return cls(*(tuple(content[k]) for k in ("names", "tasks", "mean", "std")))

    @staticmethod
    def _row(values: Sequence[float], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)


def _column(column: Tensor, every: Tensor, name: str, task: str) -> tuple[str, float, float]:
    """(task, mean, std) of one column of targets; ``every`` has those that are not trained on."""
    check_choice("task", task, TASKS)
    values = column[column.isfinite()]
    if values.numel() == 0:
        raise ValueError(f"target {name!r} has no value among the training rows")
    strange = every[every.isfinite() & (every != 0) & (every != 1)]
    binary = strange.numel() == 0
    if task == "auto":
        task = CLASSIFICATION if binary else REGRESSION
        _warn_of_two_values(every, name, binary)
    if task == CLASSIFICATION and not binary:
        bad = strange[0].item()
        raise ValueError(f"target {name!r} is to be classified and needs 0 or 1, got {bad:g}")
    if values.min() == values.max():
        raise ValueError(
            f"target {name!r} is constant ({values[0].item():g}) among the "
            f"{values.numel()} training rows that have it: nothing can be learned from it"
        )
    if task == CLASSIFICATION:
        return task, 0.0, 1.0
    return task, values.mean().item(), values.std().item()


def _warn_of_two_values(values: Tensor, name: str, binary: bool) -> None:
    found = values[values.isfinite()].unique().tolist()
    if len(found) == 2 and not binary:
        warnings.warn(
            f"target {name!r} holds but two values, {found[0]:g} and {found[1]:g}, and is learned "
            "as a number: write 0 and 1 for classes",
            stacklevel=2,
        )
