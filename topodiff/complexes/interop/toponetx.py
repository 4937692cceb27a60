"""Simplicial and cell complexes of TopoNetX."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from topodiff.complexes.build import canonical_edges, edge_boundary, from_simplices, ring_boundary
from topodiff.complexes.canonical import canonical_form
from topodiff.complexes.cells import as_ragged
from topodiff.complexes.complex import CellComplex
from topodiff.complexes.homology import is_simplicial
from topodiff.complexes.interop.optional import optional_import

if TYPE_CHECKING:
    import toponetx as tnx


def from_toponetx(complex: tnx.SimplicialComplex | tnx.CellComplex) -> CellComplex:
    """A TopoNetX complex with the same shape. Vertex i is the i-th of the sorted node names.

    Vertices, edges and simplices stand in the order and orientation of TopoNetX's own matrices, so
    incidence and Hodge Laplacian matrices are equal. TopoNetX keeps the 2-cells of a CellComplex
    as inserted: here they are sorted and turned, which permutes the columns of ``B_2`` and may
    flip their signs; ``B_2 B_2^T`` and the Hodge Laplacian of rank 1 stay equal. Attributes are
    not carried over.

    Raises:
        ImportError: if TopoNetX is not installed.
        TypeError: for another kind of complex, or node names that cannot be sorted.
        ValueError: for a 2-cell that is not regular (visits an edge or a vertex twice).
    """
    tnx = optional_import("toponetx", "toponetx")
    if isinstance(complex, tnx.SimplicialComplex):
        named = [tuple(simplex.elements) for simplex in complex.simplices]
        number = _numbering(simplex[0] for simplex in named if len(simplex) == 1)
        simplices = [[number[v] for v in simplex] for simplex in named]
        return from_simplices(simplices, num_vertices=len(number))
    if not isinstance(complex, tnx.CellComplex):
        raise TypeError(
            "from_toponetx() takes a SimplicialComplex or a CellComplex of TopoNetX, got "
            f"{type(complex).__name__}"
        )
    number = _numbering(complex.nodes)
    edge_list = [[number[u] for u in edge[:2]] for edge in complex.edges]
    rings = [[number[v] for v in cell.elements] for cell in complex.cells]
    return _from_cycles(len(number), torch.tensor(edge_list, dtype=torch.long), rings)


def _numbering(names: Iterable[Any]) -> dict[Hashable, int]:
    try:
        return {name: i for i, name in enumerate(sorted(names))}
    except TypeError as error:
        raise TypeError(f"the node names of the complex cannot be sorted: {error}") from None


def _from_cycles(count: int, edge_list: Tensor, rings: Sequence[Sequence[int]]) -> CellComplex:
    # unlike CellComplex.from_rings, this keeps 2-cells that share their whole boundary
    edges, _ = canonical_edges(count, edge_list.reshape(-1, 2).T)
    boundaries = {1: edge_boundary(edges), 2: ring_boundary(count, edges, as_ragged(rings))}
    return canonical_form((count, edges.shape[1], len(rings)), boundaries).complex


def to_toponetx(
    complex: CellComplex, *, kind: str = "cell"
) -> tnx.CellComplex | tnx.SimplicialComplex:
    """A complex as ``toponetx.CellComplex`` or ``toponetx.SimplicialComplex``.

    Nodes are 0..n_0 - 1; cells are inserted in order, so TopoNetX's matrices equal ours, signs
    included. Data on the cells is not carried over.

    Args:
        complex: rank at most 2 for ``"cell"``; every r-cell with r + 1 vertices for
            ``"simplicial"``.
        kind: ``"cell"`` or ``"simplicial"``.

    Raises:
        ImportError: if TopoNetX is not installed.
        ValueError: where the complex is not of that kind.
    """
    tnx = optional_import("toponetx", "toponetx")
    if kind == "simplicial":
        if not is_simplicial(complex):
            raise ValueError('the complex has cells that are not simplices; use kind="cell"')
        simplices = [s for r in range(complex.rank + 1) for s in complex.cells(r)]
        return tnx.SimplicialComplex(simplices)
    if kind != "cell":
        raise ValueError(f'kind is "cell" or "simplicial", got {kind!r}')
    if complex.rank > 2:
        raise ValueError(
            f"toponetx.CellComplex ends at rank 2, this complex has rank {complex.rank}; use "
            'skeleton(2), or kind="simplicial"'
        )
    result = tnx.CellComplex()
    for vertex in range(complex.num_cells(0)):
        result.add_node(vertex)
    result.add_edges_from(complex.edge_index.T.tolist())
    if complex.rank == 2:
        result.add_cells_from(complex.cells(2), rank=2)
    return result
