"""The heterophily benchmark: models of vertices on graphs whose neighbours differ in class.

Every run is one model on one data set, split and seed, trained with the settings of
:mod:`topodiff.training.heterophily_settings`; the best epoch is chosen on validation vertices and
the test vertices are looked at once, after it. Finished runs are in a file and not done again.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from topodiff import nn as models
from topodiff.datasets import NodeDataset, load_nodes
from topodiff.datasets.nodes import SOURCES
from topodiff.training import checkpoint
from topodiff.training.config import check_names
from topodiff.training.heterophily_settings import Options, settings
from topodiff.training.machine import describe_run
from topodiff.training.nodes import NodeFitConfig, NodeFitted, evaluate_nodes, fit_nodes
from topodiff.training.results import ResultsFile
from topodiff.training.run import Record

# Constructors take (in_channels, hidden_channels, out_channels, **options).
MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": models.NodeMLP,
    "gcn": models.GCN,
    "gat": models.GAT,
    "sage": models.GraphSAGE,
    "h2gcn": models.H2GCN,
    "gcnii": models.GCNII,
    "diag-nsd": partial(models.NeuralSheafDiffusion, maps="diagonal"),
    "od-nsd": partial(models.NeuralSheafDiffusion, maps="orthogonal"),
    "sod-nsd": partial(models.NeuralSheafDiffusion, maps="special_orthogonal"),
    "gen-nsd": partial(models.NeuralSheafDiffusion, maps="general"),
    "identity-nsd": partial(models.NeuralSheafDiffusion, maps="identity"),
}
DATASETS = (
    "texas", "wisconsin", "cornell", "cornell_legacy", "film", "chameleon", "squirrel", "cora",
    "citeseer", "pubmed", "minesweeper",
)  # fmt: skip
NUM_SPLITS = 10
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


def plan(
    datasets: Sequence[str], names: Sequence[str], splits: Sequence[int], seeds: Sequence[int]
) -> list[Key]:
    """All runs, those of one data set together; ValueError for unknown names and splits."""
    check_names(datasets, SOURCES, "data set")
    check_names(names, MODELS, "model")
    if bad := [split for split in splits if not 0 <= split < NUM_SPLITS]:
        raise ValueError(f"the data sets have splits 0 to {NUM_SPLITS - 1}, got {bad[0]}")
    return [Key(d, m, s, k) for d in datasets for m in names for s in seeds for k in splits]


def benchmark(
    keys: Iterable[Key],
    out: str | Path,
    on_epoch: Callable[[Record], None] | None = None,
) -> Iterator[tuple[Key, dict[str, Any] | None]]:
    """Do the runs that are not in ``out`` and add each as it ends.

    Yields:
        every key, with its result, None where it was there already.
    """
    file, about = ResultsFile(out), describe_run()
    data: NodeDataset | None = None
    for key in keys:
        group = group_of(key)
        if file.has(group, {"seed": key.seed, "split": key.split}):
            yield key, None
            continue
        if data is None or data.name != key.dataset:
            data = load_nodes(key.dataset)
        result = run(data, key.model, key.seed, key.split, group["settings"], on_epoch)
        file.add(group, about, result)
        yield key, result


def group_of(key: Key) -> dict[str, Any]:
    """What runs have in common whose mean is meaningful."""
    chosen = settings(key.dataset, key.model)
    return {"dataset": key.dataset, "model": key.model, "settings": chosen}


def run(
    data: NodeDataset,
    model: str,
    seed: int,
    split: int,
    options: Options,
    on_epoch: Callable[[Record], None] | None = None,
) -> dict[str, Any]:
    """Train from scratch, evaluate on the test vertices."""
    start = time.process_time()
    fitted = train(data, model, seed, split, options, on_epoch)
    seconds = time.process_time() - start
    test = evaluate_nodes(fitted.model, data.complex, data.y, data.test[split], data.metric)
    return {
        "split": split,
        "seed": seed,
        "metric": data.metric,
        "valid": round(fitted.valid, 6),
        "test": round(test, 6),
        "best_epoch": fitted.best_epoch,
        "epochs": len(fitted.history),
        "cpu_seconds": round(seconds, 2),
        "parameters": sum(p.numel() for p in fitted.model.parameters()),
    }


def train(
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
    built = build(model, data.num_features, data.num_classes, options)
    masks = data.train[split], data.val[split]
    return fit_nodes(
        built, data.complex, data.y, *masks, config, name=data.metric, on_epoch=on_epoch
    )


def build(model: str, in_channels: int, out_channels: int, options: Options) -> nn.Module:
    """A model of :data:`MODELS` from flat options; those of the fit are left out."""
    of_model = {k: v for k, v in options.items() if k not in _FIT}
    return MODELS[model](in_channels=in_channels, out_channels=out_channels, **of_model)


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
