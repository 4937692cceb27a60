"""Kernels against plain PyTorch, torch-scatter and the bandwidth of the machine.

    python benchmarks/kernels.py [--quick] [--threads N] [--only TEXT]

Every time is a median of several measurements in one run; peers run on the same inputs. Entries
fall into segments of 8 on average, uniformly at random. Bandwidths: ``copy`` is ``out.copy_(x)``
and ``gather`` is ``torch.index_select`` of random rows, both counting bytes read and written, both
at the size of the operation. Writes benchmarks/results/kernels.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from kernel_peers import CASES, Case, Problem, make_problem
from machine import describe_run
from rich.console import Console
from rich.table import Table
from torch import Tensor

SIZES = [(10**e, channels) for e in (3, 4, 5, 6) for channels in (1, 64)]
SIZES += [(10**7, 1), (10**7, 8)]
QUICK = [(10**3, 64), (10**5, 1), (10**5, 64)]


def median_time(run: Callable[[], object], budget: float) -> float:
    """Seconds a call: median over 5 or more samples, each long enough for the clock."""
    run()
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    inner = max(1, int(1e-3 / max(once, 1e-7)))
    samples = []
    stop = time.perf_counter() + budget
    while len(samples) < 5 or (time.perf_counter() < stop and len(samples) < 50):
        start = time.perf_counter()
        for _ in range(inner):
            run()
        samples.append((time.perf_counter() - start) / inner)
    return statistics.median(samples)


def timed(function: Callable[..., Tensor], inputs: list[Tensor], backward: bool, budget: float):  # type: ignore[no-untyped-def]
    """Median time of one function, forward or forward and backward."""
    if not backward:
        with torch.no_grad():
            return median_time(lambda: function(*inputs), budget)
    leaves = [x.detach().requires_grad_() for x in inputs]
    seed = torch.ones_like(function(*leaves))
    return median_time(lambda: torch.autograd.grad(function(*leaves), leaves, seed), budget)


def bandwidths(problem: Problem, budget: float) -> dict[str, float]:
    """Bytes per second of a copy and of a gather of random rows, at the size of the problem."""
    x, out, index = problem.entries, torch.empty_like(problem.entries), problem.index
    bytes_moved = 2 * x.numel() * x.element_size()
    copy = median_time(lambda: out.copy_(x), budget)
    gather = median_time(lambda: torch.index_select(problem.rows, 0, index, out=out), budget)
    return {"copy": bytes_moved / copy, "gather": bytes_moved / gather}


def measure(case: Case, problem: Problem, limits: dict[str, float], budget: float) -> list[dict]:
    rows = []
    inputs = case.inputs(problem)
    expected = case.ours(problem)(*inputs)
    for name, peer in case.peers(problem).items():
        torch.testing.assert_close(peer(*inputs), expected, rtol=1e-3, atol=1e-3, msg=name)
    for backward in (False, True):
        ours = timed(case.ours(problem), inputs, backward, budget)
        peers = {
            name: timed(peer, inputs, backward, budget)
            for name, peer in case.peers(problem).items()
            if not (backward and name in case.forward_only)
        }
        best = min(peers, key=peers.__getitem__)
        row = {
            "operation": case.name,
            "pass": "forward+backward" if backward else "forward",
            "entries": problem.nnz,
            "channels": problem.channels,
            "seconds": ours,
            "peers": peers,
            "best_peer": best,
            "speedup_over_best_peer": peers[best] / ours,
        }
        if "torch_scatter" in peers:
            row["speedup_over_torch_scatter"] = peers["torch_scatter"] / ours
        if not backward and case.limit:
            row[f"fraction_of_{case.limit}_bandwidth"] = (
                case.bytes_moved(problem) / ours / limits[case.limit]
            )
        rows.append(row)
    return rows


def table_of(rows: list[dict]) -> Table:
    table = Table(
        "operation", "pass", "entries", "ch", "us", "best peer", "x best", "x tscatter", "of bw"
    )
    for row in rows:
        fraction = next((v for k, v in row.items() if k.startswith("fraction")), None)
        scatter = row.get("speedup_over_torch_scatter")
        ratio = row["speedup_over_best_peer"]
        table.add_row(
            row["operation"],
            "fwd" if row["pass"] == "forward" else "fwd+bwd",
            f"{row['entries']:.0e}",
            str(row["channels"]),
            f"{row['seconds'] * 1e6:.1f}",
            f"{row['best_peer']} {row['peers'][row['best_peer']] * 1e6:.1f}",
            f"[{'green' if ratio >= 1 else 'red'}]{ratio:.2f}[/]",
            f"{scatter:.1f}" if scatter else "",
            f"{fraction:.2f}" if fraction else "",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three sizes, nothing is written")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", default="", help="operations whose name contains this")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    budget = 0.02 if options.quick else 0.2
    rows, limits = [], []
    for nnz, channels in QUICK if options.quick else SIZES:
        problem = make_problem(nnz, channels)
        limit = bandwidths(problem, budget)
        limits.append({"entries": nnz, "channels": channels, **limit})
        for case in CASES:
            if options.only in case.name:
                rows += measure(case, problem, limit, budget)
    console = Console(width=150)
    console.print(table_of(rows))
    slower = [r for r in rows if r["speedup_over_best_peer"] < 1]
    console.print(f"{len(rows)} measurements; slower than the best peer in {len(slower)}")
    if not options.quick and not options.only:
        path = Path(__file__).parent / "results" / "kernels.json"
        path.parent.mkdir(exist_ok=True)
        result = {**describe_run(), "bandwidth": limits, "rows": rows}
        path.write_text(json.dumps(result, indent=1) + "\n")
        console.print(f"wrote {path}")


if __name__ == "__main__":
    main()
