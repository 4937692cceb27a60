"""The shape of graphs: curvature of edges, positions of vertices."""

from topodiff.geometry.deepwalk import deepwalk, random_walks
from topodiff.geometry.forman import EdgeNeighborhood, balanced_forman, edge_neighborhoods

__all__ = [
    "EdgeNeighborhood",
    "balanced_forman",
    "deepwalk",
    "edge_neighborhoods",
    "random_walks",
]
