"""chemprop 2 at its defaults (50 epochs, best validation epoch) on the rows of our splits.

    python benchmarks/chemprop_peer.py --chemprop /path/to/env/bin/chemprop --datasets esol
    python benchmarks/chemprop_peer.py ... --descriptors --members 3

Once on every split; on as many random ones as ``--seeds`` says, those of molecules.py. With
``--descriptors`` it also gets RDKit's, as our models do, with ``--members`` it is an ensemble.
chemprop lives in an environment of its own (``pip install chemprop``); this script writes its
input, runs its command line on one thread, and appends test error and CPU seconds of the whole
command to benchmarks/results/chemprop.json. Runs that are there already are not repeated.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import torch
from machine import describe_run, read_results
from molecules import DATASETS, SPLITS, make_split, splits_of

from topodiff.datasets.molecules import TABLES, load
from topodiff.training import Targets, evaluate
from topodiff.training.files import write_json

RESULTS = Path(__file__).parent / "results" / "chemprop.json"


def cpu_seconds() -> float:
    """CPU seconds of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(
    chemprop: str, name: str, split: str, seed: int, extras: Sequence[str], folder: Path
) -> dict[str, Any]:
    """Train and test once."""
    table = load(name)
    assert table.y is not None
    parts = make_split(name, split, seed, table)
    data, rows, out = folder / "data.csv", folder / "splits.json", folder / "out"
    with data.open("w", newline="") as file:
        cells = [["" if v != v else v for v in row] for row in table.y.tolist()]
        lines = [[s, *row] for s, row in zip(table.smiles, cells, strict=True)]
        csv.writer(file).writerows([["smiles", *table.target_columns], *lines])
    rows.write_text(json.dumps([parts._asdict()]))
    before = cpu_seconds()
    subprocess.run(
        [chemprop, "train", "--data-path", data, "--splits-file", rows, "--output-dir", out,
         "--task-type", TABLES[name].task, "--smiles-columns", "smiles",
         "--target-columns", *table.target_columns, "--epochs", "50", "--num-workers", "0",
         "--accelerator", "cpu", *extras],
        check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    seconds = cpu_seconds() - before
    predicted = torch.stack([read(file, table.target_columns) for file in predictions(out)]).mean(0)
    targets = Targets.fit(table.y, table.target_columns, TABLES[name].task)
    found = evaluate(targets, predicted, table.y[parts.test])["mean"]
    place = {"dataset": name, "split": split, "seed": seed}
    return {**place, "test": found, "cpu_seconds": round(seconds, 1)}


def predictions(out: Path) -> list[Path]:
    """One file for each member of an ensemble."""
    return sorted(out.rglob("test_predictions.csv"))


def read(path: Path, columns: Sequence[str]) -> torch.Tensor:
    """(molecules, targets) of a file of predictions."""
    with path.open(newline="") as file:
        return torch.tensor([[float(row[c]) for c in columns] for row in csv.DictReader(file)])


def main() -> None:
    """Do the runs that are asked for and not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chemprop", required=True, help="its command")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=SPLITS)
    parser.add_argument("--seeds", type=int, default=1, help="random splits")
    parser.add_argument("--descriptors", action="store_true", help="also RDKit's")
    parser.add_argument("--members", type=int, default=1, help="models of an ensemble")
    options = parser.parse_args()
    extras = ["--molecule-featurizers", "rdkit_2d"] * options.descriptors
    extras += ["--ensemble-size", str(options.members)] * (options.members > 1)
    kind = {"descriptors": options.descriptors, "members": options.members}
    records = read_results(RESULTS, [])
    done = {(r["dataset"], r["split"], r["seed"], r["descriptors"], r["members"]) for r in records}
    for name, split, seed in product(options.datasets, options.splits, range(options.seeds)):
        if (name, split, seed, *kind.values()) in done or split not in splits_of(name):
            continue
        if seed and split != "random":
            continue
        with tempfile.TemporaryDirectory() as folder:
            record = run(options.chemprop, name, split, seed, extras, Path(folder))
        records.append({**record, **kind, "run": describe_run()})
        write_json(RESULTS, records)
        print(record)


if __name__ == "__main__":
    main()
