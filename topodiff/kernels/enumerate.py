"""Enumeration of the cells of a lifting: induced cycles and cliques, with their signed boundaries.

numpy int64 arrays in and out. Edges are (m, 2) rows (u, v), u < v, in lexicographic order. The
compiled module does the work; under ``use("reference")``, or where there is none, Python and numpy
give the same arrays.
"""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from topodiff.kernels import backend

Array = NDArray[np.int64]
Boundary = tuple[Array, Array]  # index (2, nnz) [face, cell] sorted by cell, then face; sign (nnz,)


def induced_cycles(
    vertex_ptr: Array, edge_ptr: Array, edges: Array, max_length: int, limit: int
) -> tuple[Array, Array, Array]:
    """Induced (chordless) cycles of 3 to ``max_length`` vertices of each graph of a disjoint union.

    A cycle goes from its smallest vertex towards the smaller of that vertex's two neighbours on it;
    within a graph, cycles are sorted by length and then lexicographically. Compiled, the time is
    polynomial per cycle found, so ``limit`` bounds it.

    Args:
        vertex_ptr: (graphs + 1,); graph g has vertices ``vertex_ptr[g]:vertex_ptr[g + 1]``.
        edge_ptr: (graphs + 1,); and edges ``edge_ptr[g]:edge_ptr[g + 1]``.
        edges: (m, 2) canonical edges.
        max_length: largest number of vertices of a cycle.
        limit: largest number of cycles of a graph.

    Returns:
        ``ring_ptr`` (graphs + 1,), ``ptr`` (rings + 1,), ``vertices``: graph g has rings
        ``ring_ptr[g]:ring_ptr[g + 1]``, ring i has vertices ``vertices[ptr[i]:ptr[i + 1]]``.

    Raises:
        ValueError: more than ``limit`` cycles in one graph, or edges that are not canonical.
    """
    if (compiled := backend.compiled_module()) is not None:
        return compiled.induced_cycles(vertex_ptr, edge_ptr, edges, max_length, limit)
    import networkx as nx

    counts, rings = [0], []
    for g, (first, last) in enumerate(pairwise(edge_ptr.tolist())):
        graph = nx.Graph(edges[first:last].tolist())
        found = [_canonical(c) for c in islice(nx.chordless_cycles(graph, max_length), limit + 1)]
        if len(found) > limit:
            raise ValueError(
                f"graph {g} has more than {limit} induced cycles of up to {max_length} vertices: "
                "choose a smaller length or a higher limit"
            )
        rings += sorted(found, key=lambda c: (len(c), c))
        counts.append(len(rings))
    ptr = np.cumsum([0] + [len(ring) for ring in rings], dtype=np.int64)
    return np.array(counts), ptr, np.array([v for ring in rings for v in ring], dtype=np.int64)


def _canonical(cycle: list[int]) -> list[int]:
    start = cycle.index(min(cycle))
    cycle = cycle[start:] + cycle[:start]
    return cycle if cycle[1] < cycle[-1] else cycle[:1] + cycle[:0:-1]


def ring_boundary(num_vertices: int, edges: Array, ptr: Array, vertices: Array) -> Boundary:
    """Boundary of 2-cells glued along rings: +1 where a ring runs along an edge from tail to head.

    Raises:
        ValueError: a ring steps between vertices that no edge joins.
    """
    if (compiled := backend.compiled_module()) is not None:
        return compiled.ring_boundary(num_vertices, edges, ptr, vertices)
    outside = vertices[(vertices < 0) | (vertices >= num_vertices)]
    if len(outside):
        raise ValueError(f"ring vertex {outside[0]} is not a vertex of the graph")
    ring = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    following = np.arange(len(vertices)) + 1
    following[ptr[1:] - 1] = ptr[:-1]
    head = vertices[following]
    key = edges[:, 0] * num_vertices + edges[:, 1]
    wanted = np.minimum(vertices, head) * num_vertices + np.maximum(vertices, head)
    edge, found = _find(key, wanted)
    if not found.all():
        k = np.flatnonzero(~found)[0]
        raise ValueError(
            f"a ring steps from vertex {vertices[k]} to {head[k]}, which no edge joins"
        )
    order = np.lexsort((edge, ring))
    return np.stack([edge[order], ring[order]]), np.where(vertices < head, 1, -1)[order]


def clique_boundaries(num_vertices: int, edges: Array, max_rank: int, limit: int) -> list[Boundary]:
    """Boundaries of ranks 1 to ``max_rank`` of the clique complex, cells in lexicographic order.

    The vertex that extends a clique is looked for among the extensions of its faces, and where it
    stands there are the numbers of the new faces, so the cost is linear in these lists.

    Raises:
        ValueError: more than ``limit`` cells of rank 1 and higher, or edges that are not canonical.
    """
    if (compiled := backend.compiled_module()) is not None:
        return compiled.clique_boundaries(num_vertices, edges, max_rank, limit)
    boundaries: list[Boundary] = []
    faces, last, total, below = edges, edges[:, 1], 0, num_vertices
    for rank in range(1, max_rank + 1):
        if rank > 1:
            (faces, last), below = _extend(faces, last, below, num_vertices), len(faces)
        total += len(faces)
        if total > limit:
            raise ValueError(
                f"the clique complex has more than {limit} cells of rank 1 and higher: "
                "choose a smaller rank or a higher limit"
            )
        cell = np.repeat(np.arange(len(faces)), rank + 1)
        sign = np.tile([(-1) ** i for i in range(rank, -1, -1)], len(faces))
        boundaries.append((np.stack([faces.reshape(-1), cell]), sign))
    return boundaries


def _extend(faces: Array, last: Array, num_faces: int, num_vertices: int) -> tuple[Array, Array]:
    """Faces and last vertices of the cliques with one more vertex."""
    ptr = np.searchsorted(faces[:, 0], np.arange(num_faces + 1))  # extensions of every face
    start, length = ptr[faces], np.diff(ptr)[faces]
    cells = np.arange(len(faces))
    start[:, 0], length[:, 0] = cells + 1, ptr[faces[:, 0] + 1] - cells - 1  # later siblings
    shortest = length.argmin(1)
    start, length = start[cells, shortest], length[cells, shortest]
    prefix = np.repeat(cells, length)
    vertex = last[np.repeat(start - np.cumsum(length) + length, length) + np.arange(len(prefix))]
    key = faces[:, 0] * num_vertices + last
    found = [prefix]
    for column in faces.T:
        number, exists = _find(key, column[found[0]] * num_vertices + vertex)
        keep = exists & (vertex > last[found[0]])
        found = [f[keep] for f in [*found, number]]
        vertex = vertex[keep]
    return np.stack(found, 1), vertex


def _find(key: Array, wanted: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Places of ``wanted`` in the sorted ``key``, and whether they are there."""
    if not len(key):
        return np.zeros_like(wanted), np.zeros(len(wanted), dtype=bool)
    place = np.searchsorted(key, wanted).clip(max=len(key) - 1)
    return place, key[place] == wanted
