"""Complexes of point clouds: Vietoris-Rips and alpha."""

from __future__ import annotations

import math
from typing import Any

import gudhi
import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import LARGEST, whole_number
from topodiff.kernels import enumerate
from topodiff.liftings.base import MAX_RANK, Lifting, attach, register, to_tensors

# powers of two: coordinates of which the squares are floats, and lengths beyond all distances then
_LARGE = 500
_MOST = 511


class PointLifting(Lifting):
    """A lifting of points: (n, dim) floating-point coordinates, or a complex with positions.

    Vertices keep their data and positions; edges and higher cells of the input are replaced.
    """

    def read(self, graph: Any) -> CellComplex:
        if isinstance(graph, Tensor | np.ndarray):
            positions = torch.as_tensor(graph)
            self._check(positions)
            complex = CellComplex((len(positions),), [], positions=positions)
        else:
            complex = super().read(graph)
        if complex.positions is None:
            raise ValueError(
                f"{type(self).__name__} needs positions: give a tensor (n, dim) or a complex with "
                "positions, for example complex.replace(positions=...)"
            )
        self._check(complex.positions)
        finite = complex.positions.isfinite().all(1)
        if not bool(finite.all()):
            raise ValueError(f"the position of vertex {int(finite.long().argmin())} is not finite")
        return complex

    def _check(self, positions: Tensor) -> None:
        whole = not positions.is_floating_point()
        if whole or positions.dim() != 2 or positions.shape[1] == 0:
            raise ValueError(
                f"{type(self).__name__} takes positions as a floating-point tensor (n, dim), dim "
                f"at least 1, got {positions.dtype} of shape {tuple(positions.shape)}"
            )


@register("rips")
class VietorisRipsLifting(PointLifting):
    """Vietoris-Rips complex: the clique complex of all pairs at most ``max_distance`` apart.

    Args:
        max_distance: largest Euclidean distance of two vertices of a simplex, included.
        max_rank: largest rank of a simplex, from 1 to 1000.
        max_cells: more simplices of rank >= 1 raise an error instead of filling the memory.
    """

    def __init__(self, max_distance: float, max_rank: int = 2, max_cells: int = 50_000_000) -> None:
        if not max_distance >= 0:
            raise ValueError(f"max_distance must be a number >= 0, got {max_distance!r}")
        self.max_distance = float(max_distance)
        self.max_rank = whole_number("max_rank", max_rank, 1, MAX_RANK)
        self.max_cells = whole_number("max_cells", max_cells, 0, LARGEST)

    def lift(self, complex: CellComplex) -> CellComplex:
        given = _coordinates(complex)
        points, distance = _scaled(given, self.max_distance, _LARGE)
        # squares of smaller distances vanish; only smaller coordinates have them
        small = (given != 0) & (abs(points) < 2.0**-480)
        if distance < 2.0**-_LARGE and bool(small.any()):
            raise ValueError(f"max_distance={self.max_distance} and {_too_small(given, small)}")
        tree = cKDTree(points)
        count = (int(tree.count_neighbors(tree, distance)) - len(tree.data)) // 2
        if count > self.max_cells:
            raise ValueError(
                f"{count} pairs of points are within {self.max_distance}, more than "
                f"max_cells={self.max_cells}: choose a smaller max_distance"
            )
        pairs = tree.query_pairs(distance, output_type="ndarray")
        edges = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].astype(np.int64)
        boundaries = enumerate.clique_boundaries(
            complex.shape[0], np.ascontiguousarray(edges), self.max_rank, self.max_cells
        )
        return attach(complex.skeleton(0), map(to_tensors, boundaries))


@register("alpha")
class AlphaLifting(PointLifting):
    """Alpha complex (Edelsbrunner and Muecke 1994): the Delaunay simplices of a point cloud whose
    smallest empty circumsphere has a radius of at most ``max_radius``.

    It has the homotopy type of the union of balls of that radius around the points, and at most the
    rank of the space. Of points that coincide one is used; the others stay as isolated vertices.

    Args:
        max_radius: largest radius, included; infinite for the whole Delaunay complex.
        max_rank: largest rank kept, at most 1000; by default the dimension of the space.
    """

    def __init__(self, max_radius: float = math.inf, max_rank: int | None = None) -> None:
        if not max_radius >= 0:
            raise ValueError(f"max_radius must be a number >= 0, got {max_radius!r}")
        self.max_radius = float(max_radius)
        if max_rank is not None:
            max_rank = whole_number("max_rank", max_rank, 1, MAX_RANK)
        self.max_rank = max_rank

    def lift(self, complex: CellComplex) -> CellComplex:
        given = _coordinates(complex)
        points, radius = _scaled(given, self.max_radius, 0)
        vanished = (given != 0) & (points == 0)
        if bool(vanished.any()):
            raise ValueError(_too_small(given, vanished))
        max_rank = self.max_rank or points.shape[1]
        tree = gudhi.AlphaComplex(points=points).create_simplex_tree(
            max_alpha_square=math.inf if radius == 2.0**_MOST else radius**2
        )
        # gudhi's tree gives its simplices one by one only
        simplices: list[list[list[int]]] = [[] for _ in range(max_rank + 1)]
        for simplex, _ in tree.get_skeleton(max_rank):
            simplices[len(simplex) - 1].append(simplex)
        rows = {
            r: torch.tensor(simplices[r], dtype=torch.long).reshape(-1, r + 1)
            for r in range(1, max_rank + 1)
        }
        found = CellComplex.from_simplices(rows, num_vertices=len(points))
        return attach(
            complex.skeleton(0),
            [(found.boundary_index(r), found.boundary_sign(r)) for r in range(1, max_rank + 1)],
        )


def _coordinates(complex: CellComplex) -> np.ndarray:
    assert complex.positions is not None
    return complex.positions.detach().double().numpy()


def _too_small(points: np.ndarray, small: np.ndarray) -> str:
    return (
        f"coordinates of {abs(points[small]).min()} are too small beside others of "
        f"{abs(points).max()}: lift the points near 0 alone"
    )


def _scaled(points: np.ndarray, length: float, exponent: int) -> tuple[np.ndarray, float]:
    """Points and a length times the power of two that takes the largest coordinate below
    2^``exponent``, so that squares neither overflow nor vanish. The length is at most 2^511."""
    largest = np.abs(points).max(initial=0.0)
    shift = exponent - int(np.frexp(largest)[1]) if largest else 0
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(points, shift), min(float(np.ldexp(length, shift)), 2.0**_MOST)
