"""Random search for settings of a benchmark on vertices, on validation vertices alone.

A trial draws options from a space, trains on all splits of small graphs or on three of a large one,
and notes the mean validation metric. The draw depends on data set, model and number of the trial
only, so trials that are in the file already are not done again, and more of them continue the
search. Trial 0 is the settings as they are.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topodiff.training.machine import describe_run
from topodiff.training.node_benchmark import NodeBenchmark, Options
from topodiff.training.results import TRIALS, ResultsFile
from topodiff.training.run import NonFiniteError, Record

SMALL = 1000  # vertices

Space = Mapping[str, list | tuple[float, float]]


@dataclass(frozen=True)
class Search:
    """What is searched.

    Args:
        benchmark: whose models are trained.
        space: model -> option -> choices: lists are drawn from evenly, pairs evenly in the
            logarithm between the two.
        base: model -> the options that are not drawn.
        finish: (model, options) -> the options of the trial.
    """

    benchmark: NodeBenchmark
    space: Callable[[str], Space]
    base: Callable[[str], Options]
    finish: Callable[[str, Options], Options] = lambda model, options: options

    def draw(self, dataset: str, model: str, trial: int) -> Options:
        """Settings of a trial."""
        if trial == 0:
            return self.benchmark.settings(dataset, model)
        options = dict(self.base(model))
        generator = random.Random(f"{dataset} {model} {trial}")
        for name, choices in self.space(model).items():
            options[name] = _one_of(choices, generator)
        return self.finish(model, options)

    def tune(
        self,
        dataset: str,
        model: str,
        trial: int,
        out: str | Path,
        on_epoch: Callable[[Record], None] | None = None,
    ) -> None:
        """Do one trial, unless it is in ``out``."""
        file, options = ResultsFile(out, TRIALS), self.draw(dataset, model, trial)
        group = {"dataset": dataset, "model": model, "settings": {}}
        if file.has(group, {"trial": trial, "options": options}):
            return
        data, start = self.benchmark.load(dataset), time.process_time()
        small = data.complex.num_cells(0) <= SMALL
        splits = data.num_splits if small else min(3, data.num_splits)
        try:
            fits = (
                self.benchmark.train(data, model, 0, k, options, on_epoch) for k in range(splits)
            )
            valid, failed = statistics.mean(fit.valid for fit in fits), {}
        except (RuntimeError, NonFiniteError) as error:  # some draws blow up
            valid, failed = 0.0, {"failed": str(error)}
        result = {
            "trial": trial,
            "valid": round(valid, 6),
            **failed,
            "splits": splits,
            "cpu_seconds": round(time.process_time() - start, 2),
            "options": options,
        }
        file.add(group, describe_run(), result)


def _one_of(choices: list | tuple[float, float], generator: random.Random) -> Any:
    if isinstance(choices, list):
        return generator.choice(choices)
    low, high = (math.log(end) for end in choices)
    return float(f"{math.exp(generator.uniform(low, high)):.3g}")


def best_trial(dataset: str, model: str, out: str | Path) -> dict[str, Any]:
    """The result with the highest mean validation metric."""
    results = [
        result
        for group in ResultsFile(out, TRIALS).groups()
        if (group["dataset"], group["model"]) == (dataset, model)
        for result in group["results"]
    ]
    best: dict[str, Any] = max(results, key=lambda result: result["valid"])
    return best
