"""CPU seconds of one training step of neural sheaf diffusion at its published settings.

    python benchmarks/heterophily_steps.py [--datasets texas ...] [--repeats 5]

One thread, full batch: forward, backward and optimiser; then one evaluation. Beside them the times
of the published code (PyTorch Geometric and torch-sparse) on one core of a machine of the same
kind, measured apart from this run. Film has no published settings: ours are those of the
benchmark, so its ratio compares different sizes of model. Every row has a process of its own, whose
largest resident memory is counted from the start of Python. Writes
benchmarks/results/heterophily_steps.json, beside the rows of other data sets that are there.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import describe_run, read_results
from rich.console import Console
from rich.table import Table

from topodiff.datasets import load_nodes
from topodiff.training.files import write_json
from topodiff.training.heterophily import HETEROPHILY
from topodiff.training.heterophily_settings import settings

RESULTS = Path(__file__).parent / "results" / "heterophily_steps.json"
# seconds of a training step and of an evaluation of the published code
PUBLISHED = {
    ("texas", "od-nsd"): (0.027, 0.010),
    ("texas", "diag-nsd"): (0.013, 0.005),
    ("film", "od-nsd"): (1.65, 0.64),
    ("film", "diag-nsd"): (0.87, 0.31),
    ("chameleon", "od-nsd"): (3.6, 0.73),
    ("chameleon", "diag-nsd"): (1.1, 0.23),
    ("squirrel", "od-nsd"): (24.0, 11.0),
    ("squirrel", "diag-nsd"): (10.8, 5.0),
}
# its resident memory in GB, where it is known
PUBLISHED_MEMORY = {
    ("film", "od-nsd"): 1.5,
    ("film", "diag-nsd"): 1.1,
    ("chameleon", "od-nsd"): 2.3,
    ("chameleon", "diag-nsd"): 1.5,
    ("squirrel", "od-nsd"): 12.9,
}


def median_cpu_time(run: Callable[[], object], repeats: int) -> float:
    """Of calls that are long enough to time, after two that are not counted."""
    run(), run()
    start = time.process_time()
    run()
    count = max(1, int(0.05 / max(time.process_time() - start, 1e-6)))
    samples = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(count):
            run()
        samples.append((time.process_time() - start) / count)
    return statistics.median(samples)


def measure(dataset: str, model_name: str, repeats: int) -> dict[str, Any]:
    """One model on one graph."""
    torch.set_num_threads(1)
    start = peak_memory_gb()
    data = load_nodes(dataset)
    options = settings(dataset, model_name)
    model = HETEROPHILY.build(model_name, data.num_features, data.num_classes, options)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)  # as in fit_nodes
    known = (data.y >= 0).nonzero().flatten()  # as in fit_nodes
    classes = data.y[known]

    def step() -> None:
        optimizer.zero_grad()
        logits = model(data.complex).index_select(0, known)
        torch.nn.functional.cross_entropy(logits, classes).backward()
        optimizer.step()

    @torch.no_grad()
    def evaluate() -> None:
        model(data.complex)

    training = median_cpu_time(step, repeats)
    evaluation = median_cpu_time(evaluate, repeats)
    published = PUBLISHED[dataset, model_name]
    return {
        "dataset": dataset,
        "model": model_name,
        "step_seconds": round(training, 6),
        "evaluation_seconds": round(evaluation, 6),
        "published_step_seconds": published[0],
        "published_evaluation_seconds": published[1],
        "peak_memory_gb": peak_memory_gb(),
        "peak_memory_of_imports_gb": start,
        "published_peak_memory_gb": PUBLISHED_MEMORY.get((dataset, model_name)),
        "settings": options,
    }


def measure_apart(cases: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """Each in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return pool.starmap(measure, cases, chunksize=1)


def peak_memory_gb() -> float:
    """Of this process so far, resident."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


def main() -> None:
    """Measure each model on each graph."""
    names = list(dict.fromkeys(dataset for dataset, _ in PUBLISHED))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=names, default=names)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    cases = [(*case, options.repeats) for case in PUBLISHED if case[0] in options.datasets]
    known = read_results(RESULTS, {"rows": []})["rows"]
    kept = [row for row in known if row["dataset"] not in options.datasets]
    rows = measure_apart(cases)
    table = Table("data set", "model", "step, s", "published", "ratio", "peak GB", "published")
    for row in rows:
        ratio = row["published_step_seconds"] / row["step_seconds"]
        table.add_row(
            row["dataset"], row["model"], f"{row['step_seconds']:.4f}",
            f"{row['published_step_seconds']:.3f}", f"{ratio:.1f}", f"{row['peak_memory_gb']:.2f}",
            str(row["published_peak_memory_gb"] or ""),
        )  # fmt: skip
    Console().print(table)
    order = list(PUBLISHED)
    rows = sorted([*rows, *kept], key=lambda row: order.index((row["dataset"], row["model"])))
    write_json(RESULTS, {**describe_run(), "rows": rows})


if __name__ == "__main__":
    main()
