"""Where vertices are drawn."""

from __future__ import annotations

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from topodiff.complexes import CellComplex


def layout(complex: CellComplex, positions: Tensor | None = None, seed: int = 0) -> np.ndarray:
    """(n_0, 2) places of the vertices in the plane.

    Args:
        complex: its positions are taken where none are given; where it has none, a force-directed
            layout of its graph (Fruchterman and Reingold 1991, by networkx).
        positions: (n_0, dim); more than two coordinates are projected onto the two directions of
            largest variance, one lies on a line.
        seed: of the layout.

    Raises:
        ValueError: for positions of the wrong shape, or that are not finite.
    """
    n = complex.num_cells(0)
    given = complex.positions if positions is None else positions
    if given is None:
        graph = nx.Graph()
        graph.add_nodes_from(range(n))
        graph.add_edges_from(complex.edge_index.T.tolist())
        found = nx.spring_layout(graph, seed=seed)
        return np.array([found[v] for v in range(n)]).reshape(n, 2)
    given = torch.as_tensor(given)
    if given.dim() != 2 or given.shape[0] != n or given.shape[1] == 0:
        raise ValueError(f"positions must have shape ({n}, dim), got {tuple(given.shape)}")
    places = given.detach().double().cpu().numpy()
    if not np.isfinite(places).all():
        raise ValueError("positions must be finite")
    if places.shape[1] == 1:
        return np.column_stack([places[:, 0], np.zeros(n)])
    if places.shape[1] > 2:
        centred = places - places.mean(0)
        axes = np.linalg.svd(centred, full_matrices=False)[2]
        return np.asarray(centred @ axes[:2].T)
    return places
