"""Clique complex of a random geometric graph to finished boundary arrays; peers gudhi, TopoNetX.

    python benchmarks/liftings_clique.py [--vertices 10000] [--edges 100000] [--repeats 5]

The same edges go to every library, in turn within each repeat; medians of CPU seconds, one thread,
Python's garbage collector off (gudhi's lists of simplices take six times as long with it on).
gudhi: insert the vertices and edges, expand, read the simplices out in Python (boundaries would
come on top). TopoNetX: from the networkx graph to incidence matrices, on a tenth of the graph.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable

import gudhi
import networkx as nx
import numpy as np
import torch
from scipy.spatial import cKDTree

from topodiff.liftings import CliqueLifting


def geometric_graph(vertices: int, edges: int, seed: int = 0) -> np.ndarray:
    """(edges, 2) canonical: the closest pairs of uniform points in the unit square."""
    points = np.random.default_rng(seed).random((vertices, 2))
    tree = cKDTree(points)
    radius = 1.2 * np.sqrt(2 * edges / np.pi) / vertices
    pairs = tree.query_pairs(radius, output_type="ndarray")
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    pairs = np.sort(pairs[np.argsort(length)[:edges]], axis=1)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)


def run_topodiff(edges: np.ndarray, max_rank: int) -> dict[str, float]:
    edge_index = torch.from_numpy(edges.T.copy())
    start = time.process_time()
    CliqueLifting(max_rank=max_rank)(edge_index)
    return {"topodiff": time.process_time() - start}


def run_gudhi(edges: np.ndarray, max_rank: int) -> dict[str, float]:
    vertices = np.arange(edges.max() + 1)[None]
    columns = edges.T.copy()
    start = time.process_time()
    tree = gudhi.SimplexTree()
    tree.insert_batch(vertices, np.zeros(vertices.shape[1]))
    tree.insert_batch(columns, np.zeros(len(edges)))
    tree.expansion(max_rank)
    expanded = time.process_time()
    [simplex for simplex, _ in tree.get_skeleton(max_rank)]
    end = time.process_time()
    return {"gudhi insert + expansion": expanded - start, "gudhi with reading": end - start}


def run_toponetx(edges: np.ndarray, max_rank: int) -> dict[str, float]:
    from toponetx.transform import graph_to_clique_complex

    graph = nx.Graph(edges.tolist())
    start = time.process_time()
    complex = graph_to_clique_complex(graph, max_rank=max_rank)
    for rank in range(1, max_rank + 1):
        complex.incidence_matrix(rank)
    return {"toponetx": time.process_time() - start}


def medians(
    runs: list[Callable[[np.ndarray, int], dict[str, float]]],
    edges: np.ndarray,
    max_rank: int,
    repeats: int,
) -> dict[str, float]:
    times: dict[str, list[float]] = {}
    gc.collect()
    gc.disable()
    for _ in range(repeats):
        for run in runs:
            for name, seconds in run(edges, max_rank).items():
                times.setdefault(name, []).append(seconds)
    gc.enable()
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def benchmark(vertices: int = 10_000, edges: int = 100_000, repeats: int = 5) -> dict:
    """CPU seconds per library and rank, with the numbers of cells."""
    torch.set_num_threads(1)
    large = geometric_graph(vertices, edges)
    small = geometric_graph(vertices // 10, edges // 10)
    results = {}
    for rank in (2, 3):
        shape = CliqueLifting(max_rank=rank)(torch.from_numpy(large.T.copy())).shape
        results[f"rank {rank}"] = {
            "shape": list(shape),
            "seconds": medians([run_topodiff, run_gudhi], large, rank, repeats),
        }
    results["rank 2, a tenth"] = {
        "shape": list(CliqueLifting(max_rank=2)(torch.from_numpy(small.T.copy())).shape),
        "seconds": medians([run_topodiff, run_toponetx], small, 2, repeats),
    }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vertices", type=int, default=10_000)
    parser.add_argument("--edges", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    print(json.dumps(benchmark(**vars(parser.parse_args())), indent=2))


if __name__ == "__main__":
    main()
