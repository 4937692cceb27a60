"""Products with a matrix per edge against gather, bmm and scatter, and against bandwidth.

    python benchmarks/kernels_sheaf.py [--quick] [--nodes N] [--edges M] [--only D CHANNELS ...]

The Laplacian of an orthogonal sheaf, ``deg(v) x_v + sum over edges of B x_u``, with gradients to
state and blocks, in float32 on one thread; medians of CPU seconds. Peers form one message per edge
and direction (gather, ``torch.bmm``) and sum with ``index_add`` or torch-scatter; the third
multiplies with the assembled sparse matrix, forward only (its gradient would be a dense matrix),
and the time to assemble is given beside. Where the messages of a peer take more than 1.1 GB it runs
on a smaller graph of the same kind and degree, which favours its caches, and its time is scaled to
the edges (``peer_edges`` says how many it had). The bandwidth is that of ``torch.index_select`` of
rows of d * channels values by the neighbours of the same graph, bytes read and written. ``rcm`` is
the same graph with its vertices in reverse Cuthill-McKee order. Every size goes to
benchmarks/results/kernels_sheaf.json when it is measured; sizes that are there are not measured
again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from kernels_sheaf_peers import (
    Function,
    Laplacian,
    assemble,
    make_laplacian,
    mesh_edges,
    ours,
    peer_sized,
    peers,
    random_edges,
    reorder,
)
from machine import describe_run, read_results
from rich.console import Console
from rich.table import Table
from torch import Tensor

from topodiff.training.files import write_json

EDGES = {"random": random_edges, "mesh": mesh_edges}
SIZES = [(d, channels) for d in (1, 2, 3, 4, 8) for channels in (8, 32, 64)]
RESULTS = Path(__file__).parent / "results" / "kernels_sheaf.json"
PASSES = ("forward", "forward+backward")
GATHER_BYTES = 256e6  # rows copied for the bandwidth


def median_time(run: Callable[[], object], budget: float, fewest: int) -> float:
    """CPU seconds a call: median of at least ``fewest`` calls after one that is not counted."""
    run()
    samples: list[float] = []
    stop = time.process_time() + budget
    while len(samples) < fewest or (time.process_time() < stop and len(samples) < 50):
        start = time.process_time()
        run()
        samples.append(time.process_time() - start)
    return statistics.median(samples)


def timed(function: Function, p: Laplacian, backward: bool, budget: float, fewest: int) -> float:
    if not backward:
        with torch.no_grad():
            return median_time(lambda: function(p.x, p.blocks), budget, fewest)
    leaves = [p.x.detach().requires_grad_(), p.blocks.detach().requires_grad_()]
    seed = torch.ones_like(p.x)

    def run() -> tuple[Tensor, ...]:
        return torch.autograd.grad(function(*leaves), leaves, seed)

    return median_time(run, budget, fewest)


def bandwidth(p: Laplacian, budget: float) -> float:
    """Bytes per second of a gather of rows, read and written."""
    rows = p.x.view(p.n, -1)
    index = p.source[: max(1, int(GATHER_BYTES / (4 * rows.shape[1])))]
    out = rows.new_empty(index.shape[0], rows.shape[1])
    with torch.no_grad():
        seconds = median_time(lambda: torch.index_select(rows, 0, index, out=out), budget, 5)
    return 2 * out.numel() * out.element_size() / seconds


def time_peers(p: Laplacian, scale: float, backward: bool, budget: float) -> dict[str, float]:
    """Seconds of each peer, scaled; where they fit they must agree with ours."""
    times: dict[str, float] = {}
    expected = ours(p)(p.x, p.blocks)
    for name, peer in peers(p).items():
        torch.testing.assert_close(peer(p.x, p.blocks), expected, rtol=1e-3, atol=1e-3)
        times[name] = scale * timed(peer, p, backward, budget, 3)
    if not backward:
        flat = p.x.view(-1, p.x.shape[2])
        matrix = assemble(p)
        torch.testing.assert_close(matrix @ flat, expected.view_as(flat), rtol=1e-3, atol=1e-3)
        times["sparse"] = scale * median_time(lambda: matrix @ flat, budget, 3)
        times["sparse, assembly"] = scale * median_time(lambda: assemble(p), 0, 1)
    return times


def measure(
    kind: str, n: int, m: int, size: tuple[int, int], reordered: Tensor, budget: float
) -> list[dict]:
    """Both passes on a graph as it is, with peers, and reordered."""
    edges = EDGES[kind](n, m)
    p = make_laplacian(n, edges, *size)
    small = peer_sized(n, p.num_edges, *size)
    peer = p if small == (n, p.num_edges) else make_laplacian(small[0], EDGES[kind](*small), *size)
    limit = bandwidth(p, budget)
    better = make_laplacian(n, reordered, *size)
    rows = []
    for backward in (False, True):
        seconds = timed(ours(p), p, backward, budget, 5)
        times = time_peers(peer, p.num_edges / peer.num_edges, backward, budget)
        row = {
            "graph": kind,
            "d": size[0],
            "channels": size[1],
            "pass": PASSES[backward],
            "nodes": n,
            "edges": p.num_edges,
            "seconds": seconds,
            "seconds_rcm": timed(ours(better), better, backward, budget, 5),
            "peer_edges": peer.num_edges,
            "peers": times,
        }
        row |= {f"speedup_over_{k}": t / seconds for k, t in times.items() if "," not in k}
        if not backward:
            row["gather_bandwidth"] = limit
            row["fraction_of_gather_bandwidth"] = p.bytes_moved() / seconds / limit
        rows.append(row)
    return rows


def table_of(rows: list[dict]) -> Table:
    table = Table(
        "graph", "d", "ch", "pass", "ms", "rcm ms", "x scatter", "x add", "x sparse", "bw"
    )
    for row in rows:
        ratios = [row.get(f"speedup_over_{k}") for k in ("torch_scatter", "index_add", "sparse")]
        fraction = row.get("fraction_of_gather_bandwidth")
        table.add_row(
            row["graph"],
            str(row["d"]),
            str(row["channels"]),
            "fwd" if row["pass"] == "forward" else "fwd+bwd",
            f"{row['seconds'] * 1e3:.2f}",
            f"{row['seconds_rcm'] * 1e3:.2f}",
            *(f"{r:.1f}" if r else "" for r in ratios),
            f"{fraction:.2f}" if fraction else "",
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small graph, nothing is written")
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--only", nargs=2, type=int, action="append", metavar=("D", "CHANNELS"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    n, m, sizes, budget = options.nodes, options.edges, SIZES, 1.0
    if options.quick:
        n, m, sizes, budget = 300, 2000, [(1, 8), (3, 8)], 0.0
    if options.only:
        sizes = [tuple(only) for only in options.only]
    console = Console(width=120)
    rows = [] if options.quick else read_results(RESULTS, {"rows": []})["rows"]
    for kind in EDGES:
        reordered = reorder(n, EDGES[kind](n, m))
        for size in sizes:
            if any(
                (r["graph"], r["nodes"], r["d"], r["channels"]) == (kind, n, *size) for r in rows
            ):
                continue
            rows += measure(kind, n, m, size, reordered, budget)
            console.print(table_of(rows[-2:]))
            if not options.quick:
                write_json(RESULTS, {**describe_run(), "rows": rows})
    console.print(table_of(rows))


if __name__ == "__main__":
    main()
