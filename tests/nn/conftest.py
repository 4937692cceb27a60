"""Complexes that the tests of the models share."""

from __future__ import annotations

import os
from pathlib import Path

import networkx as nx
import pytest
from small_complexes import ring_complex, with_categories

import topodiff as td
from topodiff.complexes import CellComplex


@pytest.fixture
def molecules() -> CellComplex:
    """Four small complexes with rings, without rings, a single vertex, and all together."""
    graphs = [nx.cycle_graph(6), nx.path_graph(4), nx.empty_graph(1), nx.grid_2d_graph(3, 3)]
    graphs[0].add_edge(5, 6)
    parts = [ring_complex(nx.convert_node_labels_to_integers(g)) for g in graphs]
    return td.batch([with_categories(K, seed) for seed, K in enumerate(parts)])


@pytest.fixture
def mirror() -> Path:
    """Folder with the graphs that are too large to ship."""
    folder = os.environ.get("TOPODIFF_MIRROR")
    if not folder or not (Path(folder) / "sr").is_dir():
        pytest.skip("set TOPODIFF_MIRROR to a folder with sr/*.g6")
    return Path(folder)
