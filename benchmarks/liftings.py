"""SMILES to featurised ring complexes, and cliques of a geometric graph, against their peers.

    python benchmarks/liftings.py [--molecules 5000] [--repeats 5] [--only molecules|cliques]

Molecules: CPU seconds of one thread, every way in turn within each repeat, medians; with workers
wall-clock seconds, as the work is in other processes. The SMILES are those of ZINC in the folder
TOPODIFF_MIRROR. Peers:

    floor     RDKit's MolFromSmiles and GetSymmSSSR, nothing read out
    python    this library's reference reader: RDKit's objects one by one
    toponetx  from a parsed molecule: CellComplex with the same rings (handed over, so their
              search costs nothing), its B1, B2 and adjacency matrices A0, A1; no features
    cycles    from a parsed molecule: networkx.chordless_cycles up to 18, the rings alone

Writes benchmarks/results/liftings.json.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import torch
from rdkit import Chem

import topodiff as td
from topodiff.molecules import LiftSettings, lift_many
from topodiff.molecules.reference import induced_cycles
from topodiff.training.files import write_json

sys.path.insert(0, str(Path(__file__).parent))
import liftings_clique
import machine

RESULTS = Path(__file__).parent / "results" / "liftings.json"
SETTINGS = LiftSettings()  # induced cycles of up to 18 atoms, all features
PEER_SHARE = 10  # slow peers get one molecule in ten


def zinc_smiles(count: int) -> list[str]:
    """The first SMILES of ZINC."""
    folder = os.environ.get("TOPODIFF_MIRROR")
    if not folder:
        sys.exit("set TOPODIFF_MIRROR to the folder that holds zinc/zinc250k.smi.gz")
    with gzip.open(Path(folder) / "zinc" / "zinc250k.smi.gz", "rt") as file:
        return [line.split()[0] for line, _ in zip(file, range(count), strict=False)]


def floor(smiles: list[str]) -> None:
    for text in smiles:
        Chem.GetSymmSSSR(Chem.MolFromSmiles(text))


def lifted(num_workers: int = 0, cache: bool = False) -> Callable[[list[str]], None]:
    def run(smiles: list[str]) -> None:
        found = lift_many(smiles, SETTINGS, num_workers=num_workers, cache=cache, progress=False)
        assert found.complexes.num_complexes == len(smiles)

    return run


def python(smiles: list[str]) -> None:
    with td.kernels.use("reference"):
        lifted()(smiles)


Graph = tuple[int, list[tuple[int, int]], list[tuple[int, ...]]]


def graphs(smiles: list[str]) -> list[Graph]:
    """Vertices, edges and rings, as a peer would get them from a parsed molecule."""
    found = []
    for text in smiles:
        mol = Chem.MolFromSmiles(text)
        edges = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
        rings = list(induced_cycles(mol.GetNumAtoms(), edges, SETTINGS.max_ring_size))
        found.append((mol.GetNumAtoms(), edges, rings))
    return found


def toponetx(given: list[Graph]) -> None:
    from toponetx import CellComplex

    for _, edges, rings in given:
        complex = CellComplex(nx.Graph(edges))
        complex.add_cells_from([list(ring) for ring in rings], rank=2)
        for rank in (1, 2):
            complex.incidence_matrix(rank)
        for rank in (0, 1):
            complex.adjacency_matrix(rank)


def cycles(given: list[Graph]) -> None:
    for _, edges, rings in given:
        found = list(nx.chordless_cycles(nx.Graph(edges), length_bound=SETTINGS.max_ring_size))
        assert len(found) == len(rings)


def rate(run: Callable, items: list, clock: Callable[[], float]) -> float:
    gc.collect()
    start = clock()
    run(items)
    return len(items) / (clock() - start)


def molecules(count: int, repeats: int) -> dict:
    """Molecules per second, every way: median over the repeats."""
    smiles = zinc_smiles(count)
    given = graphs(smiles[::PEER_SHARE])
    cpu, wall = time.process_time, time.perf_counter
    ways: dict[str, tuple[Callable, list, Callable[[], float]]] = {
        "floor": (floor, smiles, cpu),
        "cold": (lifted(), smiles, cpu),
        "warm": (lifted(cache=True), smiles, cpu),
        "python": (python, smiles[::PEER_SHARE], cpu),
        "toponetx": (toponetx, given, cpu),
        "cycles": (cycles, given, cpu),
        "cold, 1 worker (wall)": (lifted(1), smiles, wall),
        "cold, 2 workers (wall)": (lifted(2), smiles, wall),
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TOPODIFF_CACHE"] = folder
        lifted(cache=True)(smiles)
        for _ in range(repeats):
            for name, way in ways.items():
                found[name].append(rate(*way))
    rates = {name: round(statistics.median(values), 1) for name, values in found.items()}
    return {
        "molecules": count,
        "repeats": repeats,
        "per_second": rates,
        "cold_over_floor": round(rates["cold"] / rates["floor"], 3),
        "cold_over_toponetx": round(rates["cold"] / rates["toponetx"], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--molecules", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", choices=("molecules", "cliques"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = machine.read_results(RESULTS, {}) if args.only else {}
    if args.only != "cliques":
        results["molecules"] = molecules(args.molecules, args.repeats)
    if args.only != "molecules":
        results["cliques"] = liftings_clique.benchmark()
    results["run"] = machine.describe_run()
    print(json.dumps(results, indent=2))
    RESULTS.parent.mkdir(exist_ok=True)
    write_json(RESULTS, results)


if __name__ == "__main__":
    main()
