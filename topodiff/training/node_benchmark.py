"""Benchmarks on the vertices of one graph: models, data sets, splits, settings, published numbers.

Every run is one model on one data set, split and seed; the best epoch, and where the diffusion
ends if there is a choice, are chosen on validation vertices; the test vertices are looked at once,
after it. Finished runs are in a file and not done again.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from topodiff.datasets import NodeDataset
from topodiff.training import checkpoint
from topodiff.training.config import check_names
from topodiff.training.machine import describe_run
from topodiff.training.nodes import NodeFitConfig, NodeFitted, evaluate_nodes, fit_nodes
from topodiff.training.results import ResultsFile
from topodiff.training.run import Record

Options = dict[str, Any]
_FIT = {f.name for f in dataclasses.fields(NodeFitConfig)}


class Key(NamedTuple):
    """Which run."""

    dataset: str
    model: str
    seed: int
    split: int


class Summary(NamedTuple):
    """Mean and standard deviation (not corrected, as published) over ``runs`` runs, in percent;
    ``seconds`` of one core per run."""

    mean: float
    std: float
    valid: float
    runs: int
    seconds: float


@dataclass(frozen=True)
class NodeBenchmark:
    """What is run, and what it is compared with.

    Args:
        models: name -> constructor, which takes (in_channels, out_channels, **options).
        datasets: name -> number of splits.
        load: the data set of a name.
        settings: (data set, model) -> flat options: names of :class:`NodeFitConfig` go to the fit,
            all others to the constructor.
        published: (data set, model) -> mean and standard deviation in percent, None if not known.
    """

    models: Mapping[str, Callable[..., nn.Module]]
    datasets: Mapping[str, int]
    load: Callable[[str], NodeDataset]
    settings: Callable[[str, str], Options]
    published: Mapping[tuple[str, str], tuple[float, float | None]]

    def plan(
        self,
        datasets: Sequence[str],
        names: Sequence[str],
        splits: Sequence[int],
        seeds: Sequence[int],
    ) -> list[Key]:
        """All runs, those of one data set together; ValueError for unknown names and splits."""
        check_names(datasets, self.datasets, "data set")
        check_names(names, self.models, "model")
        for dataset in datasets:
            number = self.datasets[dataset]
            if bad := [split for split in splits if not 0 <= split < number]:
                raise ValueError(f"{dataset} has splits 0 to {number - 1}, got {bad[0]}")
        return [Key(d, m, s, k) for d in datasets for m in names for s in seeds for k in splits]

    def run_all(
        self,
        keys: Iterable[Key],
        out: str | Path,
        on_epoch: Callable[[Record], None] | None = None,
    ) -> Iterator[tuple[Key, dict[str, Any] | None]]:
        """Do the runs that are not in ``out`` and add each as it ends.

        Yields:
            every key, with its result, None where it was there already.
        """
        file, about = ResultsFile(out), describe_run()
        data: tuple[str, NodeDataset] | None = None
        for key in keys:
            group = self.group_of(key)
            if file.has(group, {"seed": key.seed, "split": key.split}):
                yield key, None
                continue
            if data is None or data[0] != key.dataset:
                data = key.dataset, self.load(key.dataset)
            result = self.run(data[1], key.model, key.seed, key.split, group["settings"], on_epoch)
            file.add(group, about, result)
            yield key, result

    def group_of(self, key: Key) -> dict[str, Any]:
        """What runs have in common whose mean is meaningful."""
        chosen = self.settings(key.dataset, key.model)
        return {"dataset": key.dataset, "model": key.model, "settings": chosen}

    def run(
        self,
        data: NodeDataset,
        model: str,
        seed: int,
        split: int,
        options: Options,
        on_epoch: Callable[[Record], None] | None = None,
    ) -> dict[str, Any]:
        """Train from scratch, evaluate on the test vertices."""
        start = time.process_time()
        fitted = self.train(data, model, seed, split, options, on_epoch)
        seconds = time.process_time() - start
        best = fitted.history[fitted.best_epoch - 1]
        test = evaluate_nodes(fitted.model, data.complex, data.y, data.test[split], data.metric)
        return {
            "split": split,
            "seed": seed,
            "metric": data.metric,
            "valid": round(fitted.valid, 6),
            "test": round(test, 6),
            "best_epoch": fitted.best_epoch,
            **{name: best[name] for name in ("end",) if name in best},
            "epochs": len(fitted.history),
            "cpu_seconds": round(seconds, 2),
            "parameters": sum(p.numel() for p in fitted.model.parameters()),
        }

    def train(
        self,
        data: NodeDataset,
        model: str,
        seed: int,
        split: int,
        options: Options,
        on_epoch: Callable[[Record], None] | None = None,
    ) -> NodeFitted:
        """Fit a new model; nothing is done with the test vertices."""
        number = 1000 * seed + split
        config = NodeFitConfig(**{k: v for k, v in options.items() if k in _FIT}, seed=number)
        checkpoint.seed_everything(number)
        built = self.build(model, data.num_features, data.num_classes, options)
        masks = data.train[split], data.val[split]
        return fit_nodes(
            built, data.complex, data.y, *masks, config, name=data.metric, on_epoch=on_epoch
        )

    def build(self, model: str, in_channels: int, out_channels: int, options: Options) -> nn.Module:
        """A model from flat options; those of the fit are left out."""
        of_model = {k: v for k, v in options.items() if k not in _FIT}
        return self.models[model](in_channels=in_channels, out_channels=out_channels, **of_model)


def summarize(groups: Iterable[dict[str, Any]]) -> dict[tuple[str, str], Summary]:
    """(data set, model) -> its runs in short."""
    found = {}
    for group in groups:
        tests, valids, seconds = (
            [result[name] for result in group["results"]]
            for name in ("test", "valid", "cpu_seconds")
        )
        found[group["dataset"], group["model"]] = Summary(
            100 * statistics.mean(tests),
            100 * statistics.pstdev(tests),
            100 * statistics.mean(valids),
            len(tests),
            statistics.mean(seconds),
        )
    return found
