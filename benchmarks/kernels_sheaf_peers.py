"""Graphs with a stalk at each vertex, and the ways to apply their Laplacian that are timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.liftings import ReorderLifting

try:
    import torch_scatter
except (ImportError, OSError):
    torch_scatter = None

Function = Callable[..., Tensor]
GRAPHS = ("random", "mesh")
# What a peer keeps per message beyond this is not timed at full size: it would not fit beside the
# gradients of the same size.
PEER_BYTES = 1.1e9


def _canonical(n: int, ends: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """At most m edges (2, m), tail < head, each once, in lexicographic order."""
    low, high = ends.min(0), ends.max(0)
    key = np.unique((low * n + high)[low != high])
    if key.size > m:
        key = np.sort(rng.choice(key, m, replace=False))
    return np.stack([key // n, key % n])


def random_edges(n: int, m: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return _canonical(n, rng.integers(0, n, (2, int(1.05 * m) + 8)), m, rng)


def mesh_edges(n: int, m: int) -> np.ndarray:
    """Near neighbours among random points of a square, numbered at random."""
    rng = np.random.default_rng(0)
    points = rng.random((n, 2))
    count = int(np.ceil(1.75 * m / n)) + 1
    near = cKDTree(points).query(points, count)[1]
    ends = np.stack([np.repeat(np.arange(n), count), near.ravel()])
    return _canonical(n, ends, m, rng)


def reorder(n: int, edges: np.ndarray) -> np.ndarray:
    """The same graph with its vertices in reverse Cuthill-McKee order."""
    K = CellComplex.from_edges(n, torch.from_numpy(edges))
    return ReorderLifting()(K).edge_index.numpy()


@dataclass
class Laplacian:
    """``(L x)_v = deg(v) x_v + sum over edges at v of B x_u`` with full maps B."""

    n: int
    graph: tuple[Tensor, ...]  # face, face_ptr, by_face
    x: Tensor
    degree: Tensor
    blocks: Tensor

    @property
    def num_edges(self) -> int:
        return self.blocks.shape[0]

    @property
    def source(self) -> Tensor:
        """The vertex that each entry reads, in the order in which they are summed."""
        face, _, by_face = self.graph
        return face[by_face ^ 1]

    def bytes_moved(self) -> int:
        """Rows read and written, both blocks of each edge, 8 bytes per entry."""
        _, d, channels = self.x.shape
        entries = 2 * self.num_edges
        return 4 * (d * channels * (entries + 2 * self.n) + d * d * entries) + 8 * entries


def make_laplacian(n: int, edges: np.ndarray, d: int, channels: int) -> Laplacian:
    g = torch.Generator().manual_seed(0)
    face = torch.from_numpy(np.ascontiguousarray(edges.T).ravel())
    face_ptr, by_face = kernels.sort_by_key(face, n)
    return Laplacian(
        n,
        (face, face_ptr, by_face),
        torch.randn(n, d, channels, generator=g),
        face_ptr.diff().float(),
        torch.randn(edges.shape[1], d, d, generator=g),
    )


def peer_sized(n: int, m: int, d: int, channels: int) -> tuple[int, int]:
    """Vertices and edges of the graph on which peers fit: the same degrees, fewer of all."""
    part = min(1.0, PEER_BYTES / (8.0 * m * d * channels))
    return int(n * part), int(m * part)


def ours(p: Laplacian) -> Function:
    return lambda x, blocks: kernels.block_matmul(x, p.degree, blocks, *p.graph)


def peers(p: Laplacian) -> dict[str, Function]:
    """One message per edge and direction, then a sum by target."""
    tail, head = p.graph[0].view(-1, 2).T.contiguous()
    source, target = torch.cat([tail, head]), torch.cat([head, tail])
    degree = p.degree[:, None, None]

    def index_add(x: Tensor, blocks: Tensor) -> Tensor:
        messages = torch.bmm(torch.cat([blocks, blocks.mT]), x[source])
        return (degree * x).index_add(0, target, messages)

    def scatter(x: Tensor, blocks: Tensor) -> Tensor:
        messages = torch.bmm(torch.cat([blocks, blocks.mT]), x[source])
        return degree * x + torch_scatter.scatter(messages, target, 0, dim_size=p.n)

    found: dict[str, Function] = {"index_add": index_add}
    return found if torch_scatter is None else {**found, "torch_scatter": scatter}


def assemble(p: Laplacian) -> Tensor:
    """The Laplacian as a sparse matrix with n d rows (CSR)."""
    n, d = p.n, p.x.shape[1]
    face, face_ptr, by_face = p.graph
    at_head = (by_face % 2 == 1)[:, None, None]
    blocks = p.blocks[by_face // 2]
    own = torch.arange(n)
    row = torch.cat([own.repeat_interleave(face_ptr.diff()), own])
    column = torch.cat([face[by_face ^ 1], own])
    values = torch.cat(
        [torch.where(at_head, blocks, blocks.mT), p.degree[:, None, None] * torch.eye(d)]
    )
    order = (row * n + column).argsort()
    row, column, values = row[order], column[order], values[order]
    count = torch.bincount(row, minlength=n)
    first = count.cumsum(0) - count
    # line i of the k-th block of a row of blocks: after i lines of the whole row and k of blocks
    inside = torch.arange(row.shape[0]) - first[row]
    line = torch.arange(d)
    start = d * (d * first[row] + inside)[:, None] + d * line * count[row][:, None]
    place = (start[:, :, None] + line).view(-1)
    columns = torch.empty_like(place)
    columns[place] = (d * column[:, None, None] + line).expand(-1, d, d).reshape(-1)
    entries = values.new_empty(place.shape[0])
    entries[place] = values.view(-1)
    ptr = torch.zeros(n * d + 1, dtype=torch.int64)
    ptr[1:] = (d * count).repeat_interleave(d).cumsum(0)
    return torch.sparse_csr_tensor(ptr, columns, entries, (n * d, n * d), check_invariants=False)
