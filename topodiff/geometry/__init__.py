"""The shape of graphs: curvature of edges."""

from topodiff.geometry.forman import EdgeNeighborhood, balanced_forman, edge_neighborhoods

__all__ = ["EdgeNeighborhood", "balanced_forman", "edge_neighborhoods"]
