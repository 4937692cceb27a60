"""Whatever a user may hold a graph in, as a complex."""

from __future__ import annotations

from typing import TypeAlias

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from topodiff.complexes.complex import CellComplex
from topodiff.complexes.interop.networkx import from_networkx

Graph: TypeAlias = CellComplex | nx.Graph | Tensor


def from_graph(graph: Graph, taker: str) -> CellComplex:
    """A complex as it is, a networkx graph, or a (2, m) integer ``edge_index`` on the vertices
    0..max, as a complex.

    Args:
        taker: who asks, for the messages.

    Raises:
        TypeError, ValueError: it is none of these.
    """
    if isinstance(graph, CellComplex):
        return graph
    if isinstance(graph, nx.Graph):
        return from_networkx(graph)
    if isinstance(graph, Tensor | np.ndarray):
        edges = torch.as_tensor(graph)
        if edges.dim() == 2 and edges.shape[0] == 2:
            # from_edges says what is wrong with edges that are no integers
            counted = edges.numel() > 0 and not edges.is_floating_point()
            return CellComplex.from_edges(int(edges.long().max()) + 1 if counted else 0, edges)
        raise ValueError(f"{taker} takes an edge_index of shape (2, m), got {tuple(edges.shape)}")
    raise TypeError(
        f"{taker} takes a CellComplex, a networkx graph or an edge_index tensor, got "
        f"{type(graph).__name__} (topodiff.from_* read other types)"
    )
