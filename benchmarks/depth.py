"""Depth: accuracy and Dirichlet energy of GCN, GRAND, GraphCON and sheaf diffusion up to 128.

    python benchmarks/depth.py [--data blocks cora] [--models GCN ...] [--seeds 3] [--figure PATH]

Models and energies are those of ``examples/depth.py``. ``cora``: 20 vertices of each class for
training, 500 for validation, 1,000 for testing, drawn anew for each seed; it is left out where the
data set is not at hand. ``blocks``: a stochastic block model with 4 classes of 125 vertices, mean
degree 8 of which 80 % stay in the class, and 16 noisy features; 20 vertices of each class for
training, 120 for validation, the rest for testing.

Settings are searched for at random on the vertices for validation of seed 0 alone: 6 draws for each
data set and model out of :data:`SPACE`, ranked by the mean of their validation accuracies at depths
4 and 64. The best serves all depths and seeds. All draws are in the file of results,
benchmarks/results/depth.json, as is each run; what is there already is not run again. Training ends
after 100 epochs or 40 without improvement on validation vertices; the best epoch counts.

``--figure`` draws what is in the file and runs nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from machine import describe_run, read_results
from torch import Tensor

import topodiff as td
from topodiff.datasets import DownloadError, load_nodes
from topodiff.training.files import write_json
from topodiff.training.run import NonFiniteError

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "depth.json"
DEPTHS = (2, 4, 8, 16, 32, 64, 128)
SEARCHED = (4, 64)
TRIALS = 6
EPOCHS, PATIENCE = 100, 40
FIT = ("learning_rate", "weight_decay")
_ALL: dict[str, list[Any]] = {
    "learning_rate": [0.005, 0.01, 0.02],
    "weight_decay": [5e-4, 2e-3, 1e-2],
}
_SHEAF: dict[str, list[Any]] = {
    **_ALL, "dropout": [0.0, 0.2], "input_dropout": [0.2, 0.5],
    "maps": ["special_orthogonal", "orthogonal", "diagonal"],
}  # fmt: skip
SPACE: dict[str, dict[str, list[Any]]] = {
    "GCN": {**_ALL, "dropout": [0.0, 0.2, 0.5]},
    "GRAND": {
        **_ALL, "dropout": [0.0, 0.2, 0.5], "input_dropout": [0.2, 0.5],
        "normalization": ["row", "col"],
    },
    "GraphCON": {
        **_ALL, "input_dropout": [0.2, 0.5], "alpha": [0.0, 0.5, 1.0], "gamma": [0.5, 1.0],
        "dt": [0.1, 0.2],
    },
    "sheaf": _SHEAF,
    "sheaf with source": _SHEAF,
}  # fmt: skip
Masks = tuple[Tensor, Tensor, Tensor]


def example() -> ModuleType:
    """``examples/depth.py``."""
    path = HERE.parent / "examples" / "depth.py"
    spec = importlib.util.spec_from_file_location("depth_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(seed: int = 0) -> tuple[td.CellComplex, Tensor]:
    """The stochastic block model, with features, and classes (n,)."""
    g = torch.Generator().manual_seed(seed)
    classes, n, degree, inside = 4, 500, 8.0, 0.8
    y = torch.arange(n) % classes
    pairs = torch.triu_indices(n, n, 1)
    same = y[pairs[0]] == y[pairs[1]]
    size = n / classes
    probability = torch.where(same, degree * inside / size, degree * (1 - inside) / (n - size))
    edges = pairs[:, torch.rand(pairs.shape[1], generator=g) < probability]
    centres = torch.randn(classes, 16, generator=g)
    x = torch.randn(n, 16, generator=g) + 0.4 * centres[y]
    return td.CellComplex.from_edges(n, edges).replace(x={0: x}), y


def split(y: Tensor, seed: int, num_valid: int, num_test: int, per_class: int = 20) -> Masks:
    """Masks of vertices for training, validation and testing; those without a class are in none."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    order = order[y[order] >= 0]
    train = torch.cat([order[y[order] == c][:per_class] for c in range(int(y.max()) + 1)])
    rest = order[~torch.isin(order, train)]
    parts = train, rest[:num_valid], rest[num_valid : num_valid + num_test]
    masks = [torch.zeros(len(y), dtype=torch.bool).index_fill_(0, part, True) for part in parts]
    return masks[0], masks[1], masks[2]


def load(name: str, seed: int) -> tuple[td.CellComplex, Tensor, Masks]:
    """Graph, classes and split of a seed."""
    if name == "blocks":
        complex, y = blocks()
        return complex, y, split(y, seed, 120, 300)
    data = load_nodes(name)
    return data.complex, data.y, split(data.y, seed, 500, 1000)


def draws(data: str, model: str) -> list[dict[str, Any]]:
    """The settings that are tried."""
    generator = random.Random(f"{data} {model}")
    space = SPACE[model]
    return [{k: generator.choice(v) for k, v in space.items()} for _ in range(TRIALS)]


class Results:
    """``trials`` and ``points`` of the file, written after each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        content = read_results(path, {})
        self.trials: list[dict[str, Any]] = content.get("trials", [])
        self.points: list[dict[str, Any]] = content.get("points", [])

    def add(self, rows: list[dict[str, Any]], row: dict[str, Any]) -> None:
        rows.append(row)
        content = {"run": describe_run(), "trials": self.trials, "points": self.points}
        write_json(self.path, content)

    def best(self, data: str, model: str) -> dict[str, Any]:
        """The settings with the highest mean validation accuracy."""
        mine = [t for t in self.trials if (t["data"], t["model"]) == (data, model)]
        found: dict[str, Any] = max(mine, key=lambda t: statistics.mean(t["valid"]))["options"]
        return found


def find(rows: list[dict[str, Any]], **key: Any) -> bool:
    return any(all(row[k] == v for k, v in key.items()) for row in rows)


class Bench:
    """Runs what the file does not hold."""

    def __init__(self, path: Path) -> None:
        self.results, self.example = Results(path), example()

    def measure(
        self, data: str, model: str, depth: int, seed: int, options: dict[str, Any]
    ) -> dict[str, Any]:
        complex, y, masks = load(data, seed)
        fit = {k: options[k] for k in FIT}
        others = {k: v for k, v in options.items() if k not in FIT}
        start = time.process_time()
        try:
            point = self.example.measure(
                model, depth, complex, y, masks, EPOCHS,
                patience=PATIENCE, fit=fit, seed=seed, **others,
            )  # fmt: skip
        except (NonFiniteError, RuntimeError) as error:
            # a state that grew beyond all bounds is the finding
            point = self.example.Point(model, depth, 0.0, 0.0, 0.0, 0.0)
            print(f"{data} {model} depth {depth}: {error}", flush=True)
        seconds = round(time.process_time() - start, 2)
        return {"data": data, "seed": seed, **asdict(point), "cpu_seconds": seconds}

    def search(self, data: str, model: str) -> None:
        for trial, options in enumerate(draws(data, model)):
            key = {"data": data, "model": model, "trial": trial, "options": options}
            if find(self.results.trials, **key):
                continue
            runs = [self.measure(data, model, depth, 0, options) for depth in SEARCHED]
            row = {
                **key, "depths": SEARCHED, "valid": [run["valid"] for run in runs],
                "cpu_seconds": round(sum(run["cpu_seconds"] for run in runs), 2),
            }  # fmt: skip
            self.results.add(self.results.trials, row)
            print(f"{data} {model} trial {trial}: {row['valid']} {options}", flush=True)

    def points(self, data: str, model: str, seed: int) -> None:
        options = self.results.best(data, model)
        for depth in DEPTHS:
            key = {"data": data, "model": model, "depth": depth, "seed": seed}
            if find(self.results.points, **key, options=options):
                continue
            row = {**self.measure(data, model, depth, seed, options), "options": options}
            kept = [p for p in self.results.points if not find([p], **key)]
            self.results.points = kept
            self.results.add(kept, row)
            print(
                f"{data} {model} seed {seed} depth {depth}: {row['accuracy']:.3f}, energy "
                f"{row['before']:.1e} -> {row['after']:.1e}, {row['cpu_seconds']:.0f} s",
                flush=True,
            )


def curves(points: list[dict[str, Any]], data: str) -> Iterator[tuple[str, list[list[float]]]]:
    """For each model rows of depth, mean and deviation of the accuracy in percent, and geometric
    mean of the energy before and after training."""
    for model in SPACE:
        rows = []
        for depth in DEPTHS:
            mine = [
                p for p in points if (p["data"], p["model"], p["depth"]) == (data, model, depth)
            ]
            if not mine:
                continue
            accuracy = [100 * p["accuracy"] for p in mine]
            spread = statistics.stdev(accuracy) if len(mine) > 1 else 0.0
            energies = [
                statistics.geometric_mean(max(p[k], 1e-16) for p in mine)
                for k in ("before", "after")
            ]
            rows.append([depth, statistics.mean(accuracy), spread, *energies])
        if rows:
            yield model, rows


def figure(points: list[dict[str, Any]]) -> Any:
    """Accuracy and energy against depth, one row for each data set."""
    from matplotlib.figure import Figure

    names = [name for name in ("cora", "blocks") if find(points, data=name)]
    titles = {"blocks": "stochastic block model"}
    drawn = Figure(figsize=(9, 3.2 * len(names)), layout="constrained")
    axes = drawn.subplots(len(names), 2, squeeze=False)
    for (left, right), name in zip(axes, names, strict=True):
        for model, rows in curves(points, name):
            depth, mean, spread, before, after = map(list, zip(*rows, strict=True))
            line, *_ = left.errorbar(depth, mean, spread, fmt="o-", ms=4, capsize=2, label=model)
            right.plot(depth, after, "o-", ms=4, color=line.get_color())
            right.plot(depth, before, ":", color=line.get_color())
        for ax in (left, right):
            ax.set_xscale("log", base=2)
            ax.set_xticks(DEPTHS, [str(d) for d in DEPTHS])
            ax.set_xlabel("layers, or time T (GRAND, sheaf with source)")
        left.set(ylabel="test accuracy (%)", title=titles.get(name, name))
        right.set(yscale="log", ylabel="relative Dirichlet energy")
        right.set_title("trained (dotted: before training)")
    drawn.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(SPACE)
    )
    return drawn


def main() -> None:
    """Search, measure, or draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", default=["blocks", "cora"])
    parser.add_argument("--models", nargs="+", default=list(SPACE), choices=list(SPACE))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure", metavar="PATH", help="draw the file of results")
    options = parser.parse_args()
    if options.figure:
        figure(Results(RESULTS).points).savefig(options.figure, dpi=85)
        return
    torch.set_num_threads(1)
    bench = Bench(RESULTS)
    for data in options.data:
        try:
            load(data, 0)
        except DownloadError as error:
            print(f"{data} is left out: {error}")
            continue
        for model in options.models:
            bench.search(data, model)
        for seed in range(options.seeds):
            for model in options.models:
                bench.points(data, model, seed)


if __name__ == "__main__":
    main()
