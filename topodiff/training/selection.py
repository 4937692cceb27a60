"""Which metric on the validation set selects the best epoch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from topodiff.training.metrics import evaluate
from topodiff.training.targets import CLASSIFICATION, REGRESSION, Targets


def selecting_metric(name: str, targets: Targets, y: Tensor) -> str:
    """The metric that selects; ValueError where the validation targets leave it undefined."""
    known = [t for t in range(len(targets)) if y[:, t].isfinite().any()]
    if not known:
        raise ValueError("no target is known in the validation set: nothing can be selected on it")
    if name == "auto" and targets.task == CLASSIFICATION:
        name = "roc_auc" if _defined("roc_auc", targets, y) else "loss"
    elif name == "auto":
        name = "rmse" if targets.task == REGRESSION and len(targets) == 1 else "loss"
    if name != "loss" and not _defined(name, targets, y):
        raise ValueError(
            f"{name} of {', '.join(targets.names)} is not defined on the validation set "
            f"({len(y)} rows), or in different units: choose another metric, such as loss, or a "
            "larger validation set"
        )
    return name


def _defined(name: str, targets: Targets, y: Tensor) -> bool:
    found = evaluate(targets, torch.zeros_like(y), y)["mean"]
    return not math.isnan(found.get(name, math.nan))
