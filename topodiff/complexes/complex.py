"""The cell complex: numbers of cells, signed boundaries and data on the cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from topodiff.complexes import batching, cells, describe, homology, relations, storage, validation
from topodiff.complexes.incidence import Incidence
from topodiff.complexes.integers import whole_number
from topodiff.complexes.relations import Adjacency

if TYPE_CHECKING:
    import scipy.sparse as sp

Data = Mapping[int, Tensor]


class CellComplex:
    """A regular cell complex of any rank, or the disjoint union of several (a batch, a data set).

    Rank r >= 1 has the boundary matrix ``B_r`` (n_{r-1} x n_r, entries 0, +1, -1) as sorted index
    pairs and signs, with ``B_r B_{r+1} = 0``. The order and orientation of cells is canonical: it
    does not depend on how the input was iterated. Vertices stand as given; edges (u, v), u < v, in
    lexicographic order, -1 at the tail u and +1 at the head v; higher cells by number of vertices
    and then vertex tuple. The first face of every r-cell carries the sign (-1)^r.

    The constructor trusts its input; ``validate()`` checks it. To build from other material use
    ``from_edges``, ``from_rings``, ``from_simplices``, ``from_boundaries``, or a lifting.

    Args:
        shape: (n_0, ..., n_R), the number of cells of each rank.
        boundaries: for r = 1..R the pair (index (2, nnz) long [face, cell] sorted by cell and then
            face, sign (nnz,) long).
        ptr: for a disjoint union of B complexes, per rank the (B + 1,) first cell of each.
        ranks: (B,) the rank of each complex in the union; the largest rank for all if omitted.
        x: cochains, rank -> tensor (n_r, ...).
        weights: rank -> tensor (n_r, ...). Operators and models use none of them unless they are
            handed on, as in ``HodgeLaplacian(K, 0, weights={1: K.weights[1]})``.
        labels: rank -> tensor (n_r, ...).
        positions: (n_0, dim) coordinates of the vertices.
        y: (B, ...) one row per complex.
    """

    def __init__(
        self,
        shape: Sequence[int],
        boundaries: Sequence[tuple[Tensor, Tensor]],
        *,
        ptr: Sequence[Tensor] | None = None,
        ranks: Tensor | None = None,
        x: Data | None = None,
        weights: Data | None = None,
        labels: Data | None = None,
        positions: Tensor | None = None,
        y: Tensor | None = None,
    ) -> None:
        self.shape = validation.check_shape(shape, boundaries, ptr)
        self._incidences = tuple(
            Incidence(index, sign, self.shape[r], self.shape[r + 1])
            for r, (index, sign) in enumerate(boundaries)
        )
        self._adjacencies: dict[tuple[str, int], Adjacency] = {}
        self._ptr = None if ptr is None else tuple(ptr)
        self._ranks = ranks
        self._set_data(x, weights, labels, positions, y)

    def _set_data(
        self,
        x: Data | None,
        weights: Data | None,
        labels: Data | None,
        positions: Tensor | None,
        y: Tensor | None,
    ) -> None:
        self.x = validation.check_ranks("x", x)
        self.weights = validation.check_ranks("weights", weights)
        self.labels = validation.check_ranks("labels", labels)
        self.positions = positions
        self.y = y
        validation.check_data(self)

    # -- construction from other material --------------------------------------------------------

    @classmethod
    def from_edges(cls, num_vertices: int, edge_index: Tensor, **kwargs: Any) -> CellComplex:
        """Graph as a complex of rank 1; see :func:`topodiff.complexes.build.from_edges`."""
        from topodiff.complexes import build

        return build.from_edges(num_vertices, edge_index, **kwargs)

    @classmethod
    def from_rings(
        cls, num_vertices: int, edge_index: Tensor, rings: Any, **kwargs: Any
    ) -> CellComplex:
        """Graph with cycles as 2-cells; see :func:`topodiff.complexes.build.from_rings`."""
        from topodiff.complexes import build

        return build.from_rings(num_vertices, edge_index, rings, **kwargs)

    @classmethod
    def from_simplices(cls, simplices: Any, **kwargs: Any) -> CellComplex:
        """Simplicial complex; see :func:`topodiff.complexes.build.from_simplices`."""
        from topodiff.complexes import build

        return build.from_simplices(simplices, **kwargs)

    @classmethod
    def from_boundaries(
        cls, shape: Sequence[int], boundaries: Mapping[int, tuple[Tensor, Tensor]]
    ) -> CellComplex:
        """Any boundaries, checked and made canonical; see :mod:`topodiff.complexes.canonical`."""
        from topodiff.complexes import canonical

        return canonical.canonical_form(shape, boundaries).complex

    # -- topology --------------------------------------------------------------------------------

    @property
    def rank(self) -> int:
        """Largest rank for which the complex has a place (there may be no cells in it)."""
        return len(self.shape) - 1

    def num_cells(self, rank: int) -> int:
        """Number of cells of ``rank``; 0 beyond the rank of the complex."""
        return self.shape[rank] if 0 <= rank <= self.rank else 0

    def incidence(self, rank: int) -> Incidence:
        """Incidences between ranks ``rank`` - 1 and ``rank`` (1 <= rank <= self.rank)."""
        if not 1 <= rank <= self.rank:
            raise ValueError(f"boundaries exist for ranks 1 to {self.rank}, asked for {rank}")
        return self._incidences[rank - 1]

    def boundary_index(self, rank: int) -> Tensor:
        """(2, nnz) long [face, cell], sorted by cell, then face."""
        return self.incidence(rank).index

    def boundary_sign(self, rank: int) -> Tensor:
        """(nnz,) long, +1 or -1, in the order of ``boundary_index``."""
        return self.incidence(rank).sign

    @property
    def edge_index(self) -> Tensor:
        """(2, n_1) tail and head of every edge, tail < head."""
        if self.rank == 0:
            return torch.zeros(2, 0, dtype=torch.long, device=self.device)
        return self.boundary_index(1)[0].reshape(-1, 2).T

    def cells(self, rank: int) -> list[tuple[int, ...]]:
        """Vertex tuples of the cells of ``rank``, in order. 2-cells go around their boundary from
        the smallest vertex towards its smaller neighbour; all others are sorted."""
        return cells.as_tuples(cells.cell_vertices(self, rank))

    def upper_adjacency(self, rank: int) -> Adjacency:
        """Pairs of r-cells with a common coface, once per coface; computed once."""
        if rank >= self.rank:
            return relations.Adjacency(*torch.zeros(3, 0, dtype=torch.long, device=self.device))
        return self._adjacency("upper", rank)

    def lower_adjacency(self, rank: int) -> Adjacency:
        """Pairs of r-cells (r >= 1) with a common face, once per face; computed once."""
        return self._adjacency("lower", rank)

    def _adjacency(self, side: str, rank: int) -> Adjacency:
        if (side, rank) not in self._adjacencies:
            if side == "upper":
                found = relations.upper_adjacency(self.incidence(rank + 1))
            else:
                found = relations.lower_adjacency(self.incidence(rank))
            self._adjacencies[side, rank] = found
        return self._adjacencies[side, rank]

    @property
    def euler_characteristic(self) -> int:
        """Alternating sum of the numbers of cells."""
        return sum((-1) ** r * n for r, n in enumerate(self.shape))

    def betti_numbers(self, field: int | str = "rationals") -> list[int]:
        """Dimensions of the homology groups; see :mod:`topodiff.complexes.homology`."""
        return homology.betti_numbers(self, field)

    def incidence_matrix(self, rank: int) -> sp.csr_matrix:
        """Signed ``B_rank`` (n_{rank-1} x n_rank) as scipy CSR, with TopoNetX's signs."""
        return homology.incidence_matrix(self, rank)

    def hodge_laplacian_matrix(self, rank: int) -> sp.csr_matrix:
        """``B_r^T B_r + B_{r+1} B_{r+1}^T`` as scipy CSR."""
        return homology.hodge_laplacian_matrix(self, rank)

    def skeleton(self, rank: int) -> CellComplex:
        """The subcomplex of all cells of at most ``rank``, with their data."""
        return batching.restrict(self, min(whole_number("rank", rank, 0), self.rank))

    def validate(self) -> CellComplex:
        """Check every contract of the class; ValueError names the first violation. Returns self."""
        validation.validate(self)
        return self

    # -- several complexes in one ----------------------------------------------------------------

    @property
    def num_complexes(self) -> int:
        """Number of complexes in the disjoint union (1 unless batched)."""
        return 1 if self._ptr is None else self._ptr[0].numel() - 1

    @property
    def ptr(self) -> tuple[Tensor, ...]:
        """Per rank the (B + 1,) first cell of every complex of the union."""
        if self._ptr is None:
            return tuple(torch.tensor([0, n], device=self.device) for n in self.shape)
        return self._ptr

    @property
    def ranks(self) -> Tensor:
        """(B,) the rank of every complex of the union."""
        if self._ranks is None:
            return torch.full((self.num_complexes,), self.rank, device=self.ptr[0].device)
        return self._ranks

    def membership(self, rank: int) -> Tensor:
        """(n_rank,) the number of the complex to which each cell belongs."""
        return batching.membership(self, rank)

    def select(self, indices: Sequence[int] | Tensor) -> CellComplex:
        """The disjoint union of the given complexes of this union, in the given order."""
        return batching.select(self, indices)

    def __len__(self) -> int:
        return self.num_complexes

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> CellComplex:
        """One complex of the union by its number; the union of several by a slice or numbers."""
        return batching.single(self, index)

    def __iter__(self) -> Iterator[CellComplex]:
        return batching.parts(self, 0, len(self))

    # -- moving, saving, showing -----------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where the complex lives."""
        return next((t.device for t in storage.to_tensors(self).values()), torch.device("cpu"))

    def replace(self, **data: Any) -> CellComplex:
        """The same complex with other data (x, weights, labels, positions, y).

        Topology and cached relations are shared, not copied.
        """
        unknown = set(data) - {"x", "weights", "labels", "positions", "y"}
        if unknown:
            raise TypeError(f"replace() takes x, weights, labels, positions, y; got {unknown}")
        other = object.__new__(CellComplex)
        other.__dict__.update(self.__dict__)
        keep = {k: getattr(self, k) for k in ("x", "weights", "labels", "positions", "y")}
        other._set_data(**{**keep, **data})
        return other

    def _map(self, function: Any) -> CellComplex:
        tensors = storage.to_tensors(self)
        return storage.from_tensors(self.shape, {k: function(t) for k, t in tensors.items()})

    def to(
        self,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        non_blocking: bool = False,
    ) -> CellComplex:
        """Move to a device and/or change the dtype of all floating-point data."""
        validation.check_move(device, dtype)

        def move(t: Tensor) -> Tensor:
            own = dtype if t.is_floating_point() else None
            return t.to(device=device, dtype=own, non_blocking=non_blocking)

        return self._map(move)

    def pin_memory(self) -> CellComplex:
        """Copy into page-locked memory (called by ``DataLoader(pin_memory=True)``)."""
        return self._map(Tensor.pin_memory)

    def save(self, path: str | Path) -> None:
        """Write to a safetensors file, atomically."""
        storage.save(self, path)

    @staticmethod
    def load(path: str | Path) -> CellComplex:
        """Read a file written by :meth:`save`; ValueError if it is damaged."""
        return storage.load(path)

    def equals(self, other: object) -> bool:
        """Same cells, same order and signs, same data, bit for bit."""
        return isinstance(other, CellComplex) and describe.same(self, other)

    def __repr__(self) -> str:
        return describe.describe(self)
