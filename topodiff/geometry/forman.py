"""Balanced Forman curvature of edges (Topping, Di Giovanni, Chamberlain, Dong, Bronstein,
Understanding over-squashing and bottlenecks on graphs via curvature, ICLR 2022)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff.complexes.interop.graph import Graph, from_graph

_WEDGES = 4_000_000  # paths of two edges that are looked at together


class EdgeNeighborhood(NamedTuple):
    """What the curvature of each edge (u, v) counts, (n_1,) int64 each, edges in canonical order.

    Attributes:
        tail_degree, head_degree: of u and v.
        triangles: common neighbours of u and v.
        tail_squares: neighbours k of u that lie on a cycle u - k - w - v of four edges without
            diagonals.
        head_squares: such neighbours w of v.
        most_squares: gamma_max, the largest number of these cycles through one k or one w.
    """

    tail_degree: Tensor
    head_degree: Tensor
    triangles: Tensor
    tail_squares: Tensor
    head_squares: Tensor
    most_squares: Tensor


def balanced_forman(graph: Graph) -> Tensor:
    """(n_1,) float64 curvature of every edge (u, v), in canonical order; definition 1 of the paper:

        Ric = 2/d_u + 2/d_v - 2 + 2 T / max(d_u, d_v) + T / min(d_u, d_v)
              + (S_u + S_v) / (gamma_max max(d_u, d_v)),

    T triangles and S neighbours on squares as in :class:`EdgeNeighborhood`, the last term 0 where
    there are no squares, and Ric = 0 where one end has no other neighbour. It is above -2, and low
    on bridges between parts that are well connected.

    Args:
        graph: a complex (cells of rank 2 and weights do not matter), a networkx graph or an
            ``edge_index`` tensor (2, m).

    Raises:
        TypeError, ValueError: for anything else.
    """
    return curvature_of(edge_neighborhoods(graph))


def curvature_of(found: EdgeNeighborhood) -> Tensor:
    """The formula of :func:`balanced_forman`."""
    low = torch.minimum(found.tail_degree, found.head_degree).double()
    high = torch.maximum(found.tail_degree, found.head_degree).double()
    of_degrees = 2 / low + 2 / high - 2
    of_triangles = found.triangles * (2 / high + 1 / low)
    squares = (found.tail_squares + found.head_squares).double()
    of_squares = squares / (found.most_squares.clamp(min=1) * high)
    return torch.where(low > 1, of_degrees + of_triangles + of_squares, 0.0)


def edge_neighborhoods(graph: Graph) -> EdgeNeighborhood:
    """The counts behind :func:`balanced_forman`.

    Work and memory go with the paths of two edges (in pieces) and, for edges in triangles, with the
    neighbours of the third vertex.
    """
    complex = from_graph(graph, "balanced Forman curvature")
    n, m = complex.num_cells(0), complex.num_cells(1)
    tail, head = complex.edge_index.cpu().numpy()
    ones = np.ones(2 * m, dtype=np.int32)
    ends = np.concatenate([tail, head]), np.concatenate([head, tail])
    adjacency = sp.csr_matrix((ones, ends), shape=(n, n))
    adjacency.sort_indices()
    degree = np.diff(adjacency.indptr).astype(np.int64)
    # paths k - i - j for both directions i -> j of every edge, ordered by j
    start, end = ends
    order = np.lexsort((start, end))
    counts = np.zeros((3, 2 * m), dtype=np.int64)
    cut = np.searchsorted(degree[start[order]].cumsum(), np.arange(0, degree @ degree, _WEDGES))
    for piece in np.split(order, cut[1:]):
        if len(piece):
            counts[:, piece] = _count(adjacency, start[piece], end[piece])
    triangles, squares, most = counts
    arrays = (
        degree[tail], degree[head], triangles[:m], squares[:m], squares[m:],
        np.maximum(most[:m], most[m:]),
    )  # fmt: skip
    return EdgeNeighborhood(*(torch.from_numpy(a.copy()).to(complex.device) for a in arrays))


def _count(adjacency: sp.csr_matrix, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, ...]:
    """For each edge i -> j: triangles, neighbours k of i on squares, most squares through one k.

    The squares through k are the common neighbours w of j and k, but for i and those next to i.
    """
    size = len(i)
    of_i = adjacency[i]
    common = of_i.multiply(adjacency[j]).tocsr()
    triangles = np.diff(common.indptr)
    edge = np.repeat(np.arange(size), np.diff(of_i.indptr))
    k = of_i.indices
    apart = (k != j[edge]) & (_values(adjacency, j[edge], k) == 0)
    edge, k = edge[apart], k[apart]
    heads, place = np.unique(j, return_inverse=True)
    two_steps = (adjacency[heads] @ adjacency).tocsr()
    shared = _values(two_steps, place[edge], k)
    squares = shared - 1 - _values(common @ adjacency, edge, k)
    found = np.bincount(edge[squares > 0], minlength=size)
    most = np.zeros(size, dtype=np.int64)
    np.maximum.at(most, edge, squares)
    return triangles, found, most


def _values(matrix: sp.csr_matrix, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The entries (row, column), 0 where there are none."""
    if matrix.nnz == 0:
        return np.zeros(len(row), dtype=np.int64)
    matrix.sort_indices()
    stored = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    keys = stored * matrix.shape[1] + matrix.indices
    wanted = row.astype(np.int64) * matrix.shape[1] + column
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[at] == wanted, matrix.data[at], 0)
