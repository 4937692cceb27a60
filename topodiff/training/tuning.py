"""Random search for settings of the heterophily benchmark, on validation vertices alone.

A trial draws the options of its family and model in :data:`SPACE`, trains on all splits of small
graphs or on three of a large one, and notes the mean validation metric. The draw depends on data
set, model and number of the trial only, so trials that are in the file already are not done again,
and more of them continue the search. Trial 0 is the settings as they are.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from topodiff.training.heterophily import HETEROPHILY
from topodiff.training.heterophily_settings import (
    LEARNER,
    Options,
    family_of,
    without_learner,
)
from topodiff.training.machine import describe_run
from topodiff.training.results import ResultsFile
from topodiff.training.run import Record

SMALL = 1000  # vertices
_FIT: dict[str, Any] = {
    "hidden_channels": [32, 64],
    "dropout": [0.0, 0.3, 0.5, 0.7],
    "learning_rate": [0.01, 0.02, 0.05],
    "weight_decay": (1e-6, 1e-2),
    "select": ["loss", "metric"],
}
# Lists are drawn from evenly, pairs evenly in the logarithm between the two.
SPACE: dict[str, dict[str, Any]] = {
    "baseline": {**_FIT, "num_layers": [2, 3]},
    "gat": {"heads": [4, 8], "attention_dropout": [0.0, 0.5]},
    "h2gcn": {"num_layers": [1, 2]},
    "gcnii": {"num_layers": [4, 8, 16], "lambda_": [0.5, 1.0, 1.5], "alpha": [0.1, 0.2, 0.5]},
    # the ranges of the published sweep (Bodnar et al., config/orth_webkb_sweep.yml)
    "nsd": {
        "hidden_channels": [8, 16, 32],
        "stalk_dim": [2, 3, 4],
        "num_layers": [2, 3, 4, 5, 6],
        "dropout": [k / 10 for k in range(10)],
        "input_dropout": [k / 10 for k in range(10)],
        "low_pass": [False, True],
        "high_pass": [False, True],
        "learning_rate": [0.01, 0.02],
        "weight_decay": (1e-4, 1.1e-3),
        LEARNER: (1.7e-5, 1.1e-3),
        "select": ["loss", "metric"],
    },
}


def draw(dataset: str, model: str, trial: int) -> Options:
    """Settings of a trial."""
    if trial == 0:
        return HETEROPHILY.settings(dataset, model)
    options = HETEROPHILY.settings("", model)
    generator = random.Random(f"{dataset} {model} {trial}")
    space = {**SPACE.get(family_of(model), {}), **SPACE.get(model, {})}
    for name, choices in space.items():
        if isinstance(choices, tuple):
            low, high = (math.log(end) for end in choices)
            value = float(f"{math.exp(generator.uniform(low, high)):.3g}")
        else:
            value = generator.choice(choices)
        if name == LEARNER:
            options["decays"] = {LEARNER: value}
        else:
            options[name] = value
    return without_learner(options) if model == "identity-nsd" else options


def tune(
    dataset: str,
    model: str,
    trial: int,
    out: str | Path,
    on_epoch: Callable[[Record], None] | None = None,
) -> None:
    """Do one trial, unless it is in ``out``."""
    file, options = ResultsFile(out), draw(dataset, model, trial)
    group = {"dataset": dataset, "model": model, "settings": {}}
    if file.has(group, {"trial": trial, "options": options}):
        return
    data, start = HETEROPHILY.load(dataset), time.process_time()
    splits = data.num_splits if data.complex.num_cells(0) <= SMALL else 3
    scores = [HETEROPHILY.train(data, model, 0, k, options, on_epoch).valid for k in range(splits)]
    result = {
        "trial": trial,
        "valid": round(statistics.mean(scores), 6),
        "splits": splits,
        "cpu_seconds": round(time.process_time() - start, 2),
        "options": options,
    }
    file.add(group, describe_run(), result)


def best_trial(dataset: str, model: str, out: str | Path) -> dict[str, Any]:
    """The result with the highest mean validation metric."""
    results = [
        result
        for group in ResultsFile(out).groups()
        if (group["dataset"], group["model"]) == (dataset, model)
        for result in group["results"]
    ]
    best: dict[str, Any] = max(results, key=lambda result: result["valid"])
    return best
