"""Triton kernels on a GPU: time, bandwidth, and ratios to gather + bmm + scatter and torch.sparse.

    python benchmarks/kernels_gpu.py [--quick] [--vertices N] [--edges N]

Times are medians between events of the device, all in one run on the same inputs, float32. The
graph is random. ``gather`` is the bandwidth of ``torch.index_select`` of random rows, counting
bytes read and written. The bytes of an operation are those that it cannot avoid: every neighbour
row and block once an entry, the result once. A sparse matrix is built before the clock starts and
is measured forward only: its values have no gradient in the form of blocks.

Needs a GPU and Triton, and says so where they are missing. Writes
benchmarks/results/kernels_gpu.json; where that file is missing, nothing is claimed about GPUs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from machine import describe_run
from rich.console import Console
from rich.table import Table
from torch import Tensor

from topodiff import kernels

try:
    import torch_scatter
except (ImportError, OSError):
    torch_scatter = None

STALKS, CHANNELS = (1, 2, 3, 4, 8), (8, 32, 64)
Run = Callable[..., Tensor]


@dataclass
class Problem:
    """State, diagonal and edge blocks of a sheaf Laplacian on a random graph."""

    face: Tensor
    face_ptr: Tensor
    by_face: Tensor
    x: Tensor
    diagonal: Tensor
    blocks: Tensor

    @property
    def inputs(self) -> list[Tensor]:
        return [self.x, self.diagonal, self.blocks]

    @property
    def bytes_moved(self) -> int:
        entries, row = self.face.shape[0], self.x[0].numel()
        floats = (entries + 2 * len(self.x)) * row + 2 * self.blocks.numel()
        return 4 * (floats + self.diagonal.numel()) + 16 * entries + 8 * self.face_ptr.shape[0]


def make_problem(n: int, edges: int, d: int, channels: int, device: str) -> Problem:
    g = torch.Generator().manual_seed(0)
    face = torch.randint(0, n, (2 * edges,), generator=g)
    face_ptr, by_face = kernels.sort_by_key(face, n)
    shapes = (n, d, channels), (n, d, d), (edges, d, d)
    values = [torch.randn(s, generator=g) for s in shapes]
    return Problem(*(t.to(device) for t in (face, face_ptr, by_face, *values)))


def ours(p: Problem) -> Run:
    return lambda x, a, b: kernels.block_matmul(x, a, b, p.face, p.face_ptr, p.by_face)


def gather_bmm(p: Problem, scatter: Callable[[Tensor, Tensor, int], Tensor]) -> Run:
    tail, head = p.face.view(-1, 2).unbind(1)

    def run(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        messages = torch.cat([b @ x[tail], b.mT @ x[head]])
        return a @ x + scatter(messages, torch.cat([head, tail]), len(x))

    return run


def index_add(messages: Tensor, index: Tensor, n: int) -> Tensor:
    return messages.new_zeros(n, *messages.shape[1:]).index_add(0, index, messages)


def sparse(p: Problem) -> Run:
    """A CSR matrix of (n d, n d) numbers, which cuSPARSE multiplies."""
    n, d, _ = p.x.shape
    tail, head = p.face.view(-1, 2).unbind(1)
    vertex = torch.arange(n, device=p.x.device)
    rows, columns = torch.cat([vertex, head, tail]), torch.cat([vertex, tail, head])
    i = torch.arange(d, device=p.x.device)
    place = torch.stack(
        [
            (rows[:, None, None] * d + i[:, None]).expand(-1, -1, d).flatten(),
            (columns[:, None, None] * d + i).expand(-1, d, -1).flatten(),
        ]
    )
    values = torch.cat([p.diagonal, p.blocks, p.blocks.mT]).flatten()
    matrix = torch.sparse_coo_tensor(place, values, (n * d, n * d)).coalesce().to_sparse_csr()
    return lambda x, a, b: (matrix @ x.flatten(0, 1)).view_as(x)


def peers(p: Problem) -> dict[str, Run]:
    found = {"gather_bmm_index_add": gather_bmm(p, index_add), "torch_sparse": sparse(p)}
    if torch_scatter is not None:
        found["gather_bmm_torch_scatter"] = gather_bmm(
            p, lambda m, index, n: torch_scatter.scatter(m, index, 0, dim_size=n)
        )
    return found


def device_seconds(run: Callable[[], object], repeats: int = 30) -> float:
    """Median seconds between two events of the device, after a warm-up."""
    for _ in range(5):
        run()
    samples = []
    for _ in range(repeats):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        stop.record()
        stop.synchronize()
        samples.append(start.elapsed_time(stop) / 1e3)
    return statistics.median(samples)


def timed(run: Run, inputs: list[Tensor], backward: bool) -> float:
    if not backward:
        with torch.no_grad():
            return device_seconds(lambda: run(*inputs))
    leaves = [x.detach().requires_grad_() for x in inputs]
    seed = torch.ones_like(inputs[0])
    return device_seconds(lambda: torch.autograd.grad(run(*leaves), leaves, seed))


def gather_bandwidth(p: Problem) -> float:
    """Bytes per second of a gather of one row an entry."""
    out = p.x.new_empty(len(p.face), *p.x.shape[1:])
    seconds = device_seconds(lambda: torch.index_select(p.x, 0, p.face, out=out))
    return 2 * 4 * out.numel() / seconds


def measure(p: Problem) -> list[dict]:
    others, limit, rows = peers(p), gather_bandwidth(p), []
    expected = ours(p)(*p.inputs)
    for name, peer in others.items():
        torch.testing.assert_close(peer(*p.inputs), expected, rtol=1e-3, atol=1e-2, msg=name)
    for backward in (False, True):
        seconds = timed(ours(p), p.inputs, backward)
        row = {
            "operation": "block_matmul",
            "pass": "forward+backward" if backward else "forward",
            "vertices": len(p.x),
            "edges": len(p.blocks),
            "stalk_dim": p.x.shape[1],
            "channels": p.x.shape[2],
            "seconds": seconds,
            "peers": {
                name: timed(peer, p.inputs, backward)
                for name, peer in others.items()
                if not (backward and name == "torch_sparse")
            },
        }
        row["speedup"] = {name: other / seconds for name, other in row["peers"].items()}
        if not backward:
            row["bytes_per_second"] = p.bytes_moved / seconds
            row["gather_bytes_per_second"] = limit
        rows.append(row)
    return rows


def table_of(rows: list[dict]) -> Table:
    table = Table("pass", "d", "ch", "us", "GB/s", "of gather", "times faster than")
    for row in rows:
        rate, limit = row.get("bytes_per_second"), row.get("gather_bytes_per_second")
        table.add_row(
            row["pass"],
            str(row["stalk_dim"]),
            str(row["channels"]),
            f"{row['seconds'] * 1e6:.1f}",
            f"{rate / 1e9:.0f}" if rate else "",
            f"{rate / limit:.2f}" if rate else "",
            ", ".join(f"{name} {ratio:.1f}" for name, ratio in row["speedup"].items()),
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one size, nothing is written")
    parser.add_argument("--vertices", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("this measures GPU kernels, and PyTorch sees no GPU here: nothing was measured")
    if kernels.why_unavailable("triton"):
        sys.exit(f"nothing was measured: {kernels.why_unavailable('triton')}")
    rows = []
    for d, channels in [(3, 32)] if options.quick else [(d, c) for d in STALKS for c in CHANNELS]:
        rows += measure(make_problem(options.vertices, options.edges, d, channels, "cuda"))
    console = Console(width=150)
    console.print(table_of(rows))
    if not options.quick:
        path = Path(__file__).parent / "results" / "kernels_gpu.json"
        result = {**describe_run(), "device": torch.cuda.get_device_name(), "rows": rows}
        path.write_text(json.dumps(result, indent=1) + "\n")
        console.print(f"wrote {path}")


if __name__ == "__main__":
    main()
