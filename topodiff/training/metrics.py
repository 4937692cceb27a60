"""Metrics of predictions with missing targets, those of classes computed by torchmetrics."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import Tensor

from topodiff.training.targets import REGRESSION, Targets

REGRESSION_METRICS = ("rmse", "mae", "r2")
CLASSIFICATION_METRICS = ("roc_auc", "average_precision")
IN_UNITS = ("rmse", "mae")  # of the target
HIGHER_IS_BETTER = ("r2", "roc_auc", "average_precision")


def metric(name: str, prediction: Tensor, target: Tensor) -> float:
    """One metric of one column; entries whose target is NaN are left out.

    ``rmse`` root of the mean squared error, ``mae`` mean absolute error, ``r2`` coefficient of
    determination 1 - sum of squared errors / sum of squares about the mean, ``roc_auc`` area under
    the ROC curve, ``average_precision``, both of probabilities. NaN where the metric is undefined:
    no target at all, one class only, or for r2 fewer than two different targets.

    Raises:
        ValueError: an unknown name, or classes other than 0 and 1.
    """
    if name not in (names := (*REGRESSION_METRICS, *CLASSIFICATION_METRICS)):
        raise ValueError(f"there is no metric {name!r}; there are {', '.join(names)}")
    known = target.isfinite()
    p, t = prediction[known].double(), target[known].double()
    varied = t.numel() > 1 and bool(t.min() < t.max())
    if t.numel() == 0 or (name in HIGHER_IS_BETTER and not varied):
        return math.nan
    if name in REGRESSION_METRICS:
        return float(_functions()[name](p, t))
    if bool(((t != 0) & (t != 1)).any()):
        raise ValueError(f"{name} takes classes 0 and 1, got {t[(t != 0) & (t != 1)][0].item():g}")
    return float(_functions()[name](p, t.long()))


def _functions() -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    # torchmetrics takes a second to import, and nobody needs it to import topodiff
    from torchmetrics import functional as tm

    return {
        "rmse": lambda p, t: tm.mean_squared_error(p, t, squared=False),
        "mae": tm.mean_absolute_error,
        # torchmetrics takes squares below 1e-4 for zero: concentrations in mol/L would all score 1
        "r2": lambda p, t: 1 - (p - t).square().sum() / (t - t.mean()).square().sum(),
        "roc_auc": tm.classification.binary_auroc,
        "average_precision": tm.classification.binary_average_precision,
    }


def evaluate(targets: Targets, prediction: Tensor, y: Tensor) -> dict[str, dict]:
    """All metrics of every column, and their means over the columns that define them.

    Errors of several columns may be in different units, so ``rmse`` and ``mae`` have a mean only
    where one column has them.

    Args:
        targets: the columns.
        prediction: (n, columns) values in units, or probabilities.
        y: (n, columns) with NaN for missing.

    Raises:
        ValueError: prediction and y of other shapes.

    Returns:
        ``{"columns": {name: {metric: value}}, "mean": {metric: value}}``.
    """
    if not prediction.shape == y.shape == (len(y), len(targets)):
        raise ValueError(
            f"{len(targets)} targets, but predictions {tuple(prediction.shape)} and measured "
            f"values {tuple(y.shape)}"
        )
    columns = {}
    for t, (name, task) in enumerate(zip(targets.names, targets.tasks, strict=True)):
        wanted = REGRESSION_METRICS if task == REGRESSION else CLASSIFICATION_METRICS
        columns[name] = {m: metric(m, prediction[:, t], y[:, t]) for m in wanted}
    several = targets.tasks.count(REGRESSION) > 1
    comparable = [
        {m: v for m, v in values.items() if not (several and m in IN_UNITS)}
        for values in columns.values()
    ]
    return {"columns": columns, "mean": mean_over_columns(comparable)}


def mean_over_columns(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of every metric over the rows in which it is a number."""
    means = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        values = [row[name] for row in rows if not math.isnan(row.get(name, math.nan))]
        means[name] = sum(values) / len(values) if values else math.nan
    return means
