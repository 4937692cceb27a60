"""The contracts of a cell complex, checked; every message names rank and entry."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from topodiff.complexes import cells
from topodiff.complexes.incidence import Incidence

if TYPE_CHECKING:
    from topodiff.complexes.complex import CellComplex


def check_shape(
    shape: Sequence[int],
    boundaries: Sequence[tuple[Tensor, Tensor]],
    ptr: Sequence[Tensor] | None,
) -> tuple[int, ...]:
    """One number of cells and one ptr per rank, one boundary per rank above 0."""
    shape = check_counts(shape)
    if len(boundaries) != len(shape) - 1:
        raise ValueError(
            f"a complex of shape {shape} needs {len(shape) - 1} boundaries, one for each rank "
            f"from 1, got {len(boundaries)}"
        )
    if ptr is not None and len(ptr) != len(shape):
        raise ValueError(f"a complex of shape {shape} needs {len(shape)} ptr, got {len(ptr)}")
    return shape


def check_counts(shape: Sequence[int]) -> tuple[int, ...]:
    """One whole number of cells per rank."""
    try:
        counts = tuple(map(operator.index, shape))
    except TypeError:
        counts = ()
    if not counts or min(counts) < 0:
        raise ValueError(
            f"shape must be (n_0, ..., n_R) with whole counts of at least 0, got {shape!r}"
        )
    return counts


def check_ranks(field: str, data: Mapping[int, Tensor] | None) -> dict[int, Tensor]:
    """Data by rank."""
    if data is None:
        return {}
    if not isinstance(data, Mapping) or not all(isinstance(r, Integral) for r in data):
        raise TypeError(f"{field} must be a dict from rank to tensor, got {type(data).__name__}")
    return {int(r): t for r, t in data.items()}


def check_move(device: object, dtype: object) -> None:
    """The arguments of ``to()``; unlike those of a tensor's they are no dtype alone."""
    if not isinstance(device, torch.device | str | int | None):
        raise TypeError(f"to() takes a device, and dtype=... by name, got {device!r}")
    if not isinstance(dtype, torch.dtype | None):
        raise TypeError(f"dtype must be a torch.dtype, got {dtype!r}")


def check_data(complex: CellComplex) -> None:
    """Cochains, weights, labels, positions and y have one row per cell, vertex or complex."""
    for field in ("x", "weights", "labels"):
        for rank, tensor in getattr(complex, field).items():
            if not 0 <= rank <= complex.rank:
                raise ValueError(f"{field}[{rank}] given, but ranks go from 0 to {complex.rank}")
            _check_rows(f"{field}[{rank}]", tensor, complex.shape[rank], f"{rank}-cells")
    if complex.positions is not None:
        _check_rows("positions", complex.positions, complex.shape[0], "vertices")
    if complex.y is not None:
        _check_rows("y", complex.y, complex.num_complexes, "complexes")


def _check_rows(name: str, tensor: Tensor, rows: int, what: str) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(tensor).__name__}")
    if tensor.dim() == 0 or tensor.shape[0] != rows:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}; its first dimension must be {rows}, "
            f"the number of {what}"
        )


def check_incidence(index: Tensor, sign: Tensor, rank: int, num_faces: int, num_cells: int) -> None:
    """Shapes, ranges, signs, no entry twice, two ends of opposite sign for an edge."""
    name = f"boundary of rank {rank}"
    if index.dim() != 2 or index.shape[0] != 2 or sign.shape != index.shape[1:]:
        raise ValueError(
            f"{name}: index must be (2, nnz) and sign (nnz,), "
            f"got {tuple(index.shape)} and {tuple(sign.shape)}"
        )
    if index.dtype != torch.long or sign.dtype != torch.long:
        raise ValueError(f"{name}: index and sign must be long, got {index.dtype}, {sign.dtype}")
    for row, (what, size) in enumerate((("face", num_faces), ("cell", num_cells))):
        bad = ((index[row] < 0) | (index[row] >= size)).nonzero()
        if bad.numel():
            k = int(bad[0])
            raise ValueError(
                f"{name}: entry {k} refers to {what} {int(index[row, k])}, "
                f"but there are {size} (0 to {size - 1})"
            )
    bad = (sign.abs() != 1).nonzero()
    if bad.numel():
        raise ValueError(f"{name}: sign {int(sign[bad[0]])} of entry {int(bad[0])} is not +1 or -1")
    key, order = torch.sort(index[1] * max(num_faces, 1) + index[0], stable=True)
    bad = (key.diff() == 0).nonzero()
    if bad.numel():
        k = int(order[bad[0] + 1])
        raise ValueError(
            f"{name}: face {int(index[0, k])} occurs twice in cell {int(index[1, k])} (entry {k})"
        )
    _check_faces_of_cells(index, sign, rank, num_cells, name)


def _check_faces_of_cells(index: Tensor, sign: Tensor, rank: int, cells: int, name: str) -> None:
    degree = torch.bincount(index[1], minlength=cells)
    if rank == 1:
        total = torch.zeros(cells, dtype=torch.long).index_add_(0, index[1].cpu(), sign.cpu())
        bad = ((degree.cpu() != 2) | (total != 0)).nonzero()
        if bad.numel():
            raise ValueError(
                f"{name}: edge {int(bad[0])} has {int(degree[bad[0]])} ends with signs summing to "
                f"{int(total[bad[0]])}; an edge has two different vertices, -1 and +1"
            )
    elif cells and int(degree.min()) < 2:
        raise ValueError(f"{name}: cell {int(degree.argmin())} has fewer than two faces")


def check_boundary_of_boundary(lower: Incidence, upper: Incidence, rank: int) -> None:
    """``B_{rank-1} B_rank = 0``, exactly, in integers."""
    product = _as_matrix(lower) @ _as_matrix(upper)
    product.eliminate_zeros()
    if product.nnz:
        cell = int(product.nonzero()[1].min())
        raise ValueError(
            f"boundary of rank {rank}: cell {cell} is not closed, the boundary of its boundary "
            f"is not zero; check its faces and their signs"
        )


def _as_matrix(incidence: Incidence):  # type: ignore[no-untyped-def]
    import scipy.sparse as sp

    face, cell = incidence.index.cpu().numpy()
    shape = (incidence.num_faces, incidence.num_cells)
    return sp.csr_matrix((incidence.sign.cpu().numpy(), (face, cell)), shape=shape)


def validate(complex: CellComplex) -> None:
    """Every contract of :class:`CellComplex`; ValueError names the first violation."""
    for r in range(1, complex.rank + 1):
        incidence = complex.incidence(r)
        index, sign = incidence.index, incidence.sign
        check_incidence(index, sign, r, incidence.num_faces, incidence.num_cells)
        key = index[1] * max(incidence.num_faces, 1) + index[0]
        bad = (key.diff() < 0).nonzero()
        if bad.numel():
            raise ValueError(
                f"boundary of rank {r}: entries {int(bad[0])} and {int(bad[0]) + 1} are not sorted "
                "by cell and then face; build with CellComplex.from_boundaries"
            )
        first = sign[incidence.cell_ptr[:-1]]
        bad = (first != (-1) ** r).nonzero()
        if bad.numel():
            raise ValueError(
                f"boundary of rank {r}: the first face of cell {int(bad[0])} must carry the sign "
                f"{(-1) ** r}"
            )
        if r > 1:
            check_boundary_of_boundary(complex.incidence(r - 1), incidence, r)
    _check_union(complex)
    for r in range(1, complex.rank + 1):
        _check_order(complex, r)
    check_data(complex)


def _check_union(complex: CellComplex) -> None:
    size, ranks = complex.num_complexes, complex.ranks
    if ranks.shape != (size,) or ranks.dtype != torch.long:
        raise ValueError(f"ranks must be long ({size},), got {ranks.dtype} {tuple(ranks.shape)}")
    for r, ptr in enumerate(complex.ptr):
        if ptr.shape != (size + 1,) or ptr.dtype != torch.long:
            raise ValueError(
                f"ptr of rank {r} must be long ({size + 1},), got {ptr.dtype} {tuple(ptr.shape)}"
            )
        count = ptr.diff()
        if int(ptr[0]) or int(ptr[-1]) != complex.shape[r] or bool((count < 0).any()):
            raise ValueError(f"ptr of rank {r} must rise from 0 to {complex.shape[r]}")
        bad = ((count > 0) & (ranks < r)).nonzero()
        if bad.numel():
            b = int(bad[0])
            raise ValueError(f"complex {b} of the union has {r}-cells, but rank {int(ranks[b])}")
    for r in range(1, complex.rank + 1):
        face, cell = complex.boundary_index(r)
        bad = (complex.membership(r - 1)[face] != complex.membership(r)[cell]).nonzero()
        if bad.numel():
            raise ValueError(
                f"boundary of rank {r}: entry {int(bad[0])} joins cells of different complexes"
            )


def _check_order(complex: CellComplex, rank: int) -> None:
    # complexes of a union stand one after another, so their order is the leading key
    member = complex.membership(rank)
    order = cells.canonical_order(complex, rank)
    order = order[torch.argsort(member[order], stable=True)]
    bad = (order.diff() < 0).nonzero()
    if bad.numel():
        raise ValueError(
            f"{rank}-cell {int(order[bad[0] + 1])} is out of canonical order (by number of "
            "vertices, then vertex tuple); build with CellComplex.from_boundaries"
        )
    if rank == 1:
        check_no_parallel_edges(complex.edge_index)


def check_no_parallel_edges(edges: Tensor) -> None:
    """Sorted edges (2, m): at most one joins a pair of vertices."""
    bad = (edges.diff(dim=1) == 0).all(0).nonzero()
    if bad.numel():
        u, v = edges[:, int(bad[0])].tolist()
        raise ValueError(f"two edges join the vertices {u} and {v}; at most one may")
