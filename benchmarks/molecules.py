"""Accuracy on molecular properties: ensembles of CIN on MoleculeNet tables.

    python benchmarks/molecules.py                         everything, hours
    python benchmarks/molecules.py --datasets esol --splits given_0 --seeds 1
    python benchmarks/molecules.py --datasets lipophilicity --members 5
    python benchmarks/molecules.py --datasets esol --model gine --no-descriptors

Every run (one data set, split and seed: an ensemble trained from scratch) is appended to
benchmarks/results/molecules.json when it is complete; runs that are there already are not repeated,
so the benchmark can be stopped and started again at any time. Epochs are chosen on validation data
alone; the test part is read once, after training. CPU seconds are those of this process, one
thread, from SMILES in memory to test predictions: descriptors, training, validation; reading and
lifting the table, which comes from the cache, is not in them.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import torch
from machine import describe_run, read_results

from topodiff.datasets.molecules import GIVEN, TABLES, load, load_split
from topodiff.molecules import MoleculeTable, Split, random_split, scaffold_split
from topodiff.training import (
    ModelConfig,
    TrainConfig,
    evaluate,
    molecule_samples,
    train_molecules,
)
from topodiff.training.files import write_json
from topodiff.training.models import MODELS

RESULTS = Path(__file__).parent / "results" / "molecules.json"
DATASETS = ("esol", "freesolv", "lipophilicity", "bbbp", "clintox", "tox21")


def splits_of(name: str) -> list[str]:
    """Names of the splits of a data set."""
    return [f"given_{k}" for k in range(3) if name in GIVEN] + ["random", "scaffold"]


SPLITS = splits_of("esol")  # of which other data sets have some


def make_split(name: str, split: str, seed: int, table: MoleculeTable) -> Split:
    """The parts; a random split is another one for every seed."""
    if split.startswith("given"):
        return load_split(name, int(split.removeprefix("given_")))
    if split == "scaffold":
        return scaffold_split(table.smiles)
    return random_split(len(table), seed=seed)


def run(name: str, split: str, seed: int, config: TrainConfig) -> dict[str, Any]:
    """Train and evaluate once."""
    table = load(name)
    parts = make_split(name, split, seed, table)
    fit = dataclasses.replace(config.fit, seed=1000 * seed)
    config = dataclasses.replace(config, fit=fit, task=TABLES[name].task)
    start = time.process_time()
    samples = molecule_samples(table, config.descriptors)
    valid, test = samples.select(parts.val), samples.select(parts.test)
    ensemble, fitted = train_molecules(table, parts, config, samples=samples)
    prediction = ensemble.predict(test)
    seconds = time.process_time() - start
    assert test.y is not None
    return {
        "dataset": name,
        "split": split,
        "seed": seed,
        "val": ensemble.evaluate(valid)["mean"],
        "test": evaluate(ensemble.targets, prediction.mean, test.y)["mean"],
        "cpu_seconds": round(seconds, 1),
        "best_epochs": [f.best_epoch for f in fitted],
        "epochs": [len(f.history) for f in fitted],
        "config": config.to_dict(),
        "run": describe_run(),
    }


def main() -> None:
    """Do the runs that are asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--splits", nargs="+", choices=SPLITS, help="by default all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--members", type=int, default=3, help="models of an ensemble")
    parser.add_argument("--model", choices=MODELS, default="cin")
    parser.add_argument("--no-descriptors", action="store_true", help="nor RDKit's descriptors")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    config = TrainConfig(
        model=ModelConfig(name=arguments.model),
        members=arguments.members,
        descriptors=not arguments.no_descriptors,
    )
    torch.set_num_threads(1)
    for seed in range(arguments.seeds):
        for name in arguments.datasets:
            for split in arguments.splits or splits_of(name):
                key = (name, split, seed, *variant(config.to_dict()))
                if split not in splits_of(name) or key in done(arguments.results):
                    continue
                record = run(name, split, seed, config)
                write_json(arguments.results, [*read(arguments.results), record])
                print(name, split, seed, record["val"], record["test"], file=sys.stderr)


def read(results: Path) -> list[dict[str, Any]]:
    """The runs that are there (read anew each time: another process may write, too)."""
    found: list[dict[str, Any]] = read_results(results, [])
    return found


def done(results: Path) -> set[tuple[Any, ...]]:
    """Which runs are there."""
    records = read(results)
    return {(r["dataset"], r["split"], r["seed"], *variant(r["config"])) for r in records}


def variant(config: dict[str, Any]) -> tuple[str, bool, int]:
    """What differs between the configurations of this benchmark: model, descriptors, members."""
    return config["model"]["name"], config["descriptors"], config["members"]


if __name__ == "__main__":
    main()
