"""Vertices in reverse Cuthill-McKee order."""

import networkx as nx
import torch
from hypothesis import given
from hypothesis import strategies as st

import topodiff as td
from topodiff.operators import HodgeLaplacian
from topodiff.testing import renumber
from topodiff.testing.strategies import complexes


def bandwidth(K: td.CellComplex) -> int:
    tail, head = K.edge_index
    return int((head - tail).max())


def test_a_shuffled_mesh_gets_its_narrow_band_back():
    grid = td.from_networkx(nx.convert_node_labels_to_integers(nx.grid_2d_graph(20, 7)))
    shuffled = renumber(grid, seed=0).complex
    assert bandwidth(shuffled) > 100
    assert bandwidth(td.liftings.ReorderLifting()(shuffled)) <= 8


@given(complexes(), st.booleans())
def test_it_is_the_same_complex_with_the_same_data(K, oriented):
    K = K.replace(x={r: torch.randn(n, 2).double() for r, n in enumerate(K.shape)})
    moved = td.liftings.get("reorder", oriented=oriented)(K).validate()
    assert moved.shape == K.shape
    old = moved.labels[0]
    assert torch.equal(old.sort().values, torch.arange(K.num_cells(0)))
    torch.testing.assert_close(moved.x[0], K.x[0][old])
    cells = [set(map(frozenset, K.cells(r))) for r in range(K.rank + 1)]
    assert cells == [
        {frozenset(old[list(cell)].tolist()) for cell in moved.cells(r)} for r in range(K.rank + 1)
    ]
    if oriented:
        for r in range(K.rank + 1):
            energies = [(C.x[r] * (HodgeLaplacian(C, r) @ C.x[r])).sum().item() for C in (K, moved)]
            assert abs(energies[0] - energies[1]) < 1e-9 * (1 + abs(energies[0]))


def test_labels_that_are_there_stay():
    K = td.from_networkx(nx.path_graph(4)).replace(labels={0: torch.tensor([9, 8, 7, 6])})
    assert sorted(td.liftings.ReorderLifting()(K).labels[0].tolist()) == [6, 7, 8, 9]


def test_batches_and_lonely_vertices():
    one = td.CellComplex.from_edges(5, torch.tensor([[0, 1], [4, 4]]))
    both = td.liftings.ReorderLifting()(td.batch([one, one.skeleton(0)]))
    assert both.num_complexes == 2
    assert both[0].shape == one.shape
    assert both[1].num_cells(0) == 5


def test_numbers_in_a_union_are_those_of_the_union():
    parts = [td.from_networkx(nx.path_graph(n)) for n in (4, 1, 3)]
    union = td.batch(parts).replace(x={0: torch.arange(8.0)[:, None]})
    moved = td.liftings.ReorderLifting()(union)
    assert sorted(moved.labels[0].tolist()) == list(range(8))
    assert torch.equal(union.x[0][moved.labels[0]], moved.x[0])
    assert td.liftings.ReorderLifting()(union.select([])).labels[0].shape == (0,)
