"""The same complex with its vertices in another order."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from topodiff.complexes.canonical import CanonicalForm, canonical_form, inverse_permutation
from topodiff.complexes.complex import CellComplex
from topodiff.complexes.integers import whole_numbers


def permute_vertices(
    complex: CellComplex, order: Tensor, *, oriented: bool = False
) -> CanonicalForm:
    """Number the vertices of one complex anew; all other cells follow, and all data with them.

    Args:
        complex: a single one, not a union.
        order: (n_0,) a permutation: vertex k is ``order[k]`` of before.
        oriented: data ``x`` on cells of rank 1 and above changes sign with the orientation of its
            cell, as a flow does.

    Raises:
        ValueError: for a union of several, or an ``order`` that is no permutation.
        TypeError: for an ``order`` that does not hold whole numbers, or ``oriented`` data that has
            no signs.
    """
    order = _check_order(complex, order)
    boundaries = {
        r: (complex.boundary_index(r), complex.boundary_sign(r)) for r in range(1, complex.rank + 1)
    }
    if complex.rank:
        (tail_and_head, edge), sign = boundaries[1]
        boundaries[1] = (torch.stack([inverse_permutation(order)[tail_and_head], edge]), sign)
    form = canonical_form(complex.shape, boundaries)
    orders = [order, *form.order[1:]]

    def move(data: Mapping[int, Tensor]) -> dict[int, Tensor]:
        return {r: t[orders[r]] for r, t in data.items()}

    x = move(complex.x)
    if oriented:
        x = {r: _turned(f"x[{r}]", t, form.flip[r]) if r else t for r, t in x.items()}
    moved = form.complex.replace(
        x=x,
        weights=move(complex.weights),
        labels=move(complex.labels),
        positions=None if complex.positions is None else complex.positions[order],
        y=complex.y,
    )
    return CanonicalForm(moved, orders, form.flip)


def _check_order(complex: CellComplex, order: Tensor) -> Tensor:
    if complex.num_complexes != 1:
        raise ValueError(
            f"permute_vertices() takes one complex, got a union of {complex.num_complexes}"
        )
    order, count = whole_numbers("order", order), complex.num_cells(0)
    if order.shape != (count,) or not torch.equal(order.sort().values, torch.arange(count)):
        raise ValueError(
            f"order must hold each of the vertices 0 to {count - 1} once, got "
            f"{tuple(order.shape)} {order.tolist()[:10]}"
        )
    return order


def _turned(name: str, values: Tensor, sign: Tensor) -> Tensor:
    if not values.dtype.is_signed:
        raise TypeError(f"{name} is {values.dtype}, which has no signs to turn with its cells")
    return values * sign.to(values.dtype).reshape(-1, *[1] * (values.dim() - 1))
