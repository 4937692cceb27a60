"""Sheaves: construction, transport, holonomy, curvature, sections."""

import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sheaves import BALL, RINGS, SEED, TRIANGLE, free_sheaf, normal, rotations

from topodiff.complexes import CellComplex
from topodiff.sheaves import CellularSheaf, SpecialOrthogonal


@settings(max_examples=20, deadline=None)
@given(seed=SEED, dim=st.integers(1, 4), orthogonal=st.booleans())
def test_flat_bundle(seed, dim, orthogonal):
    """Transport does not depend on the path, d sections exist, nothing curves."""
    frames = rotations(seed, 5, dim) if orthogonal else normal(seed, 5, dim, dim)
    sheaf = CellularSheaf.from_frames(BALL, frames, orthogonal=orthogonal).validate()
    for rank in (2, 3):
        assert float(sheaf.curvature(rank).value.abs().max()) == 0.0
    close = {"rtol": 1e-6, "atol": 1e-6}
    expected = torch.linalg.solve(frames[4], frames[0])
    for path in ([0, 2, 4], [0, 1, 3, 4], [0, 1, 2, 3, 2, 4]):
        torch.testing.assert_close(sheaf.transport(path), expected, **close)
    identity = torch.eye(dim, dtype=torch.float64)
    torch.testing.assert_close(sheaf.holonomy([0, 1, 2, 3]), identity, **close)
    around = sheaf.cell_holonomies()
    torch.testing.assert_close(around, identity.expand_as(around), **close)
    sections = sheaf.global_sections()
    assert sections.shape == (5, dim, dim)
    torch.testing.assert_close(
        torch.einsum("vik,vil->kl", sections, sections), identity, rtol=0, atol=1e-10
    )
    torch.testing.assert_close(sheaf.transport([1, 3]) @ sections[1], sections[3], **close)


@settings(max_examples=20, deadline=None)
@given(seed=SEED, dim=st.integers(1, 3), flat=st.booleans())
def test_path_independence_is_d_sections(seed, dim, flat):
    """On a connected graph an O(d) bundle has d sections if and only if no cycle turns anything."""
    transports = rotations(seed, RINGS.shape[1], dim)
    if flat:
        frames = rotations(seed, RINGS.shape[0], dim)
        tail, head = RINGS.edge_index
        transports = frames[head].mT @ frames[tail]
    sheaf = CellularSheaf.from_transport(RINGS, transports, orthogonal=True)
    torch.testing.assert_close(sheaf.edge_transports(), transports)
    cycles = ([0, 1, 2, 3], [0, 3, 4])
    turned = [float((sheaf.holonomy(c) - torch.eye(dim)).abs().max()) for c in cycles]
    independent = max(turned) < 1e-9
    assert (sheaf.global_sections().shape[-1] == dim) == independent
    assert independent or not flat


def test_transport_follows_the_definition():
    sheaf = free_sheaf(0, RINGS)
    maps = sheaf.restriction_maps(1)
    number = {e: i for i, e in enumerate(RINGS.cells(1))}
    there = torch.linalg.solve(maps[2 * number[1, 2] + 1], maps[2 * number[1, 2]])
    back = torch.linalg.inv(there)
    torch.testing.assert_close(sheaf.transport([1, 2]), there)
    torch.testing.assert_close(sheaf.transport([2, 1]), back)
    torch.testing.assert_close(sheaf.edge_transports()[number[1, 2]], there)
    torch.testing.assert_close(sheaf.transport([3]), torch.eye(2, dtype=torch.float64))
    for cell, cycle in enumerate(RINGS.cells(2)):
        torch.testing.assert_close(sheaf.cell_holonomies()[cell], sheaf.holonomy(cycle))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (2,), (2, 2)])
def test_low_precision_is_computed_in_float32(dtype, shape):
    nnz = BALL.incidence(1).nnz
    maps = (normal(0, nnz, *shape) + (2 * torch.eye(2) if shape == (2, 2) else 2)).to(dtype)
    low, single = (CellularSheaf(BALL, 2, {1: m, 2: None}) for m in (maps, maps.float()))
    functions = (
        lambda F: F.transport([0, 1, 2, 3, 4]),
        lambda F: F.holonomy([0, 1, 2]),
        CellularSheaf.edge_transports,
        CellularSheaf.cell_holonomies,
        lambda F: F.gauge_transform(single.restriction_matrices(1)[:5].to(F.dtype)).maps[1],
        lambda F: torch.from_numpy(F.coboundary_matrix(0).toarray()).to(F.dtype),
    )
    for function in functions:
        found, expected = function(low), function(single)
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected.to(dtype), rtol=0.03, atol=0.03)
    assert low.global_sections().shape == single.global_sections().shape


def test_holonomy_of_a_rotation():
    """Angles add up around a cycle."""
    angles = torch.tensor([[0.3], [0.5], [0.7]], dtype=torch.float64)  # of (0, 1), (0, 2), (1, 2)
    sheaf = CellularSheaf.from_transport(TRIANGLE, SpecialOrthogonal(2)(angles), orthogonal=True)
    expected = SpecialOrthogonal(2)(angles[0] - angles[1] + angles[2])
    torch.testing.assert_close(sheaf.holonomy([0, 1, 2]), expected)
    torch.testing.assert_close(sheaf.cell_holonomies()[0], expected)
    turn = torch.full((3, 1), 2 * math.pi / 3, dtype=torch.float64)
    turn[1] *= -1
    full = CellularSheaf.from_transport(TRIANGLE, SpecialOrthogonal(2)(turn), orthogonal=True)
    assert full.global_sections().shape[-1] == 2


@settings(max_examples=15, deadline=None)
@given(seed=SEED)
def test_curvature_is_coboundary_of_coboundary(seed):
    for complex in (BALL, RINGS):
        sheaf = free_sheaf(seed, complex)
        product = (sheaf.coboundary_matrix(1) @ sheaf.coboundary_matrix(0)).toarray()
        blocks = product.reshape(complex.shape[2], 2, complex.shape[0], 2).transpose(0, 2, 1, 3)
        face, cell, value = sheaf.curvature()
        found = torch.zeros(*blocks.shape, dtype=torch.float64)
        found[cell, face] = value
        torch.testing.assert_close(found, torch.from_numpy(blocks.copy()))


def test_curvature_has_gradients():
    maps = [normal(r, BALL.incidence(r).nnz, 2) for r in (1, 2)]

    def energy(a, b):
        return CellularSheaf(BALL, 2, {1: a, 2: b}).curvature().value.square().sum()

    leaves = [m.requires_grad_() for m in maps]
    assert torch.autograd.gradcheck(energy, leaves, fast_mode=True)


def test_sections_of_a_large_graph():
    """More than 300 rows: the sparse path, on a Moebius band of signs and a plain cycle."""
    n = 400
    edges = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
    complex = CellComplex.from_edges(n, edges)
    signs = torch.ones(2 * n, dtype=torch.float64)
    assert CellularSheaf(complex, 1, signs).global_sections().shape == (n, 1, 1)
    signs[0] = -1
    assert CellularSheaf(complex, 1, signs).global_sections().shape == (n, 1, 0)
    sections = CellularSheaf(complex, 3).global_sections()
    assert sections.shape == (n, 3, 3)
    torch.testing.assert_close(sections, sections[:1].expand_as(sections))


@pytest.mark.parametrize("n", [2, 200])
def test_sections_count_small_maps_like_large_ones(n):
    """n components of two vertices, the maps of the first a hundred thousand times as large."""
    edges = torch.arange(2 * n).reshape(n, 2).T
    maps = torch.ones(2 * n, dtype=torch.float64)
    maps[:2] = 1e5
    sheaf = CellularSheaf(CellComplex.from_edges(2 * n, edges), 1, maps)
    sections = sheaf.global_sections().squeeze(1)
    assert sections.shape == (2 * n, n)
    torch.testing.assert_close(sections.T @ sections, torch.eye(n, dtype=torch.float64))
    torch.testing.assert_close(sections[0::2], sections[1::2])


def test_sections_of_a_long_cycle_and_of_a_star():
    n = 130_000
    ring = torch.arange(n)
    cycle = CellComplex.from_edges(n, torch.stack([ring, ring.roll(-1)]))
    assert CellularSheaf(cycle, 1).global_sections().shape == (n, 1, 1)
    m = 4000
    star = CellComplex.from_edges(m + 1, torch.stack([torch.zeros(m).long(), ring[1 : m + 1]]))
    g = torch.Generator().manual_seed(0)
    maps = torch.randn(2 * m, 2, 2, generator=g, dtype=torch.float64)
    assert CellularSheaf(star, 2, maps).global_sections().shape == (m + 1, 2, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sections_of_a_flat_bundle_in_any_precision(dtype):
    side = 25
    place = torch.arange(side * side).reshape(side, side)
    edges = torch.cat(
        [torch.stack([place[:, :-1].flatten(), place[:, 1:].flatten()]),
         torch.stack([place[:-1].flatten(), place[1:].flatten()])], 1,
    )  # fmt: skip
    complex = CellComplex.from_edges(side * side, edges)
    frames = rotations(0, side * side, 3).to(dtype)
    sections = CellularSheaf.from_frames(complex, frames).global_sections()
    assert sections.shape == (side * side, 3, 3)


def test_frames_with_weights():
    frames, weights = rotations(0, 5, 2), torch.rand(BALL.shape[1], dtype=torch.float64) + 0.5
    sheaf = CellularSheaf.from_frames(BALL, frames, weights=weights, orthogonal=True)
    assert sheaf.weights[1] is weights
    by_rank = {0: torch.ones(5, dtype=torch.float64), 1: weights}
    assert CellularSheaf.from_frames(BALL, frames, weights=by_rank).weights == by_rank


def test_numbers_of_transforms_are_not_looked_at():
    """There is none yet in what vmap maps over."""
    maps = rotations(0, 6, 2).expand(4, 6, 2, 2)

    def transports(maps):
        return CellularSheaf(TRIANGLE, 2, maps, orthogonal=True).edge_transports()

    found = torch.func.vmap(transports)(maps)
    torch.testing.assert_close(found[0], transports(maps[0]))


def test_moving_and_pickling():
    sheaf = free_sheaf(0, BALL)
    single = sheaf.to(dtype=torch.float32)
    assert single.dtype == torch.float32
    assert sheaf.dtype == torch.float64
    assert CellularSheaf(BALL, 2).dtype is None
    again = pickle.loads(pickle.dumps(sheaf))
    assert torch.equal(again.restriction_maps(2), sheaf.restriction_maps(2))
    assert repr(sheaf).endswith("stalk_dim=2, maps={1: 'matrix', 2: 'matrix'})")


def test_a_batch_is_the_union_of_its_sheaves():
    both = CellComplex.from_edges(3, torch.tensor([[0, 1], [1, 2]]))
    union = type(both).select(both, [0, 0])
    maps = normal(0, both.incidence(1).nnz, 2, 2)
    one = CellularSheaf(both, 2, maps)
    two = CellularSheaf(union, 2, torch.cat([maps, maps]))
    torch.testing.assert_close(two.transport([3, 4, 5]), one.transport([0, 1, 2]))


@pytest.mark.parametrize("stalk_dim", [0, -2, 1.5, True, None])
def test_wrong_stalk_dim(stalk_dim):
    with pytest.raises(ValueError, match="stalk_dim must be a whole number >= 1"):
        CellularSheaf(TRIANGLE, stalk_dim)


@pytest.mark.parametrize(
    ("maps", "error", "message"),
    [
        (torch.ones(5, 2, 2), ValueError, r"\(6, 2, 2\).*got \(5, 2, 2\)"),
        (torch.ones(6, 3, 3), ValueError, r"got \(6, 3, 3\)"),
        (torch.ones(6, 2, 2, 1), ValueError, "got"),
        (torch.ones(6, dtype=torch.long), TypeError, r"floating-point.*got torch\.int64"),
        ([1.0] * 6, TypeError, "got list"),
        ({3: torch.ones(1)}, ValueError, r"maps\[3\] given"),
        ({0: torch.ones(1)}, ValueError, r"maps\[0\] given"),
        ({"1": torch.ones(6)}, ValueError, r"maps\['1'\] given"),
        (torch.tensor([1.0, 1, torch.nan, 1, 1, 1]), ValueError, r"maps\[1\]\[2\] is not finite"),
        (torch.full((6, 2, 2), torch.inf), ValueError, r"maps\[1\]\[0\] is not finite"),
        ({1: torch.ones(6), 2: torch.ones(3).double()}, TypeError, "share one dtype"),
        (torch.ones(6, device="meta"), ValueError, "is on meta, the complex on cpu"),
    ],
)
def test_wrong_maps(maps, error, message):
    with pytest.raises(error, match=message):
        CellularSheaf(TRIANGLE, 2, maps)


def test_large_maps_are_finite():
    """Also where their sum is not."""
    maps = torch.full((6, 2), torch.finfo(torch.float32).max)
    assert CellularSheaf(TRIANGLE, 2, maps).validate().maps[1] is maps


def test_wrong_use():
    sheaf = CellularSheaf(TRIANGLE, 2, torch.ones(6))
    with pytest.raises(TypeError, match="complex must be a CellComplex, got str"):
        CellularSheaf("graph", 2)
    with pytest.raises(ValueError, match="no maps of rank 2"):
        sheaf.curvature()
    with pytest.raises(ValueError, match="curvature must be a whole number from 2 to 2, got 3"):
        sheaf.curvature(3)
    with pytest.raises(ValueError, match="coboundary must be a whole number from 0 to 2, got '1'"):
        sheaf.coboundary_matrix("1")
    with pytest.raises(ValueError, match="vertices 1 and 1 are not joined"):
        sheaf.transport([0, 1, 1])
    with pytest.raises(ValueError, match="at least one vertex"):
        sheaf.transport([])
    with pytest.raises(ValueError, match="at least one vertex"):
        sheaf.holonomy([])
    with pytest.raises(ValueError, match="vertices go from 0 to 2"):
        sheaf.transport([0, 3])
    with pytest.raises(ValueError, match="map 1 is singular"):
        CellularSheaf(TRIANGLE, 1, torch.tensor([1.0, 1, 1, 0, 1, 1])).edge_transports()
    with pytest.raises(ValueError, match="gauge 0 is singular"):
        sheaf.gauge_transform(torch.zeros(3, 2, 2))
    with pytest.raises(ValueError, match=r"gauges\[0\] must have shape"):
        sheaf.gauge_transform(torch.eye(2))
    with pytest.raises(ValueError, match="frames must have shape"):
        CellularSheaf.from_frames(TRIANGLE, torch.eye(2).expand(4, 2, 2))
    for frames in (torch.ones(3, 2, 2), torch.tensor([[1.0, 1], [1, 1], [1, 0]])):
        with pytest.raises(ValueError, match=r"frame \d is singular"):
            CellularSheaf.from_frames(TRIANGLE, frames)
    with pytest.raises(TypeError, match=r"labels must be whole numbers, got torch\.float32"):
        sheaf.separates(torch.ones(3))
    with pytest.raises(ValueError, match=r"labels must have shape \(3,\).*got \(2,\)"):
        sheaf.separates([0, 1])
    with pytest.raises(ValueError, match="need a complex of rank 2"):
        CellularSheaf(TRIANGLE.skeleton(1), 1).cell_holonomies()
    with pytest.raises(ValueError, match=r"maps\[1\]\[0\] is not orthogonal"):
        CellularSheaf(TRIANGLE, 2, 2 * torch.ones(6), orthogonal=True).validate()
