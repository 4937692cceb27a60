"""Changes of basis in the stalks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sheaves import BALL, SEED, free_sheaf, normal, rotations

from topodiff.sheaves import CellularSheaf


def sheaf_with_a_section(seed, complex, dim):
    """Random maps, those of heads changed along a random section so that it is one."""
    section = normal(seed, complex.shape[0], dim)
    maps = 2 * torch.eye(dim) + normal(seed + 1, complex.incidence(1).nnz, dim, dim).clamp(-1, 1)
    (tail, head), ends = complex.edge_index, maps.unflatten(0, (-1, 2))
    at_tail = torch.einsum("eij,ej->ei", ends[:, 0], section[tail])
    at_head = torch.einsum("eij,ej->ei", ends[:, 1], section[head])
    along = section[head] / section[head].square().sum(1, keepdim=True)
    ends[:, 1] += (at_tail - at_head)[:, :, None] * along[:, None, :]
    return CellularSheaf(complex, dim, {1: maps, 2: normal(seed, complex.incidence(2).nnz)})


@settings(max_examples=15, deadline=None)
@given(seed=SEED, orthogonal=st.booleans())
def test_gauge_transformation(seed, orthogonal):
    """Curvature and holonomy change as endomorphisms; sections are carried along."""
    sheaf = sheaf_with_a_section(seed, BALL, 3)
    one, n = torch.eye(3, dtype=torch.float64), BALL.shape[0]
    gauge = rotations(seed, n, 3) if orthogonal else one + normal(seed, n, 3, 3).clamp(-1, 1) / 4
    cell_gauge = one + normal(seed, BALL.shape[2], 3, 3).clamp(-1, 1) / 4
    turned = sheaf.gauge_transform({0: gauge, 2: cell_gauge})
    assert not turned.orthogonal
    back = torch.linalg.inv(gauge)
    close = {"rtol": 1e-6, "atol": 1e-6}
    path, cycle = [0, 1, 3], [0, 1, 2, 3]
    expected = gauge[3] @ sheaf.transport(path) @ back[0]
    torch.testing.assert_close(turned.transport(path), expected, **close)
    expected = gauge[0] @ sheaf.holonomy(cycle) @ back[0]
    assert float((expected - one).abs().max()) > 1e-3
    torch.testing.assert_close(turned.holonomy(cycle), expected, **close)
    first = torch.tensor([cell[0] for cell in BALL.cells(2)])
    expected = gauge[first] @ sheaf.cell_holonomies() @ back[first]
    torch.testing.assert_close(turned.cell_holonomies(), expected, **close)
    old, new = sheaf.curvature(), turned.curvature()
    assert float(old.value.abs().max()) > 1e-3
    expected = cell_gauge[old.cell] @ old.value @ back[old.face]
    torch.testing.assert_close(new.value, expected, **close)
    carried, found = gauge @ sheaf.global_sections(), turned.global_sections()
    assert carried.shape == found.shape == (n, 3, 1)
    torch.testing.assert_close(found * (found * carried).sum(), carried, **close)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_orthogonal_gauges_keep_orthogonal_sheaves(dim):
    sheaf = CellularSheaf.from_frames(BALL, rotations(0, 5, dim), orthogonal=True)
    gauges = {r: rotations(r + 1, n, dim) for r, n in enumerate(BALL.shape)}
    turned = sheaf.gauge_transform(gauges, orthogonal=True)
    assert turned.validate().orthogonal
    plain = sheaf.gauge_transform(gauges)
    assert not plain.orthogonal
    for r in sheaf.maps:
        torch.testing.assert_close(turned.maps[r], plain.maps[r])
    carried, found = gauges[0] @ sheaf.global_sections(), turned.global_sections()
    inside = torch.einsum("vik,ujk,ujl->vil", found, found, carried)
    torch.testing.assert_close(inside, carried)
    assert not free_sheaf(0, BALL, dim).gauge_transform(gauges, orthogonal=True).orthogonal


def test_singular_gauges_are_refused():
    for r in range(3):
        with pytest.raises(ValueError, match="singular"):
            free_sheaf(0, BALL).gauge_transform({r: torch.zeros(BALL.shape[r], 2, 2).double()})


@pytest.mark.parametrize("shape", [(), (2,), (2, 2)])
def test_wrong_gauges(shape):
    sheaf = free_sheaf(0, BALL)
    one = torch.ones(5, *shape, dtype=torch.float64)
    for bad in (torch.nan, torch.inf):
        gauge = one.clone()
        gauge[3] = bad
        with pytest.raises(ValueError, match=r"gauges\[0\]\[3\] is not finite"):
            sheaf.gauge_transform(gauge)
    with pytest.raises(TypeError, match="gauges and the sheaf must share one dtype"):
        sheaf.gauge_transform(one.float())
    with pytest.raises(TypeError, match="gauges and the sheaf must share one dtype"):
        CellularSheaf(BALL, 2).gauge_transform({0: one, 1: torch.ones(8)})
    for rank in (-1, 4, "0"):
        with pytest.raises(ValueError, match="the rank of a gauge must be a whole number"):
            sheaf.gauge_transform({rank: one})


@pytest.mark.parametrize("first", ["none", "scalar", "diagonal", "matrix"])
@pytest.mark.parametrize("second", ["none", "scalar", "diagonal", "matrix"])
def test_forms_of_maps_mix(first, second):
    """Every form of map with every form of gauge, against the same things as matrices."""
    shapes = {"scalar": (), "diagonal": (2,), "matrix": (2, 2)}
    nnz = BALL.incidence(1).nnz
    maps = None if first == "none" else normal(1, nnz, *shapes[first])
    sheaf = CellularSheaf(BALL, 2, {1: maps, 2: None})
    gauges = {} if second == "none" else {0: normal(2, 5, *shapes[second]) + 2}
    found = sheaf.gauge_transform(gauges)
    full = CellularSheaf(BALL, 2, {1: sheaf.restriction_matrices(1).double(), 2: None})
    like = torch.eye(2, dtype=torch.float64)
    matrices = {r: g if g.dim() == 3 else g.reshape(5, -1, 1) * like for r, g in gauges.items()}
    expected = full.gauge_transform(matrices)
    torch.testing.assert_close(
        found.restriction_matrices(1).double(), expected.restriction_matrices(1)
    )
    torch.testing.assert_close(found.curvature().value.double(), expected.curvature().value)
