"""Where vertices are drawn."""

from __future__ import annotations

import networkx as nx
import numpy as np
import scipy.sparse as sp
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.operators import GraphLaplacian, spectral_embedding

_MANY = 1000


def layout(complex: CellComplex, positions: Tensor | None = None, seed: int = 0) -> np.ndarray:
    """(n_0, 2) places of the vertices in the plane.

    Args:
        complex: its positions are taken where none are given; where it has none, a force-directed
            layout of its graph (Fruchterman and Reingold 1991, by networkx), whose time is
            quadratic; of more than 1000 vertices each connected part by two eigenvectors of its
            Laplacian (Belkin and Niyogi 2003), side by side.
        positions: (n_0, dim); more than two coordinates are projected onto the two directions of
            largest variance, one lies on a line.
        seed: of the layout.

    Raises:
        ValueError: for positions of the wrong shape, or that are not finite.
    """
    n = complex.num_cells(0)
    given = complex.positions if positions is None else positions
    if given is None and n > _MANY:
        return _spectral(complex, seed)
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
    if places.shape[1] > 2 and n:
        centred = places - places.mean(0)
        axes = np.linalg.svd(centred, full_matrices=False)[2]
        places = _two_columns(centred @ axes[:2].T)
    return places[:, :2]


def _two_columns(places: np.ndarray) -> np.ndarray:
    """With zeros for what is missing, as of fewer than three vertices."""
    return np.pad(places, ((0, 0), (0, 2 - places.shape[1])))


def _spectral(complex: CellComplex, seed: int) -> np.ndarray:
    """Connected parts one beside another, the largest first, with areas like their sizes."""
    n, (tail, head) = complex.num_cells(0), complex.edge_index.cpu().numpy()
    graph = sp.coo_matrix((np.ones(len(tail)), (tail, head)), shape=(n, n))
    part = connected_components(graph, directed=False)[1]
    places, number = np.zeros((n, 2)), np.zeros(n, dtype=np.int64)
    x = y = height = 0.0
    sizes = np.bincount(part)
    members = np.split(np.argsort(part, kind="stable"), sizes.cumsum()[:-1])
    counts = np.bincount(part[tail], minlength=len(sizes))
    edges = np.split(np.argsort(part[tail], kind="stable"), counts.cumsum()[:-1])
    for p in np.argsort(-sizes, kind="stable"):
        side = sizes[p] ** 0.5
        if x and x + side > 1.2 * n**0.5:
            x, y, height = 0.0, y - height, 0.0
        number[members[p]] = np.arange(sizes[p])
        ends = torch.from_numpy(number[np.stack([tail, head])[:, edges[p]]])
        inside = _of_part(CellComplex.from_edges(int(sizes[p]), ends), seed)
        places[members[p]] = [x, y] + 0.8 * side * inside
        x, height = x + side, max(height, side)
    return places


def _of_part(part: CellComplex, seed: int) -> np.ndarray:
    """Places in the unit square of the vertices of a connected graph."""
    n = part.num_cells(0)
    if n == 1:
        return np.zeros((1, 2))
    laplacian = GraphLaplacian(part, "symmetric")
    vectors = spectral_embedding(laplacian, min(3, n), seed)[1][:, 1:].double().cpu().numpy()
    # those of the random walk, in which vertices of few neighbours are near these
    vectors = _two_columns(vectors / np.sqrt(part.incidence(1).face_ptr.diff().numpy())[:, None])
    low, high = vectors.min(0), vectors.max(0)
    return (vectors - low) / np.where(high > low, high - low, 1.0)
