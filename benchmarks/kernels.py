"""Kernels against plain PyTorch, torch-scatter and the bandwidth of the machine.

    python benchmarks/kernels.py [--quick] [--only TEXT] [--slower]

Times are medians of CPU seconds of one thread, every peer in turn on the same inputs. Entries
fall into segments of 8 on average, uniformly at random. Bandwidths: ``copy`` is ``out.copy_(x)``
and ``gather`` is ``torch.index_select`` of random rows, both counting bytes read and written, both
at the size of the operation. Every operation goes to benchmarks/results/kernels.json when it is
measured; those that are there are not measured again, but for those with ``--only``, and with
``--slower`` those where a peer was faster.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from kernel_peers import CASES, Case, Problem, make_problem
from machine import describe_run, read_results
from rich.console import Console
from rich.table import Table
from torch import Tensor

from topodiff.training.files import write_json

SIZES = [(10**e, channels) for e in (3, 4, 5, 6) for channels in (1, 64)]
SIZES += [(10**7, 1), (10**7, 8)]
RESULTS = Path(__file__).parent / "results" / "kernels.json"
QUICK = [(10**3, 64), (10**5, 1), (10**5, 64)]


def cpu_seconds(run: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - start) / times


def median_times(runs: dict[str, Callable[[], object]], budget: float) -> dict[str, float]:
    """CPU seconds a call, everything in turn: medians of 5 or more, each long enough to time."""
    times = {}
    for name, run in runs.items():
        run()
        times[name] = max(1, int(1e-3 / max(cpu_seconds(run, 1), 1e-7)))
    samples: dict[str, list[float]] = {name: [] for name in runs}
    stop = time.process_time() + budget * len(runs)
    for k in range(50):
        if k >= 5 and time.process_time() > stop:
            break
        for name, run in runs.items():
            samples[name].append(cpu_seconds(run, times[name]))
    return {name: statistics.median(found) for name, found in samples.items()}


def timed(
    functions: dict[str, Callable[..., Tensor]], inputs: list[Tensor], backward: bool, budget: float
) -> dict[str, float]:
    """Median times, forward or forward and backward."""
    if not backward:
        with torch.no_grad():
            return median_times({k: lambda f=f: f(*inputs) for k, f in functions.items()}, budget)
    leaves = [x.detach().requires_grad_() for x in inputs]
    seed = torch.ones_like(functions["ours"](*leaves))
    runs = {
        k: lambda f=f: torch.autograd.grad(f(*leaves), leaves, seed) for k, f in functions.items()
    }
    return median_times(runs, budget)


def bandwidths(problem: Problem, budget: float) -> dict[str, float]:
    """Bytes per second of a copy and of a gather of random rows, at the size of the problem."""
    x, out, index = problem.entries, torch.empty_like(problem.entries), problem.index
    bytes_moved = 2 * x.numel() * x.element_size()
    seconds = median_times(
        {
            "copy": lambda: out.copy_(x),
            "gather": lambda: torch.index_select(problem.rows, 0, index, out=out),
        },
        budget,
    )
    return {name: bytes_moved / s for name, s in seconds.items()}


def measure(case: Case, problem: Problem, limits: dict[str, float], budget: float) -> list[dict]:
    rows = []
    inputs = case.inputs(problem)
    expected = case.ours(problem)(*inputs)
    for name, peer in case.peers(problem).items():
        torch.testing.assert_close(peer(*inputs), expected, rtol=1e-3, atol=1e-3, msg=name)
    for backward in (False, True):
        functions = {
            name: peer
            for name, peer in case.peers(problem).items()
            if not (backward and name in case.forward_only)
        }
        peers = timed({"ours": case.ours(problem), **functions}, inputs, backward, budget)
        ours = peers.pop("ours")
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


def is_due(rows: list[dict], slower: bool, only: str) -> bool:
    """Whether an operation is measured: no results yet, asked for by name, or found slower."""
    return not rows or bool(only) or (slower and any(r["speedup_over_best_peer"] < 1 for r in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three sizes, nothing is written")
    parser.add_argument("--only", default="", help="operations whose name contains this, again")
    parser.add_argument("--slower", action="store_true", help="again where a peer was faster")
    options = parser.parse_args()
    torch.set_num_threads(1)
    budget = 0.02 if options.quick else 0.2
    found = {} if options.quick else read_results(RESULTS, {})
    rows, limits = found.get("rows", []), found.get("bandwidth", [])
    for nnz, channels in QUICK if options.quick else SIZES:
        here = {"entries": nnz, "channels": channels}
        due = []
        for case in CASES:
            known = [r for r in rows if r["operation"] == case.name and here.items() <= r.items()]
            if options.only in case.name and is_due(known, options.slower, options.only):
                due.append((case, known))
        if not due:
            continue
        problem = make_problem(nnz, channels)
        limit = bandwidths(problem, budget)
        limits = [r for r in limits if not here.items() <= r.items()] + [{**here, **limit}]
        for case, known in due:
            rows = [r for r in rows if r not in known] + measure(case, problem, limit, budget)
            if not options.quick:
                write_json(RESULTS, {**describe_run(), "bandwidth": limits, "rows": rows})
    console = Console(width=150)
    console.print(table_of(rows))
    slower = [r for r in rows if r["speedup_over_best_peer"] < 1]
    console.print(f"{len(rows)} measurements; slower than the best peer in {len(slower)}")


if __name__ == "__main__":
    main()
