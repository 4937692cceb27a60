"""Graphs that are hard to tell apart, for tests of what models and diagnostics can do."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np

import topodiff as td
from topodiff.complexes import CellComplex


def union_of_rings(graphs: list[nx.Graph], max_ring_size: int) -> CellComplex:
    """The graphs with their induced cycles as 2-cells."""
    lifting = td.liftings.RingLifting(max_ring_size)
    return td.batch([lifting(nx.convert_node_labels_to_integers(g)) for g in graphs])


def union_of_cliques(graphs: list[nx.Graph], max_rank: int) -> CellComplex:
    """The clique complexes of the graphs."""
    lifting = td.liftings.CliqueLifting(max_rank)
    return td.batch([lifting(nx.convert_node_labels_to_integers(g)) for g in graphs])


def decalin() -> nx.Graph:
    """Two rings of six carbon atoms that share a bond."""
    graph = nx.cycle_graph(10)
    graph.add_edge(0, 5)
    return graph


def bicyclopentyl() -> nx.Graph:
    """Two rings of five joined by a bond."""
    graph = nx.disjoint_union(nx.cycle_graph(5), nx.cycle_graph(5))
    graph.add_edge(0, 5)
    return graph


def rook() -> nx.Graph:
    """Squares of a 4 x 4 board, joined along ranks and files."""
    return nx.convert_node_labels_to_integers(
        nx.cartesian_product(nx.complete_graph(4), nx.complete_graph(4))
    )


def shrikhande() -> nx.Graph:
    """Strongly regular with the parameters of :func:`rook`; its triangles are a torus."""
    steps = [(0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 3)]
    graph = nx.Graph()
    for i in range(4):
        for j in range(4):
            graph.add_edges_from((4 * i + j, 4 * ((i + a) % 4) + (j + b) % 4) for a, b in steps)
    return graph


def skip_circles(n: int = 41) -> list[nx.Graph]:
    """The ten classes of circular skip links: a circle and chords of one length."""
    return [nx.circulant_graph(n, [1, skip]) for skip in (2, 3, 4, 5, 6, 9, 11, 12, 13, 16)]


def strongly_regular(mirror: Path, family: str) -> list[nx.Graph]:
    """All graphs of a family, such as sr251256."""
    return nx.read_graph6(mirror / "sr" / f"{family}.g6")


def circular_skip_links(mirror: Path) -> tuple[list[nx.Graph], np.ndarray]:
    """The data set CSL: 150 graphs of 41 vertices in any numbering, and their classes."""
    with np.load(mirror / "sr" / "CSL.npz") as data:
        pairs, ptr, y = data["edge_index"].T.tolist(), data["edge_ptr"], data["y"]
    graphs = []
    for start, end in pairwise(ptr):
        graph = nx.empty_graph(41)
        graph.add_edges_from(pairs[start:end])
        graphs.append(graph)
    return graphs, y
