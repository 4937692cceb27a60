"""Graphs of networkx."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from topodiff.complexes.build import canonical_edges, edge_boundary
from topodiff.complexes.complex import CellComplex
from topodiff.complexes.integers import LARGEST

if TYPE_CHECKING:
    import networkx as nx

# names, for errors, and attributes
_Rows = Sequence[tuple[str, Mapping[str, Any]]]


def from_networkx(
    graph: nx.Graph,
    *,
    node_keys: Sequence[str] = (),
    edge_keys: Sequence[str] = (),
    position_key: str | None = None,
    weight_key: str | None = None,
    self_loops: str = "error",
) -> CellComplex:
    """A graph as a complex of rank 1. Vertex i is the i-th node of ``list(graph)``.

    Args:
        graph: an undirected simple graph; nodes may be any objects.
        node_keys: node attributes (numbers or arrays of numbers) that become the columns of
            ``x[0]``, in this order. Floats get torch's default dtype.
        edge_keys: likewise edge attributes for ``x[1]``.
        position_key: node attribute with the coordinates, for ``positions``.
        weight_key: edge attribute for ``weights[1]`` (n_1,), which operators and models use only
            where they are given it: ``GraphLaplacian(K, weights=K.weights[1])``.
        self_loops: ``"error"`` or ``"drop"``.

    Raises:
        TypeError: for anything but a networkx graph.
        ValueError: for a directed graph or a multigraph, a self-loop (unless dropped), or an
            attribute that is missing or of different length on some node or edge.
    """
    _check_graph(graph)
    number = {node: i for i, node in enumerate(graph)}
    ends = list(graph.edges(data=True))
    index = torch.tensor([[number[u], number[v]] for u, v, _ in ends], dtype=torch.long)
    edges, place = canonical_edges(len(number), index.reshape(-1, 2).T, self_loops)
    order = torch.argsort(place)[place.numel() - edges.shape[1] :].tolist()
    nodes = [(f"node {node!r}", data) for node, data in graph.nodes(data=True)]
    links = [(f"edge ({ends[k][0]!r}, {ends[k][1]!r})", ends[k][2]) for k in order]
    return CellComplex(
        (len(number), edges.shape[1]),
        [edge_boundary(edges)],
        x=_if_any({0: _columns(nodes, node_keys), 1: _columns(links, edge_keys)}),
        weights=None if weight_key is None else {1: _column(links, weight_key).squeeze(1)},
        positions=None if position_key is None else _column(nodes, position_key),
    )


def _check_graph(graph: Any) -> None:
    import networkx as nx

    if not isinstance(graph, nx.Graph):
        raise TypeError(f"from_networkx() takes a networkx.Graph, got {type(graph).__name__}")
    if graph.is_directed():
        raise ValueError("the graph is directed; forget directions with graph.to_undirected()")
    if graph.is_multigraph():
        raise ValueError(
            "the graph is a multigraph, but a complex has at most one edge between two vertices; "
            "networkx.Graph(graph) keeps one of each"
        )


def _columns(rows: _Rows, keys: Sequence[str]) -> Tensor | None:
    if isinstance(keys, str):
        raise TypeError(f"keys must be a list of attribute names, got the string {keys!r}")
    return torch.cat([_column(rows, key) for key in keys], 1) if keys else None


def _column(rows: _Rows, key: str) -> Tensor:
    """(n, width) the values of one attribute."""
    values, width = [], None
    for name, data in rows:
        if key not in data:
            raise ValueError(f"{name} has no attribute {key!r}; it has {sorted(map(str, data))}")
        value = _numbers(f"{name} has {key} = {data[key]!r}", data[key])
        if width not in (None, value.size):
            raise ValueError(f"{name} has {value.size} values for {key!r}, the others {width}")
        values.append(value)
        width = value.size
    column = torch.as_tensor(np.stack(values)) if values else torch.zeros(0, 1)
    return column.to(torch.get_default_dtype()) if column.is_floating_point() else column


def _numbers(name: str, given: Any) -> np.ndarray:
    """A number or an array of numbers, flat."""
    if isinstance(given, Tensor) and given.requires_grad:
        raise ValueError(f"{name}, but gradients do not pass through a graph: give it detached")
    if isinstance(given, Tensor):
        given = (given.double() if given.is_floating_point() else given).cpu()  # numpy has fewer
    try:
        value = np.asarray(given).reshape(-1)
    except (TypeError, ValueError):  # lists of different length, types that numpy does not know
        value = np.asarray([None])
    if value.dtype.kind not in "biuf":
        raise ValueError(f"{name}, which is not numeric, or not in 64 bits")
    if value.dtype == np.uint64 and (value > LARGEST).any():
        raise ValueError(f"{name}, which is more than {LARGEST}")
    return value.astype(np.int64) if value.dtype == np.uint64 else value


def _if_any(data: Mapping[int, Tensor | None]) -> dict[int, Tensor]:
    return {r: t for r, t in data.items() if t is not None}


def to_networkx(complex: CellComplex) -> nx.Graph:
    """The vertices and edges of a complex (of all complexes of a union) as a graph.

    Nodes are 0..n_0 - 1. Rows of ``x``, ``weights`` and ``labels`` of ranks 0 and 1 and
    ``positions`` become the attributes ``x``, ``weight``, ``label`` and ``pos``: numbers, or lists
    of numbers. Cells of rank 2 and above have no place in a graph.
    """
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(complex.num_cells(0)))
    graph.add_edges_from(complex.edge_index.T.tolist())
    fields = {"x": complex.x, "weight": complex.weights, "label": complex.labels}
    for key, field in fields.items():
        if 0 in field:
            nx.set_node_attributes(graph, dict(enumerate(field[0].tolist())), key)
        if 1 in field:
            values = zip(complex.cells(1), field[1].tolist(), strict=True)
            nx.set_edge_attributes(graph, dict(values), key)
    if complex.positions is not None:
        nx.set_node_attributes(graph, dict(enumerate(complex.positions.tolist())), "pos")
    return graph
