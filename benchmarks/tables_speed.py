"""Tables of speed: each is made from results/NAME.json by the function of that name."""

from __future__ import annotations

import statistics
from typing import Any

from tables_layout import command, markdown

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
    """Per operation and pass: ratios to the best peer and to torch-scatter, and of bandwidth."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in results["rows"]:
        groups.setdefault((row["operation"], row["pass"]), []).append(row)
    rows = []
    for (operation, step), found in groups.items():
        best = [row["speedup_over_best_peer"] for row in found]
        scatter = [row.get("speedup_over_torch_scatter") for row in found]
        names = ("fraction_of_copy_bandwidth", "fraction_of_gather_bandwidth")
        wide = [row.get(name) for row in found for name in names]
        rows.append([operation, step, *map(_range, (best, scatter, wide))])
    entries = [row["entries"] for row in results["rows"]]
    sizes = f"{min(entries):.0e} to {max(entries):.0e} entries, {results['threads']} thread(s)"
    slower = sum(row["speedup_over_best_peer"] < 1 for row in results["rows"])
    header = ["operation", "pass", "x best peer", "x torch-scatter", "of bandwidth"]
    note = (
        f"Speed-up in CPU time, smallest, median and largest over the sizes, {sizes}; {slower} of "
        f"{len(entries)} rows are slower than the best peer. Bandwidth is that of a copy for "
        "sorted segments, else that of gathering rows. Rows that were slower at first were "
        "measured again."
    )
    return f"{markdown(header, rows)}\n\n{note} {command(results)}"


def _range(values: list[float | None]) -> str:
    """Smallest, median and largest of those that are there."""
    found = [v for v in values if v is not None]
    if not found:
        return ""
    return f"{min(found):.2f}, {statistics.median(found):.2f}, {max(found):.2f}"


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
        f"{first['nodes']:,} vertices and about {first['edges']:,} edges, CPU time of one thread, "
        "in brackets with vertices in reverse Cuthill-McKee order; against gather, bmm and "
        "torch-scatter, against the product with the assembled sparse matrix (its assembly not "
        "counted), and as a fraction of the bandwidth of gathering rows. The random "
        "graph and the mesh were measured by two processes side by side. "
        f"{command(results)}"
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
            ("CIN, a row for every cell", "every_cell"),
            ("CIN, plain PyTorch formulation", "plain"),
            ("GINE, PyTorch Geometric", "gine"),
        )
    ]
    header = ["training on ZINC, batches of 128", "molecules per CPU s", "of GINE"]
    note = (
        "Collate, forward and backward; the three CIN have the same parameters and gradients. The "
        "first computes one row for all cells that it cannot tell apart, of which there are many "
        "among molecules; with real features or dropout it takes as long as the second."
    )
    return f"{markdown(header, rows)}\n\n{note} {command(results['run'])}"


def heterophily_steps(results: dict[str, Any]) -> str:
    """Seconds of training steps beside those of the published code."""
    rows = [
        [
            row["dataset"],
            row["model"],
            f"{row['step_seconds']:.4f}",
            f"{row['published_step_seconds']:.3f}",
            f"{row['published_step_seconds'] / row['step_seconds']:.1f}",
            f"{row['peak_memory_gb']:.2f}",
            str(row["published_peak_memory_gb"] or ""),
        ]
        for row in results["rows"]
    ]
    header = ["training step, CPU s", "model", "topodiff", "published code", "ratio"]
    header += ["resident GB", "published code"]
    imports = max(row["peak_memory_of_imports_gb"] for row in results["rows"])
    note = (
        f"Memory is the most of a process of its own, of which {imports:.2f} GB after imports. "
        "At the published settings; film has none, and ours make another model. The published code "
        "was timed before, on one core of a machine that may have been another. " + command(results)
    )
    return f"{markdown(header, rows)}\n\n{note}"


def diffusion_steps(results: dict[str, Any]) -> str:
    """Seconds of training steps beside those of the plain implementation."""
    rows = [
        [
            row["dataset"].split("_")[0],
            row["model"],
            f"{row['step_seconds']:.4f}",
            f"{row['product_seconds']:.4f}",
            f"{row['plain_step_seconds']:.4f}",
            f"{row['ratio']:.1f}",
        ]
        for row in results["rows"]
    ]
    header = [
        "training step, CPU s", "model", "topodiff", "of it dense products", "PyG, torchdiffeq",
        "ratio",
    ]  # fmt: skip
    note = (
        "Same settings, same weights and same results to 1e-5, in one process. Products of dense "
        "matrices are those of torch in both. GRAND-l is solved exactly here and by dopri5 there. "
    )
    return f"{markdown(header, rows)}\n\n{note}{command(results)}"


def solvers(results: dict[str, Any]) -> str:
    """For each domain and solver the cheapest run below an error of 1e-3 and of 1e-6."""
    parts = []
    for name, found in results.items():
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
        kept = {row["solver"] for row in found["rows"]}
        gone = dict.fromkeys(row["solver"] for row in found["left_out"])
        gone = [solver for solver in gone if solver not in kept]
        left = f"Left out, as too slow: {', '.join(gone)}. " if gone else ""
        parts[-1] += f"\n\n{left}{command(found['run'])}"
    return "\n\n".join(parts)
