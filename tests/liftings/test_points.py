"""Complexes of point clouds against gudhi and against geometry."""

from __future__ import annotations

import math

import gudhi
import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import topodiff as td
from topodiff.complexes import CellComplex
from topodiff.liftings import AlphaLifting, VietorisRipsLifting


def simplices_of(tree: gudhi.SimplexTree, rank: int) -> list[tuple[int, ...]]:
    return sorted(tuple(s) for s, _ in tree.get_skeleton(rank) if len(s) == rank + 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(n=st.integers(0, 25), dim=st.integers(1, 3), seed=st.integers(0, 99))
def test_rips_complex_is_that_of_gudhi(dtype, n, dim, seed):
    points = torch.rand(n, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    complex = VietorisRipsLifting(max_distance=0.4, max_rank=3)(points).validate()
    tree = gudhi.RipsComplex(
        points=points.double().tolist(), max_edge_length=0.4
    ).create_simplex_tree(max_dimension=3)
    assert [complex.cells(r) for r in (1, 2, 3)] == [simplices_of(tree, r) for r in (1, 2, 3)]
    assert complex.positions is points


@pytest.mark.parametrize("radius", [0.15, math.inf])
@given(n=st.integers(0, 25), dim=st.integers(2, 3), seed=st.integers(0, 99))
def test_alpha_complex_is_that_of_gudhi(radius, n, dim, seed):
    points = torch.rand(n, dim, generator=torch.Generator().manual_seed(seed))
    complex = AlphaLifting(max_radius=radius)(points).validate()
    tree = gudhi.AlphaComplex(points=points.double().numpy()).create_simplex_tree(
        max_alpha_square=radius**2
    )
    ranks = range(1, dim + 1)
    assert [complex.cells(r) for r in ranks] == [simplices_of(tree, r) for r in ranks]
    assert complex.shape[0] == n


def circle(n: int) -> torch.Tensor:
    angle = torch.arange(n, dtype=torch.double) * (2 * math.pi / n)
    return torch.stack([angle.cos(), angle.sin()], 1)


def test_both_find_the_hole_of_a_circle_and_fill_it_at_its_radius():
    points = circle(12)
    side = 2 * math.sin(math.pi / 12)
    rips = VietorisRipsLifting(max_distance=side + 1e-9)(points)
    assert rips.shape == (12, 12, 0)
    assert rips.betti_numbers()[:2] == [1, 1]
    noise = 1e-4 * torch.rand(12, 2, generator=torch.Generator().manual_seed(0)).double()
    assert AlphaLifting(max_radius=0.9)(points + noise).betti_numbers() == [1, 1, 0]
    assert AlphaLifting(max_radius=1.1)(points + noise).betti_numbers() == [1, 0, 0]


def test_distances_at_the_threshold_are_included():
    points = torch.tensor([[0.0], [1.0], [2.0], [3.5]])
    assert VietorisRipsLifting(max_distance=1.0)(points).cells(1) == [(0, 1), (1, 2)]
    assert VietorisRipsLifting(max_distance=0.0)(points[[0, 0, 1]]).cells(1) == [(0, 1)]


def test_points_that_coincide_stay_as_vertices_of_the_alpha_complex():
    points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    complex = AlphaLifting()(points).validate()
    assert complex.shape == (4, 3, 1)
    assert complex.betti_numbers() == [2, 0, 0]


def test_data_of_vertices_stays_and_edges_are_replaced():
    x, positions = torch.rand(3, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    graph = td.CellComplex.from_edges(
        3, torch.tensor([[0], [1]]), x={0: x, 1: torch.rand(1, 1)}, positions=positions
    )
    for lifting in (VietorisRipsLifting(max_distance=2.0), AlphaLifting()):
        lifted = lifting(graph)
        assert lifted.shape == (3, 3, 1)
        assert lifted.x == {0: x}
        union = lifting(td.batch([graph, graph]))
        assert union.equals(td.batch([lifted, lifted]))


LINE = CellComplex.from_edges(3, torch.tensor([[0, 1], [1, 2]]))


@pytest.mark.parametrize("lifting", [VietorisRipsLifting(max_distance=1.0), AlphaLifting()])
@pytest.mark.parametrize(
    ("points", "message"),
    [
        (nx.path_graph(3), "needs positions"),
        (torch.zeros(2, 3, dtype=torch.long), "floating-point tensor"),
        (np.zeros(4), r"\(n, dim\), dim at least 1, got torch.float64 of shape \(4,\)"),
        (torch.zeros(3, 0), r"dim at least 1, got torch.float32 of shape \(3, 0\)"),
        (LINE.replace(positions=torch.zeros(3)), r"\(n, dim\), dim at least 1, got"),
        (LINE.replace(positions=torch.zeros(3, 0)), r"\(n, dim\), dim at least 1, got"),
        (torch.tensor([[0.0], [math.nan]]), "vertex 1 is not finite"),
    ],
)
def test_input_without_usable_positions_is_refused(lifting, points, message):
    with pytest.raises(ValueError, match=message):
        lifting(points)


def test_impossible_options_are_refused_at_once():
    for build in (
        lambda: VietorisRipsLifting(max_distance=-1.0),
        lambda: VietorisRipsLifting(max_distance=math.nan),
        lambda: AlphaLifting(max_radius=-1.0),
        lambda: AlphaLifting(max_rank=0),
    ):
        with pytest.raises(ValueError, match="got"):
            build()


def test_too_many_pairs_raise_before_they_are_made():
    with pytest.raises(ValueError, match=r"124750 pairs of points are within 2\.0"):
        VietorisRipsLifting(max_distance=2.0, max_cells=10_000)(torch.rand(500, 2))


TINY = torch.tensor([[0.0], [1e-201], [5e-200]], dtype=torch.float64)
SQUARE = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1.0]], dtype=torch.float64)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1.0, 1e200, 1e300])
def test_scale_does_not_matter(scale):
    points = scale * torch.cat([SQUARE, 3 + SQUARE])
    rips = VietorisRipsLifting(1.1 * scale)(points)
    assert rips.cells(1) == [(0, 1), (0, 2), (1, 3), (2, 3), (4, 5), (4, 6), (5, 7), (6, 7)]
    assert VietorisRipsLifting(1.5 * scale)(points).shape == (8, 12, 8)
    assert VietorisRipsLifting(10 * scale)(points).num_cells(1) == 28
    cloud = torch.rand(12, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = AlphaLifting(0.2)(cloud)
    assert [AlphaLifting(0.2 * scale)(cloud * scale).cells(r) for r in (1, 2)] == [
        expected.cells(r) for r in (1, 2)
    ]


def test_lengths_of_any_size():
    assert VietorisRipsLifting(1e-200)(TINY).cells(1) == [(0, 1)]
    assert VietorisRipsLifting(0.0)(torch.cat([TINY, TINY])).cells(1) == [(0, 3), (1, 4), (2, 5)]
    for most in (1e200, 1e308, math.inf):
        assert VietorisRipsLifting(most)(TINY).num_cells(1) == 3
        assert AlphaLifting(most)(SQUARE).equals(AlphaLifting()(SQUARE))
    assert AlphaLifting(1e-200)(SQUARE).num_cells(1) == 0
    assert VietorisRipsLifting(1e-200)(SQUARE).num_cells(1) == 0


def test_points_of_sizes_too_different_are_named():
    points = torch.cat([TINY, torch.tensor([[1e200]], dtype=torch.float64)])
    message = "coordinates of 1e-201 are too small beside others of 1e.200"
    with pytest.raises(ValueError, match=f"max_distance=1e-200 and {message}"):
        VietorisRipsLifting(1e-200)(points)
    plane = torch.cat([points, points.flip(0)], 1)
    with pytest.raises(ValueError, match=message):
        AlphaLifting()(plane)
