"""Parallel transport along edges and paths, holonomy around cycles.

A section that is constant along the edge e = (u, v) obeys ``F_{v<e} x_v = F_{u<e} x_u``, so it is
carried from u to v by ``F_{v<e}^-1 F_{u<e}`` (for orthogonal maps ``F_{v<e}^T F_{u<e}``). Of
float16 and bfloat16 it is computed in float32, along all of a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.cells import cell_vertices
from topodiff.complexes.integers import whole_numbers
from topodiff.kernels.precision import at_least_single
from topodiff.sheaves.maps import inverse, multiply, take, to_matrices

if TYPE_CHECKING:
    from topodiff.sheaves.sheaf import CellularSheaf


def edge_transports(sheaf: CellularSheaf) -> Tensor:
    """(n_1, d, d) transport from tail to head of every edge.

    Raises:
        ValueError: where the map of a head is singular.
    """
    tail = 2 * torch.arange(sheaf.complex.num_cells(1), device=sheaf.device)
    return _rounded(_steps(sheaf, tail, tail + 1), sheaf)


def path_transport(sheaf: CellularSheaf, path: Sequence[int]) -> Tensor:
    """(d, d) transport along a path of vertices (the identity for a path of one vertex).

    Raises:
        TypeError: for vertices that are no integers.
        ValueError: for an empty path, for neighbours in the path that are not joined by an edge,
            and where a map on the way is singular.
    """
    vertices = whole_numbers("vertices of a path", list(path)).to(sheaf.device)
    if vertices.numel() == 0:
        raise ValueError("a path has at least one vertex, got none")
    if vertices.min() < 0 or vertices.max() >= sheaf.complex.shape[0]:
        raise ValueError(f"vertices go from 0 to {sheaf.complex.shape[0] - 1}, got {list(path)}")
    steps = _steps(sheaf, *_entries(sheaf.complex, vertices[:-1], vertices[1:]))
    product = torch.eye(sheaf.stalk_dim).to(steps)
    for step in steps:
        product = step @ product
    return _rounded(product, sheaf)


def cell_holonomies(sheaf: CellularSheaf) -> Tensor:
    """(n_2, d, d) transport around each 2-cell, along its vertices in their order.

    It is the identity for every 2-cell if and only if the connection is flat on them. All cells
    take their k-th step at once.
    """
    if sheaf.complex.rank < 2:
        raise ValueError(f"holonomies of 2-cells need a complex of rank 2, got {sheaf.complex}")
    ptr, vertex = cell_vertices(sheaf.complex, 2)
    following = torch.arange(1, vertex.numel() + 1, device=vertex.device)
    following[ptr[1:] - 1] = ptr[:-1]
    steps = _steps(sheaf, *_entries(sheaf.complex, vertex, vertex[following]))
    length, order = ptr.diff().sort(descending=True)
    start, longest = ptr[:-1][order], int(length[0]) if length.numel() else 0
    steps_to_go = torch.arange(longest, device=length.device)
    longer = length.numel() - torch.searchsorted(length.flip(0), steps_to_go, right=True)
    current, done = torch.eye(sheaf.stalk_dim).to(steps).expand(length.numel(), -1, -1), []
    for k, count in enumerate(longer.tolist()):  # so many cells have a k-th step
        done.append(current[count:])
        current = steps[start[:count] + k] @ current[:count]
    product = torch.cat([current, *reversed(done)])[order.argsort()]
    return _rounded(product, sheaf)


def _steps(sheaf: CellularSheaf, leaving: Tensor, arriving: Tensor) -> Tensor:
    """Transports over edges given by the two incidences through which a path goes."""
    maps = sheaf.restriction_maps(1)
    maps = None if maps is None else at_least_single(maps)
    back = inverse(take(maps, arriving), sheaf.orthogonal)
    like = torch.zeros(0, dtype=sheaf.dtype, device=sheaf.device)
    product = multiply(back, take(maps, leaving))
    return to_matrices(product, leaving.numel(), sheaf.stalk_dim, like)


def _rounded(matrices: Tensor, sheaf: CellularSheaf) -> Tensor:
    return matrices if sheaf.dtype is None else matrices.to(sheaf.dtype)


def _entries(complex: CellComplex, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Incidences (source < e) and (target < e) of the edges e between sources and targets."""
    edges, n = complex.edge_index, complex.shape[0]
    wanted = torch.minimum(source, target) * n + torch.maximum(source, target)
    keys = edges[0] * n + edges[1]
    edge = torch.searchsorted(keys, wanted).clamp(max=max(keys.numel() - 1, 0))
    found = keys[edge] == wanted if keys.numel() else torch.zeros_like(wanted, dtype=torch.bool)
    if not bool(found.all()):
        k = int((~found).nonzero()[0])
        raise ValueError(
            f"vertices {int(source[k])} and {int(target[k])} are not joined by an edge"
        )
    down = (source > target).long()
    return 2 * edge + down, 2 * edge + 1 - down
