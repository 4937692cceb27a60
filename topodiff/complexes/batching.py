"""Disjoint unions: many complexes as one, and parts of a union.

A data set is a batched complex, and a training batch is a selection from it, so collating costs
one gather per array instead of one Python call per complex.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from topodiff.complexes.incidence import segment_positions
from topodiff.complexes.integers import whole_numbers

if TYPE_CHECKING:
    from topodiff.complexes.complex import CellComplex


def batch(complexes: Sequence[CellComplex]) -> CellComplex:
    """Disjoint union of complexes (themselves single or batched), in the given order.

    The rank of the union is the largest rank among them. Data must be present on all complexes
    that have cells of that rank, or on none.

    Raises:
        ValueError: for an empty list, or where data, widths or dtypes differ between complexes.
    """
    from topodiff.complexes.complex import CellComplex

    complexes = list(complexes)
    if not complexes:
        raise ValueError("batch() needs at least one complex, got an empty list")
    for k in complexes:
        if not isinstance(k, CellComplex):
            raise TypeError(f"batch() takes CellComplex objects, got {type(k).__name__}")
    top = max(k.rank for k in complexes)
    device = complexes[0].device
    counts = [[k.num_cells(r) for k in complexes] for r in range(top + 1)]
    starts = [_running(c) for c in counts]
    boundaries = []
    for r in range(1, top + 1):
        index, sign = [], []
        for k, face_start, cell_start in zip(complexes, starts[r - 1], starts[r], strict=False):
            if k.rank >= r:
                shift = torch.tensor([[face_start], [cell_start]], device=device)
                index.append(k.boundary_index(r) + shift)
                sign.append(k.boundary_sign(r))
        boundaries.append((torch.cat(index, 1), torch.cat(sign)))
    return CellComplex(
        [sum(c) for c in counts],
        boundaries,
        ptr=[_join_ptr(complexes, r, starts[r]) for r in range(top + 1)],
        ranks=torch.cat([k.ranks for k in complexes]),
        x=_join_data(complexes, "x", top),
        weights=_join_data(complexes, "weights", top),
        labels=_join_data(complexes, "labels", top),
        positions=_join_cells(complexes, 0, [k.positions for k in complexes], "positions"),
        y=_join([k.y for k in complexes], "y"),
    )


def _running(counts: list[int]) -> list[int]:
    total = [0]
    for n in counts:
        total.append(total[-1] + n)
    return total


def _join_ptr(complexes: Sequence[CellComplex], rank: int, starts: list[int]) -> Tensor:
    parts = [torch.zeros(1, dtype=torch.long, device=complexes[0].device)]
    for k, (start, end) in zip(complexes, pairwise(starts), strict=True):
        if k.rank >= rank:
            parts.append(k.ptr[rank][1:] + start)
        else:
            parts.append(parts[0].new_full((k.num_complexes,), end))
    return torch.cat(parts)


def _join_data(complexes: Sequence[CellComplex], field: str, top: int) -> dict[int, Tensor]:
    joined = {}
    for r in range(top + 1):
        column = [getattr(k, field).get(r) for k in complexes]
        if (tensor := _join_cells(complexes, r, column, f"{field}[{r}]")) is not None:
            joined[r] = tensor
    return joined


def _join_cells(
    complexes: Sequence[CellComplex], rank: int, column: Sequence[Tensor | None], name: str
) -> Tensor | None:
    filled = [t for k, t in zip(complexes, column, strict=True) if k.num_cells(rank)]
    if all(t is None for t in filled):
        # only complexes without such cells may carry it: keep the width and dtype they declare
        filled = [t for t in column if t is not None]
    return _join(filled, name)


def _join(column: Sequence[Tensor | None], name: str) -> Tensor | None:
    present = [t for t in column if t is not None]
    if not present:
        return None
    if len(present) < len(column):
        raise ValueError(
            f"{name} is given on {len(present)} of {len(column)} complexes: give it on all or none"
        )
    kinds = {(tuple(t.shape[1:]), t.dtype) for t in present}
    if len(kinds) > 1:
        raise ValueError(f"{name} differs in width or dtype between the complexes: {kinds}")
    return torch.cat(present)


def select(union: CellComplex, indices: Sequence[int] | Tensor) -> CellComplex:
    """Disjoint union of some complexes of ``union``, in the given order, repetition allowed.

    Linear in the cells selected; no loop over complexes.

    Raises:
        IndexError: for an index outside of -B..B-1.
        TypeError: for indices that are not integers (masks are not indices).
    """
    from topodiff.complexes.complex import CellComplex

    which = _check_indices(union, indices)
    ptr, ranks = union.ptr, union.ranks[which]
    first = [p[which] for p in ptr]
    count = [p[which + 1] - start for p, start in zip(ptr, first, strict=True)]
    new_ptr = [_to_ptr(c) for c in count]
    place = [segment_positions(s, c) for s, c in zip(first, count, strict=True)]
    boundaries = []
    for r in range(1, union.rank + 1):
        inc = union.incidence(r)
        entry = inc.cell_ptr[first[r]]
        length = inc.cell_ptr[ptr[r][which + 1]] - entry
        keep = segment_positions(entry, length)
        shift = torch.stack([new_ptr[r - 1][:-1] - first[r - 1], new_ptr[r][:-1] - first[r]])
        index = inc.index[:, keep] + shift.repeat_interleave(length, 1)
        boundaries.append((index, inc.sign[keep]))
    return CellComplex(
        [p.numel() for p in place],
        boundaries,
        ptr=new_ptr,
        ranks=ranks,
        x={r: t[place[r]] for r, t in union.x.items()},
        weights={r: t[place[r]] for r, t in union.weights.items()},
        labels={r: t[place[r]] for r, t in union.labels.items()},
        positions=None if union.positions is None else union.positions[place[0]],
        y=None if union.y is None else union.y[which],
    )


def _check_indices(union: CellComplex, indices: Sequence[int] | Tensor) -> Tensor:
    which = whole_numbers("indices of complexes (masks are none)", indices)
    which = which.to(union.ptr[0].device).reshape(-1)
    size = union.num_complexes
    if which.numel() and not bool(((which >= -size) & (which < size)).all()):
        bad = which[(which < -size) | (which >= size)][0].item()
        raise IndexError(f"complex {bad} asked for in a union of {size}")
    return torch.where(which < 0, which + size, which)


def _to_ptr(count: Tensor) -> Tensor:
    ptr = count.new_zeros(count.numel() + 1)
    torch.cumsum(count, 0, out=ptr[1:])
    return ptr


def single(union: CellComplex, index: int | slice | Sequence[int] | Tensor) -> CellComplex:
    """Complex number ``index`` of the union as a complex of its own, with its own rank; the union
    of several for a slice, a sequence or an array (see :func:`select`)."""
    if isinstance(index, slice):
        return select(union, range(*index.indices(union.num_complexes)))
    if not isinstance(index, Integral) and getattr(index, "ndim", None) != 0:
        return select(union, index)  # type: ignore[arg-type]
    plain = index.item() if hasattr(index, "item") else index
    number = int(_check_indices(union, [plain]))  # type: ignore[list-item]
    return next(parts(union, number, number + 1))


def parts(union: CellComplex, start: int, stop: int) -> Iterator[CellComplex]:
    """Complexes ``start`` to ``stop`` - 1, each as a complex of its own, with its own rank.

    A part is a copy of a run of rows, so that it neither keeps the union nor changes with it.
    """
    ptr = [p[start : stop + 1] for p in union.ptr]
    cell = [p.tolist() for p in ptr]
    above = range(1, union.rank + 1)
    entry = [[], *(union.incidence(r).cell_ptr[ptr[r]].tolist() for r in above)]
    for i, rank in enumerate(union.ranks[start:stop].tolist()):
        rows = [slice(c[i], c[i + 1]) for c in cell[: rank + 1]]
        boundaries = []
        for r in range(1, rank + 1):
            inc, own = union.incidence(r), slice(entry[r][i], entry[r][i + 1])
            shifted = (inc.face[own] - cell[r - 1][i], inc.cell[own] - cell[r][i])
            boundaries.append((torch.stack(shifted), inc.sign[own].clone()))
        yield _with_rows(union, rows, boundaries, None if union.y is None else union.y[start + i])


def _with_rows(
    union: CellComplex,
    rows: Sequence[slice],
    boundaries: Sequence[tuple[Tensor, Tensor]],
    y: Tensor | None,
) -> CellComplex:
    """One complex of the union: its cells, in ``rows`` of each rank, with their data."""
    from topodiff.complexes.complex import CellComplex

    def own(data: Mapping[int, Tensor]) -> dict[int, Tensor]:
        return {r: t[rows[r]].clone() for r, t in data.items() if r < len(rows)}

    return CellComplex(
        [r.stop - r.start for r in rows],
        boundaries,
        x=own(union.x),
        weights=own(union.weights),
        labels=own(union.labels),
        positions=None if union.positions is None else union.positions[rows[0]].clone(),
        y=None if y is None else y.unsqueeze(0).clone(),
    )


def restrict(complex: CellComplex, rank: int) -> CellComplex:
    """Ranks 0..``rank`` of a complex, single or batched, with their data."""
    from topodiff.complexes.complex import CellComplex

    batched = complex._ptr is not None
    return CellComplex(
        complex.shape[: rank + 1],
        [(complex.boundary_index(r), complex.boundary_sign(r)) for r in range(1, rank + 1)],
        ptr=complex.ptr[: rank + 1] if batched else None,
        ranks=complex.ranks.clamp(max=rank) if batched else None,
        x={r: t for r, t in complex.x.items() if r <= rank},
        weights={r: t for r, t in complex.weights.items() if r <= rank},
        labels={r: t for r, t in complex.labels.items() if r <= rank},
        positions=complex.positions,
        y=complex.y,
    )


def membership(union: CellComplex, rank: int) -> Tensor:
    """(n_rank,) the number of the complex to which each cell belongs."""
    if not 0 <= rank <= union.rank:
        raise ValueError(f"the complex has ranks 0 to {union.rank}, asked for {rank}")
    counts = union.ptr[rank].diff()
    return torch.arange(union.num_complexes, device=counts.device).repeat_interleave(counts)


def unbatch(union: CellComplex) -> list[CellComplex]:
    """The complexes of a union, one by one; undoes :func:`batch`."""
    from topodiff.complexes.complex import CellComplex

    if not isinstance(union, CellComplex):
        raise TypeError(f"unbatch() takes one CellComplex, got {type(union).__name__}")
    return list(parts(union, 0, union.num_complexes))
