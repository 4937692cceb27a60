"""Heat flow by every solver: error against work, on a mesh of 100,000 vertices and on cora's graph.

    python benchmarks/solvers.py [--quick] [--only mesh|cora] [--repeats 5] [--budget 12000]

``dx/dt = -L x`` for the combinatorial Laplacian, float64, 4 channels, one thread. Stiff: weights
over four orders of magnitude and a time that is long for most of them. The mesh is the Delaunay
triangulation of uniform points in the unit square (seed 0); cora is left out where the data set is
not at hand.

Errors are ``|x - reference| / |x0|``. The reference is Chebyshev's expansion to 1e-13, checked
against Lanczos's process to 1e-13 (``reference_gap``), which is the reference for Chebyshev's own
rows. Work is applications of the operator and CPU
seconds, median over the repeats; slow solvers run once, and those that would take more than
``--budget`` applications are left out and said to be. The peer is scipy's expm_multiply on the
same matrix in CSR. All find their matrix made: what ours takes is ``assembly_seconds``.

Writes benchmarks/results/solvers.json after each case, with the command that made it, beside the
cases that are there; with --quick a mesh of 2,000 vertices, and nothing written.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse.linalg
import scipy.spatial
import torch
from torch import Tensor

import topodiff as td
from topodiff.datasets import DownloadError, load_nodes
from topodiff.operators import GraphLaplacian
from topodiff.solvers import largest_stable_step
from topodiff.solvers.assembled import Assembled
from topodiff.training.files import write_json

sys.path.insert(0, str(Path(__file__).parent))
import machine

RESULTS = Path(__file__).parent / "results" / "solvers.json"
CHANNELS = 4
SLOW = 2.0  # seconds, beyond which a solver runs once

# steps of equal size that stability limits: evaluations of each
EXPLICIT = {
    "euler": 1, "midpoint": 2, "heun": 2, "heun3": 3, "rk4": 4, "adams_bashforth": 1,
    "explicit_adams": 1, "implicit_adams": 4, "adams_moulton": 5,
}  # fmt: skip
STEPS = dict.fromkeys(("implicit_euler", "crank_nicolson", "bdf2", "imex"), (10, 100))
# where stability sets the steps: evaluations over time by spectral bound, seen on small meshes
ADAPTIVE = {
    "dopri5": 2, "dopri8": 2, "bosh3": 2, "dormand_prince": 2, "bogacki_shampine": 2,
    "fehlberg2": 3, "adaptive_heun": 3,
}  # fmt: skip
EXACT = ("chebyshev", "krylov", "uniformization")


def mesh(num_vertices: int) -> td.CellComplex:
    """Vertices and edges of a Delaunay triangulation of random points, numbered along x and y."""
    points = np.random.default_rng(0).random((num_vertices, 2))
    strip = (points[:, 0] * math.sqrt(num_vertices) / 8).astype(int)
    points = points[np.lexsort((points[:, 1], strip))]
    triangles = scipy.spatial.Delaunay(points).simplices
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]])
    edges = np.unique(np.sort(edges, 1), axis=0).T.astype(np.int64)
    return td.CellComplex.from_edges(num_vertices, torch.from_numpy(edges))


def cora() -> td.CellComplex | None:
    """The graph of cora, undirected, without loops."""
    try:
        return load_nodes("cora").complex
    except DownloadError as error:
        print(f"cora is left out: {error}")
        return None


def case(complex: td.CellComplex, stiff: bool) -> tuple[GraphLaplacian, Tensor, float]:
    """Operator, state and time."""
    generator = torch.Generator().manual_seed(0)
    count = complex.num_cells(1)
    weights = torch.ones(count, dtype=torch.float64)
    if stiff:
        weights = 10 ** (4 * torch.rand(count, generator=generator, dtype=torch.float64) - 2)
    operator = GraphLaplacian(complex, weights=weights)
    x = torch.randn(complex.shape[0], CHANNELS, generator=generator, dtype=torch.float64)
    return operator, x, (5000.0 if stiff else 10.0) / operator.spectral_bound()


def timed(run: Any, repeats: int) -> tuple[Any, float]:
    """The result, and median CPU seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = run()
        seconds.append(time.process_time() - start)
        if seconds[-1] > SLOW:
            break
    return result, statistics.median(seconds)


def settings(operator: GraphLaplacian, t: float) -> list[tuple[str, dict[str, Any], float]]:
    """(solver, options, applications to expect), for every solver of laws of the first order (some
    have several names)."""
    found: list[tuple[str, dict[str, Any], float]] = []
    for solver, evaluations in EXPLICIT.items():
        fewest = math.ceil(t / largest_stable_step(solver, operator))
        for steps in (fewest, 8 * fewest):
            found.append((solver, {"num_steps": steps}, steps * evaluations))
    stiffness = t * operator.spectral_bound()
    for solver, evaluations in ADAPTIVE.items():
        # where stability sets the steps, tolerances make no difference to the work
        for tol in (1e-3, 1e-6) if stiffness < 100 else (1e-6,):
            found.append((solver, {"rtol": tol, "atol": tol}, evaluations * stiffness))
    for solver in EXACT:
        for tol in (1e-3, 1e-6, 1e-9, 1e-13):
            found.append((solver, {"tol": tol}, stiffness if solver == "uniformization" else 0))
    for solver, counts in STEPS.items():
        for steps in counts:
            found.append((solver, {"num_steps": steps, "tol": 1e-9}, 0))
    return found


def row(
    name: str, options: dict[str, Any], sol: td.Solution, error: float, seconds: float
) -> dict[str, Any]:
    return {
        "solver": name,
        "options": options,
        "error": error,
        "error_bound": sol.stats.error_bound,
        "applications": sol.stats.evaluations,
        "steps": sol.stats.steps,
        "seconds": round(seconds, 5),
        "status": sol.status,
    }


def run_case(complex: td.CellComplex, stiff: bool, repeats: int, budget: float) -> dict[str, Any]:
    operator, x, t = case(complex, stiff)
    size = float(x.norm())
    _, assembly = timed(partial(Assembled, operator, x.dtype), repeats)
    with torch.no_grad():
        reference = td.diffuse(operator, x, t, "chebyshev", tol=1e-13).x
        other = td.diffuse(operator, x, t, "krylov", tol=1e-13).x
        rows, left_out = [], []
        for name, options, expected in settings(operator, t):
            if expected > budget:
                left_out.append({"solver": name, "options": options, "expected": int(expected)})
                continue
            sol, seconds = timed(
                lambda n=name, o=options: td.diffuse(operator, x, t, n, **o), repeats
            )
            truth = other if name == "chebyshev" else reference
            error = float((sol.x - truth).norm()) / size
            rows.append(row(name, options, sol, error, seconds))
            print(
                f"  {name:16s} {error:9.1e} {sol.stats.evaluations:7d} {seconds:9.4f} {options}",
                flush=True,
            )
    found = {
        "vertices": complex.shape[0],
        "edges": complex.shape[1],
        "channels": CHANNELS,
        "stiffness": t * operator.spectral_bound(),
        "assembly_seconds": round(assembly, 5),
        "reference_gap": float((other - reference).norm()) / size,
        "rows": rows,
        "left_out": left_out,
        "peer": peer(operator, x, t, reference, repeats),
    }
    return found | {"claims": claims(found)}


def peer(
    operator: GraphLaplacian, x: Tensor, t: float, reference: Tensor, repeats: int
) -> dict[str, Any]:
    """scipy's expm_multiply, its matrix made beforehand."""
    matrix = (-t * operator.to_scipy()).tocsr()
    result, seconds = timed(lambda: scipy.sparse.linalg.expm_multiply(matrix, x.numpy()), repeats)
    error = float((torch.from_numpy(result) - reference).norm() / x.norm())
    print(f"  {'expm_multiply':16s} {error:9.1e} {'':7s} {seconds:9.4f}")
    return {"solver": "scipy.sparse.linalg.expm_multiply", "error": error, "seconds": seconds}


def cheapest(rows: list[dict[str, Any]], names: tuple[str, ...], error: float, key: str) -> Any:
    """The row of least work among those that are at least as accurate."""
    good = [r for r in rows if r["solver"] in names and r["error"] <= error and r["status"] == "ok"]
    return min(good, key=lambda r: r[key], default=None)


def claims(found: dict[str, Any]) -> dict[str, Any]:
    """What is asked of the solvers: ratios to dopri5 at 1e-6 and to expm_multiply, at no greater
    error."""
    rows, result = found["rows"], {}
    dopri5 = [r for r in rows if r["solver"] == "dopri5" and r["options"]["rtol"] == 1e-6]
    ours = (*EXACT, *STEPS)
    for key in ("applications", "seconds"):
        best = cheapest(rows, ours, dopri5[0]["error"], key) if dopri5 else None
        if best:
            result[f"{key}_of_dopri5"] = round(dopri5[0][key] / best[key], 2)
            result[f"{key}_by"] = best["solver"]
    # errors at rounding are equal errors
    error = max(found["peer"]["error"], 2e-13)
    best = cheapest(rows, EXACT, error, "seconds")
    if best:
        result["speed_over_expm_multiply"] = round(found["peer"]["seconds"] / best["seconds"], 2)
        result["speed_by"] = best["solver"]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("mesh", "cora"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--budget", type=float, default=1.2e4, help="applications of one solver")
    args = parser.parse_args()
    torch.set_num_threads(1)
    domains: dict[str, td.CellComplex | None] = {}
    if args.only != "cora":
        domains["mesh"] = mesh(2000 if args.quick else 100_000)
    if args.only != "mesh":
        domains["cora"] = cora()
    results = {} if args.quick else machine.read_results(RESULTS, {})
    for name, complex in domains.items():
        for kind in ("mild", "stiff") if complex is not None else ():
            print(f"{name}, {kind}: solver, error, applications, CPU seconds")
            assert complex is not None
            found = run_case(complex, kind == "stiff", args.repeats, args.budget)
            results[f"{name}, {kind}"] = found | {"run": machine.describe_run()}
            print(json.dumps(found["claims"]), flush=True)
            if not args.quick:
                write_json(RESULTS, results)


if __name__ == "__main__":
    main()
