"""Write the tables of README.md from the files in benchmarks/results.

    python benchmarks/tables.py [--check]

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` and is made from
results/NAME.json by the function of that name below; without such a file it stays as it is.
``--check`` writes nothing and fails if README.md is not up to date.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from topodiff.datasets.nodes import SOURCES
from topodiff.training.diffusion import DIFFUSION
from topodiff.training.heterophily import MODELS
from topodiff.training.heterophily_settings import PUBLISHED
from topodiff.training.node_benchmark import Summary, summarize

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
# CIN and CIN-small, Bodnar et al. 2021, table 3: (layers, width) -> mean absolute error
PUBLISHED_ZINC = {(4, 128): 0.079, (2, 48): 0.094}
LIFTINGS = {
    "floor": "RDKit parse and symmetrised SSSR alone (the floor)",
    "cold": "topodiff, cold",
    "warm": "topodiff, from its cache",
    "python": "topodiff without the compiled reader",
    "toponetx": "TopoNetX from parsed molecules, the same rings, with its matrices",
    "cycles": "networkx, chordless cycles of parsed molecules alone",
    "cold, 1 worker (wall)": "topodiff, cold, 1 worker process, wall clock",
    "cold, 2 workers (wall)": "topodiff, cold, 2 worker processes, wall clock",
}
SECTION = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first stand to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def mean_and_std(values: Sequence[float]) -> str:
    """``0.512 +- 0.010 (5)``: mean, standard deviation (ddof 1) and number of runs."""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread} ({len(values)})"


def molecules(records: list[dict[str, Any]]) -> str:
    """Test metric by data set and split, with chemprop's on the same rows where it was run."""
    peers = {(r["dataset"], r["split"]): r for r in _read("chemprop") or []}
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["dataset"], record["split"]), []).append(record)
    rows = []
    for (dataset, split), runs in groups.items():
        name = "rmse" if "rmse" in runs[0]["test"] else "roc_auc"
        seconds = statistics.median(r["cpu_seconds"] for r in runs)
        peer = peers.get((dataset, split))
        rows.append(
            [
                f"{dataset}, {split.replace('_', ' ')}",
                name.upper().replace("_", "-"),
                mean_and_std([r["test"][name] for r in runs]),
                f"{seconds:.0f}",
                f"{peer['test'][name]:.3f}" if peer else "",
                f"{peer['cpu_seconds']:.0f}" if peer and peer.get("cpu_seconds") else "",
            ]
        )
    header = ["data, split", "metric", "topodiff, test", "CPU s", "chemprop 2, test", "CPU s"]
    config = records[0]["config"]
    note = (
        f"Ensembles of {config['members']} CIN ({config['model']['hidden_channels']} wide, "
        f"{config['model']['num_layers']} layers) with RDKit's descriptors, epochs chosen on "
        "validation data; mean ± standard deviation (number of seeds). Random splits differ "
        "between seeds. The configuration was chosen on validation errors of the given splits; "
        "clipping normalised values in evaluation was added after outliers seen in two of their "
        "test parts. `python benchmarks/molecules.py`"
    )
    return f"{markdown(header, rows)}\n\n{note}"


def liftings(results: dict[str, Any]) -> str:
    """Molecules per CPU second, and seconds for clique complexes."""
    parts = []
    if "molecules" in results:
        rates = results["molecules"]["per_second"]
        rows = [
            [LIFTINGS.get(name, name), f"{rate:,.0f}", f"{rate / rates['floor']:.2f}"]
            for name, rate in rates.items()
        ]
        header = ["SMILES -> featurised ring complex", "molecules per CPU s", "of the floor"]
        parts.append(markdown(header, rows))
    if "cliques" in results:
        rows = [
            [f"{name}, cells {', '.join(f'{n:,}' for n in found['shape'])}", library, f"{s:.3f}"]
            for name, found in results["cliques"].items()
            for library, s in found["seconds"].items()
        ]
        parts.append(markdown(["clique complex", "library", "CPU s"], rows))
    return "\n\n".join([*parts, command(results["run"])])


def kernels(results: dict[str, Any]) -> str:
    """Per operation and pass: the ratio to the best peer, smallest, median and largest."""
    groups: dict[tuple[str, str], list[float]] = {}
    for row in results["rows"]:
        key = row["operation"], row["pass"].replace("_", " ")
        groups.setdefault(key, []).append(row["speedup_over_best_peer"])
    rows = [
        [operation, step, *(f"{v:.2f}" for v in (min(r), statistics.median(r), max(r)))]
        for (operation, step), r in groups.items()
    ]
    entries = [row["entries"] for row in results["rows"]]
    sizes = f"{min(entries):.0e} to {max(entries):.0e} entries, {results['threads']} thread(s)"
    header = ["operation", "pass", "slowest against best peer", "median", "fastest"]
    return f"{markdown(header, rows)}\n\nSpeed-up; {sizes}. {command(results)}"


def kernels_sheaf(results: dict[str, Any]) -> str:
    """Forward and backward of one graph and size in one row."""
    rows = []
    for forward, both in zip(results["rows"][::2], results["rows"][1::2], strict=True):
        rows.append([
            f"{forward['graph']}, d = {forward['d']}, {forward['channels']} channels",
            f"{forward['seconds'] * 1e3:.0f} ({forward['seconds_rcm'] * 1e3:.0f})",
            f"{forward['speedup_over_torch_scatter']:.1f}",
            f"{forward['speedup_over_sparse']:.1f}",
            f"{forward['fraction_of_gather_bandwidth']:.2f}",
            f"{both['seconds'] * 1e3:.0f} ({both['seconds_rcm'] * 1e3:.0f})",
            f"{both['speedup_over_torch_scatter']:.1f}",
        ])  # fmt: skip
    header = [
        "sheaf Laplacian", "forward, ms", "x torch-scatter", "x sparse", "of bandwidth",
        "and backward, ms", "x torch-scatter",
    ]  # fmt: skip
    first = results["rows"][0]
    note = (
        f"{first['nodes']:,} vertices and about {first['edges']:,} edges, one thread, in brackets "
        "with vertices in reverse Cuthill-McKee order; against gather, bmm and torch-scatter, "
        "against the product with the assembled sparse matrix (its assembly not counted), and as a "
        "fraction of the bandwidth of gathering rows. Sizes were measured in several runs, and "
        f"other programs ran on the machine during some of them. {command(results)}"
    )
    return f"{markdown(header, rows)}\n\n{note}"


def training(results: dict[str, Any]) -> str:
    """Molecules per CPU second, and the ratio to GINE."""
    rows = [
        [
            f"{name}, layers x width {size}",
            f"{found[way]['molecules_per_second']:,.0f}",
            f"{found[way]['molecules_per_second'] / found['gine']['molecules_per_second']:.2f}",
        ]
        for size, found in results["sizes"].items()
        for name, way in (
            ("CIN", "cin"),
            ("CIN, plain PyTorch formulation", "plain"),
            ("GINE, PyTorch Geometric", "gine"),
        )
    ]
    header = ["training on ZINC, batches of 128", "molecules per CPU s", "of GINE"]
    note = "Collate, forward and backward; the two CIN have the same parameters and gradients."
    return f"{markdown(header, rows)}\n\n{note} {command(results['run'])}"


def zinc(records: list[dict[str, Any]]) -> str:
    """Test error on ZINC-12k beside the published one."""
    rows = [
        [
            f"CIN {r['model']['layers']} x {r['model']['hidden']}, {r['model']['parameters']:,} "
            f"parameters, {r['status']}",
            f"{r['val']:.3f}",
            f"{r['test']:.3f}",
            f"{PUBLISHED_ZINC[r['model']['layers'], r['model']['hidden']]:.3f}",
        ]
        for r in records
    ]
    header = ["ZINC-12k, MAE, one seed", "validation", "test", "published (10 seeds)"]
    note = (
        "Validation and test molecules are the published ones. The training molecules are a "
        "surrogate: as many, from the same pool, 399 of them the published ones."
    )
    return f"{markdown(header, rows)}\n\n{note} {command(records[-1]['run'])}"


def heterophily(groups: list[dict[str, Any]]) -> str:
    """Test accuracy or ROC-AUC by data set and model, the published mean in brackets."""
    found = summarize(groups)
    names = [model for model in MODELS if any(m == model for _, m in found)]
    rows = []
    for dataset in SOURCES:
        cells = [_beside(found.get((dataset, m)), PUBLISHED.get((dataset, m))) for m in names]
        if any(cells):
            rows.append([dataset.replace("_", " "), *cells])
    seconds = statistics.median(summary.seconds for summary in found.values())
    note = (
        "Test accuracy (minesweeper: ROC-AUC) in percent, mean ± standard deviation over the ten "
        "published splits, in brackets the published mean (Bodnar et al. 2022; Yan et al. 2021, "
        "whose numbers for the MLP on pubmed and cora look interchanged). Published numbers for "
        "Cornell belong to the legacy version. Epochs and settings are chosen on validation "
        "vertices; those of GCN on squirrel and chameleon were searched again, on them alone, "
        "after a first run whose test accuracy on squirrel was 49.0. "
        f"Median {seconds:.0f} CPU s per run. `topodiff bench heterophily` on "
        f"{groups[-1]['run']['processor']}."
    )
    return f"{markdown(['data set', *names], rows)}\n\n{note}"


def heterophily_steps(results: dict[str, Any]) -> str:
    """Seconds of training steps beside those of the published code."""
    rows = [
        [
            row["dataset"],
            row["model"],
            f"{row['step_seconds']:.4f}",
            f"{row['published_step_seconds']:.3f}",
            f"{row['published_step_seconds'] / row['step_seconds']:.1f}",
        ]
        for row in results["rows"]
    ]
    header = ["training step, CPU s", "model", "topodiff", "published code", "ratio"]
    note = (
        "At the published settings; film has none, and ours make another model. The published "
        "code was timed before, on one core of a machine of the same kind. " + command(results)
    )
    return f"{markdown(header, rows)}\n\n{note}"


def diffusion(groups: list[dict[str, Any]]) -> str:
    """Test accuracy by data set and model, the published mean in brackets."""
    found = summarize(groups)
    rows = []
    for dataset in DIFFUSION.datasets:
        pairs = [(dataset, model) for model in DIFFUSION.models]
        cells = [_beside(found.get(pair), DIFFUSION.published.get(pair)) for pair in pairs]
        runs = [str(found[pair].runs) for pair in pairs if pair in found]
        if runs:
            rows.append([_split_name(dataset), *cells, ", ".join(runs)])
    note = (
        "Test accuracy in percent at the published settings, mean ± standard deviation, in "
        "brackets the published mean (Chamberlain et al. 2021; Rusch et al. 2022), and how many "
        "runs each model had: seeds on Planetoid's split, splits elsewhere. Epochs are chosen on "
        "validation vertices; the diffusion ends at the published T, while the published code of "
        "GRAND also chooses that time on validation vertices, up to 3 T. Positions of BLEND are "
        "rows of personalised pagerank. `topodiff bench diffusion` on "
        f"{groups[-1]['run']['processor']}."
    )
    return f"{markdown(['data set', *DIFFUSION.models, 'runs'], rows)}\n\n{note}"


def _split_name(dataset: str) -> str:
    for kind, text in (("planetoid", "Planetoid's split"), ("random", "random splits")):
        if dataset.endswith(f"_{kind}"):
            return f"{dataset.removesuffix(f'_{kind}')}, {text}"
    return f"{dataset.replace('_', ' ')}, ten splits"


def diffusion_steps(results: dict[str, Any]) -> str:
    """Seconds of training steps beside those of the plain implementation."""
    rows = [
        [
            row["dataset"].split("_")[0],
            row["model"],
            f"{row['step_seconds']:.4f}",
            f"{row['plain_step_seconds']:.4f}",
            f"{row['ratio']:.1f}",
        ]
        for row in results["rows"]
    ]
    header = ["training step, CPU s", "model", "topodiff", "PyG, torchdiffeq", "ratio"]
    note = (
        "Same settings, same weights and same results to 1e-5, in one process, while other "
        "programs ran on the machine. GRAND-l is solved exactly here and by dopri5 there. "
    )
    return f"{markdown(header, rows)}\n\n{note}{command(results)}"


def _beside(ours: Summary | None, published: tuple[float, float] | None) -> str:
    if ours is None:
        return ""
    return f"{ours.mean:.1f} ± {ours.std:.1f}" + (f" ({published[0]:.1f})" if published else "")


def solvers(results: dict[str, Any]) -> str:
    """For each domain and solver the cheapest run below an error of 1e-3 and of 1e-6."""
    parts = []
    for name, found in results.items():
        if name == "run":
            continue
        rows = []
        for solver in dict.fromkeys(row["solver"] for row in found["rows"]):
            cells = []
            for error in (1e-3, 1e-6):
                good = [
                    (row["seconds"], row["applications"])
                    for row in found["rows"]
                    if row["solver"] == solver and row["status"] == "ok" and row["error"] <= error
                ]
                seconds, applications = min(good, default=(None, None))
                cells += ["", ""] if seconds is None else [f"{applications:,}", f"{seconds:.3f}"]
            if any(cells):
                rows.append([solver, *cells])
        peer = found["peer"]
        rows.append(["scipy expm_multiply", "", "", "", f"{peer['seconds']:.3f}"])
        header = [
            f"{name}: {found['vertices']:,} vertices, rho t = {found['stiffness']:,.0f}",
            "products, error 1e-3", "CPU s", "products, error 1e-6", "CPU s",
        ]  # fmt: skip
        parts.append(markdown(header, rows))
    return "\n\n".join([*parts, command(results["run"])])


def command(run: dict[str, Any]) -> str:
    """What was run, and on what."""
    return f"`{run['command']}` on {run['processor']}, {run['instruction_set']}."


TABLES: dict[str, Callable[[Any], str]] = {
    "diffusion": diffusion,
    "diffusion_steps": diffusion_steps,
    "heterophily": heterophily,
    "heterophily_steps": heterophily_steps,
    "kernels": kernels,
    "kernels_sheaf": kernels_sheaf,
    "liftings": liftings,
    "molecules": molecules,
    "solvers": solvers,
    "training": training,
    "zinc": zinc,
}


def _read(name: str) -> Any:
    path = HERE / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def fill(text: str) -> str:
    """``text`` with every table made anew."""

    def section(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        results = _read(name)
        if results is None or name not in TABLES:
            return match.group()
        return f"{start}{TABLES[name](results)}\n{end}"

    return SECTION.sub(section, text)


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    before = README.read_text()
    after = fill(before)
    if parser.parse_args().check:
        sys.exit("README.md is not up to date: make tables" if before != after else 0)
    README.write_text(after)


if __name__ == "__main__":
    main()
