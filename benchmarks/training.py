"""Molecules per CPU second in training on ZINC: collate, forward, backward, one thread, float32.

    python benchmarks/training.py [--steps 40] [--molecules 1000]

Batches of 128, L1 loss, no optimizer. Every way takes the same batch in turn; medians over batches
of CPU seconds. ``cin`` is this library, which computes one row for all cells of a colour
(nn.sharing); ``every_cell`` computes a row for every cell, as it does for real features; ``plain``
is the plain formulation of the same model on the same parameters (benchmarks/peers/plain_cin.py),
collated as this library does; ``gine`` GINE in PyTorch Geometric with Batch.from_data_list. Needs
ZINC in the folder TOPODIFF_MIRROR.

Writes benchmarks/results/training.json.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

import topodiff as td
from topodiff.complexes import CellComplex
from topodiff.datasets import load_zinc

sys.path.insert(0, str(Path(__file__).parent))
import machine
from peers.gine import GINE
from peers.plain_cin import PlainCIN

RESULTS = Path(__file__).parent / "results" / "training.json"
BATCH = 128
SIZES = {"4x128": (4, 128), "2x48": (2, 48)}
PARTS = ("collate", "forward", "backward")


def as_data(K: CellComplex) -> list[Data]:
    """The graphs, for PyTorch Geometric."""
    found = []
    for one in K:
        tail, head = one.edge_index
        arcs = torch.stack([torch.cat([tail, head]), torch.cat([head, tail])])
        bonds = one.x[1].flatten().repeat(2)
        found.append(Data(x=one.x[0].flatten(), edge_index=arcs, edge_attr=bonds, y=one.y))
    return found


def step(model: nn.Module, collate: Callable, which: range) -> tuple[float, float, float]:
    """CPU seconds of collate, forward and backward."""
    start = time.process_time()
    batch = collate(which)
    collated = time.process_time()
    model.zero_grad()
    loss = (model(batch) - batch.y).abs().mean()
    forward = time.process_time()
    loss.backward()
    return collated - start, forward - collated, time.process_time() - forward


def outcome(model: nn.Module, parameters: nn.Module, K: CellComplex) -> list[Tensor]:
    """Outputs and all gradients of one step, in float64."""
    model.zero_grad()
    out = model(K)
    (out - K.y).abs().mean().backward()
    gradients = [p.grad.flatten() for p in parameters.parameters() if p.grad is not None]
    return [out.detach().double(), torch.cat(gradients).double()]


def accuracy(cin: td.nn.CIN, K: CellComplex) -> dict[str, list[float]]:
    """Largest differences of (outputs, gradients) relative to the largest entry.

    In float64 between this library and the plain formulation, and of each in float32 from there.
    """
    exact = copy.deepcopy(cin).double()
    truth = outcome(exact, exact, K)
    pairs = {
        "float64": outcome(PlainCIN(exact), exact, K),
        "float32": outcome(cin, cin, K),
        "float32_plain": outcome(PlainCIN(cin), cin, K),
    }
    return {
        name: [
            float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, truth, strict=True)
        ]
        for name, found in pairs.items()
    }


def measure(layers: int, width: int, K: CellComplex, data: list[Data], steps: int) -> dict:
    torch.manual_seed(0)
    cin = td.nn.CIN({0: (28,), 1: (4,)}, width, 1, layers)
    plain = PlainCIN(cin)
    every_cell = copy.deepcopy(cin)
    every_cell.worth_sharing = 0.0

    def batch_of(which: range) -> Batch:
        return Batch.from_data_list([data[i] for i in which])

    ways = {
        "cin": (cin, K.select),
        "every_cell": (every_cell, K.select),
        "plain": (plain, K.select),
        "gine": (GINE(width, layers), batch_of),
    }
    differences = accuracy(cin, K.select(range(BATCH)))
    times: dict[str, list] = {name: [] for name in ways}
    gc.collect()
    gc.freeze()  # what is alive now is not searched again and again
    for k in range(-2, steps):
        first = max(k, 0) * BATCH % (len(K) - BATCH + 1)
        for name, (model, collate) in ways.items():
            found = step(model, collate, range(first, first + BATCH))
            if k >= 0:
                times[name].append(found)
    result: dict = {"relative_differences": differences}
    for name, (model, _) in ways.items():
        median = statistics.median(sum(t) for t in times[name])
        result[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "molecules_per_second": round(BATCH / median, 1),
            "ms_per_batch": {
                part: round(1e3 * statistics.median(column), 2)
                for part, column in zip(PARTS, zip(*times[name], strict=True), strict=True)
            },
        }
    gine, ours = (result[name]["molecules_per_second"] for name in ("gine", "cin"))
    result["cin_to_gine"] = round(ours / gine, 3)
    result["cin_to_plain"] = round(ours / result["plain"]["molecules_per_second"], 2)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--molecules", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    K = load_zinc("val").select(range(options.molecules))  # y (n, 1), as the outputs
    data = as_data(K)
    sizes = {name: measure(*size, K, data, options.steps) for name, size in SIZES.items()}
    report = {"run": machine.describe_run(), "batch": BATCH, "sizes": sizes}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    for name, found in sizes.items():
        for way in ("cin", "every_cell", "plain", "gine"):
            rate, parts = found[way]["molecules_per_second"], found[way]["ms_per_batch"]
            print(f"{name:6s} {way:10s} {rate:8.0f} molecules/s   {parts} ms")
        print(f"{name:6s} cin / gine {found['cin_to_gine']}, cin / plain {found['cin_to_plain']}")


if __name__ == "__main__":
    main()
