"""CPU seconds of one training step of GRAND and GraphCON, ours and a plain implementation.

    python benchmarks/diffusion_steps.py [--repeats 5]

One thread, full batch, the settings of ``topodiff bench diffusion``: forward, backward and
optimiser, in turn in one process. The plain implementation (benchmarks/peers/diffusion.py) is
PyTorch Geometric with torchdiffeq. Before they are timed both get the same weights and must give
the same results to 1e-5 (adaptive steps with tolerances that are tight for this comparison alone).
Writes benchmarks/results/diffusion_steps.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import describe_run
from peers.diffusion import PlainGRAND, PlainGraphCON
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from topodiff.datasets import NodeDataset
from topodiff.training.diffusion import DIFFUSION
from topodiff.training.files import write_json
from topodiff.training.nodes import OPTIMIZERS

RESULTS = Path(__file__).parent / "results" / "diffusion_steps.json"
CASES = (
    ("cora_planetoid", "grand-l"),
    ("cora_planetoid", "grand-nl"),
    ("cora_planetoid", "graphcon-gcn"),
    ("cora_planetoid", "graphcon-gat"),
    ("texas", "graphcon-gcn"),
)
TIGHT = 10.0


def edges_of(data: NodeDataset, loops: bool) -> Tensor:
    """(2, entries) rows and columns."""
    tail, head = data.complex.edge_index
    own = torch.arange(data.complex.num_cells(0))[: None if loops else 0]
    return torch.stack([torch.cat([own, tail, head]), torch.cat([own, head, tail])])


def plain_model(data: NodeDataset, model: str, o: dict[str, Any]) -> nn.Module:
    """The peer at the same settings."""
    widths = data.num_features, o["hidden_channels"], data.num_classes
    if model.startswith("grand"):
        return PlainGRAND(
            *widths, linear=model == "grand-l", heads=o["heads"], time=o["time"],
            attention_channels=o["attention_channels"], dropout=o["dropout"],
            # grand-l of ours has none: it is solved exactly
            tol_scale=DIFFUSION.settings("cora_planetoid", "grand-nl")["tol_scale"],
            input_dropout=o["input_dropout"], by=int(o["normalization"] == "col"),
        )  # fmt: skip
    dropout = o["dropout"]
    return PlainGraphCON(
        *widths, o["num_layers"], coupling=model.split("-")[1], heads=o.get("heads", 4),
        alpha=o.get("alpha", 1.0), gamma=o.get("gamma", 1.0), dropout=dropout,
        input_dropout=o.get("input_dropout", dropout), step_dropout=o.get("step_dropout", dropout),
        residual="residual" in o, activation=o.get("activation", "relu") == "relu",
        encode_activation=o.get("encode_activation", True),
    )  # fmt: skip


@torch.no_grad()
def copy_weights(ours: Any, plain: Any) -> None:
    """From our model into the peer, after moving ours away from where it starts."""
    for parameter in ours.parameters():
        parameter.add_(0.02 * torch.randn_like(parameter))
    plain.encoder.weight.copy_(ours.encoder.weight.T)
    plain.encoder.bias.copy_(ours.encoder.bias)
    plain.decoder.load_state_dict(ours.decoder.state_dict())
    if isinstance(plain, PlainGRAND):
        plain.query.load_state_dict(ours.attentions[0].query.state_dict())
        plain.key.load_state_dict(ours.attentions[0].key.state_dict())
        plain.rate.copy_(ours.rate[0, 0])
        plain.strength.copy_(ours.strength[0, 0])
        return
    (layer,) = ours.layers
    plain.conv.lin.weight.copy_(layer.weight.T)
    plain.conv.bias.copy_(layer.bias)
    if ours.coupling == "gat":
        plain.conv.att_src.copy_(layer.others[None])
        plain.conv.att_dst.copy_(layer.own[None])
    if plain.residual is not None:
        plain.residual.load_state_dict(ours.residuals[0].state_dict())


@torch.no_grad()
def difference(data: NodeDataset, ours: nn.Module, plain: nn.Module, edges: Tensor) -> float:
    """Largest difference of results over the largest result, without dropout."""
    kept = [(m, m.tol_scale) for m in (ours, plain) if hasattr(m, "tol_scale")]
    for model, _ in kept:
        model.tol_scale = TIGHT
    ours.eval(), plain.eval()
    a, b = ours(data.complex), plain(data.complex.x[0], edges)
    for model, value in kept:
        model.tol_scale = value
    return float((a - b).abs().max() / b.abs().max())


def product_seconds(step: Callable[[], None]) -> float:
    """What products of dense matrices take of a step: the same in every formulation."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        step()
    names = ("aten::mm", "aten::addmm", "aten::bmm")
    return 1e-6 * sum(e.self_cpu_time_total for e in found.key_averages() if e.key in names)


def measure(dataset: str, name: str, repeats: int) -> dict[str, Any]:
    """One model on one graph."""
    data = DIFFUSION.load(dataset)
    options = DIFFUSION.settings(dataset, name)
    torch.manual_seed(0)
    ours = DIFFUSION.build(name, data.num_features, data.num_classes, options)
    plain = plain_model(data, name, options)
    edges = edges_of(data, name.startswith("grand"))
    copy_weights(ours, plain)
    apart = difference(data, ours, plain, edges)
    assert apart < 1e-5, f"{name} on {dataset}: results differ by {apart}"
    x, train, y = data.complex.x[0], data.train[0], data.y[data.train[0]]

    def stepper(model: nn.Module, forward: Callable[[], Tensor]) -> Callable[[], None]:
        optimizer = OPTIMIZERS[options.get("optimizer", "adam")](model.parameters(), lr=1e-3)

        def step() -> None:
            optimizer.zero_grad()
            nn.functional.cross_entropy(forward()[train], y).backward()
            optimizer.step()

        return step

    ours.train(), plain.train()
    steps = (
        stepper(ours, lambda: ours(data.complex)), stepper(plain, lambda: plain(x, edges))
    )  # fmt: skip
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(repeats + 1):
        for step, samples in zip(steps, seconds, strict=True):
            start = time.process_time()
            step()
            if number:  # the first is not counted
                samples.append(time.process_time() - start)
    found = [statistics.median(samples) for samples in seconds]
    dense = statistics.median(product_seconds(steps[0]) for _ in range(repeats))
    return {
        "dataset": dataset,
        "model": name,
        "difference": apart,
        "step_seconds": round(found[0], 6),
        "product_seconds": round(dense, 6),
        "plain_step_seconds": round(found[1], 6),
        "ratio": round(found[1] / found[0], 2),
        "settings": options,
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    rows = [measure(dataset, model, repeats) for dataset, model in CASES]
    table = Table("data set", "model", "step, s", "plain", "ratio", "difference")
    for row in rows:
        table.add_row(
            row["dataset"], row["model"], f"{row['step_seconds']:.4f}",
            f"{row['plain_step_seconds']:.4f}", f"{row['ratio']:.1f}", f"{row['difference']:.0e}",
        )  # fmt: skip
    Console().print(table)
    write_json(RESULTS, {**describe_run(), "rows": rows})


if __name__ == "__main__":
    main()
