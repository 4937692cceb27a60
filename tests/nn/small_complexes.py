"""Complexes that the tests of the models share."""

from __future__ import annotations

import networkx as nx
import torch

import topodiff as td
from topodiff.complexes import CellComplex


def ring_complex(graph: nx.Graph, max_ring_size: int = 6) -> CellComplex:
    return td.liftings.RingLifting(max_ring_size)(graph)


def with_categories(K: CellComplex, seed: int = 0) -> CellComplex:
    """Two columns (5 and 3 categories) on vertices, one (4) on edges, one (2) on 2-cells."""
    g = torch.Generator().manual_seed(seed)
    sizes = {0: (5, 3), 1: (4,), 2: (2,)}
    return K.replace(
        x={
            r: torch.stack([torch.randint(s, (K.num_cells(r),), generator=g) for s in size], 1)
            for r, size in sizes.items()
            if r <= K.rank
        }
    )
