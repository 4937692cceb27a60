"""Round trips with Data and Batch of PyTorch Geometric."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spaces import torus_7

from topodiff.complexes import CellComplex, batch
from topodiff.complexes.interop import from_pyg, to_pyg
from topodiff.testing import assert_complex_equal
from topodiff.testing.strategies import graphs, with_data

data_module = pytest.importorskip("torch_geometric.data")
Data, Batch = data_module.Data, data_module.Batch
PATH = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def filled(graph, seed=0):
    """With the data that Data has a place for."""
    complex = with_data(graph, seed)
    return complex.replace(weights={1: complex.weights[1]}, labels=None)


@given(graph=graphs())
def test_graphs_there_and_back(dtype, graph):
    complex = filled(graph)
    data = to_pyg(complex)
    data.validate()
    assert data.num_nodes == complex.shape[0]
    assert data.num_edges == 2 * complex.shape[1]
    assert data.is_undirected()
    assert data.is_coalesced()
    assert_complex_equal(from_pyg(data), complex)
    assert_complex_equal(from_pyg(to_pyg(graph)), graph)


@given(st.lists(graphs(), min_size=1, max_size=4))
def test_batches_there_and_back(parts):
    union = batch([filled(part, seed) for seed, part in enumerate(parts)])
    data = to_pyg(union)
    assert isinstance(data, Batch)
    assert data.num_graphs == len(parts)
    assert_complex_equal(from_pyg(data).validate(), union)
    assert_complex_equal(batch([from_pyg(part) for part in data.to_data_list()]), union)


def test_batches_with_a_part_without_edges_of_any_rank():
    bond = CellComplex.from_edges(
        2, torch.tensor([[0], [1]]), x={0: torch.ones(2, 2), 1: torch.ones(1, 3)}
    )
    atom = CellComplex((1,), [], x={0: torch.zeros(1, 2)})
    data = to_pyg(batch([atom, bond, atom]))
    assert data.x.shape == (4, 2)
    assert data.edge_attr.shape == (2, 3)
    assert data.ptr.tolist() == [0, 1, 3, 4]


@given(graphs(), st.randoms(use_true_random=False))
def test_edges_once_or_twice_in_any_order(graph, random):
    pairs = graph.cells(1) + random.sample(graph.cells(1), graph.shape[1] // 2)
    pairs = [pair[::-1] if random.random() < 0.5 else pair for pair in pairs]
    random.shuffle(pairs)
    attribute = torch.tensor([[u + v, u * v] for u, v in map(sorted, pairs)]).reshape(-1, 2)
    index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    data = Data(edge_index=index, edge_attr=attribute, num_nodes=graph.shape[0])
    expected = torch.tensor([[u + v, u * v] for u, v in graph.cells(1)]).reshape(-1, 2)
    assert_complex_equal(from_pyg(data), graph.replace(x={1: expected.to(attribute.dtype)}))


@pytest.mark.parametrize("name", ["edge_attr", "edge_weight"])
def test_conflicting_directions(name):
    data = Data(edge_index=PATH, num_nodes=3, **{name: torch.tensor([1.0, 1.0, 2.0, 4.0])})
    with pytest.raises(ValueError, match=rf"{name} of edge \(1, 2\) differs"):
        from_pyg(data)
    complex = from_pyg(data, conflicts="mean")
    values = complex.x if name == "edge_attr" else complex.weights
    assert values[1].tolist() == [1, 3]
    data[name] = torch.tensor([1.0, 1.0, torch.nan, torch.nan])
    assert from_pyg(data).shape == (3, 2)


@pytest.mark.parametrize("conflicts", ["error", "mean"])
@pytest.mark.parametrize("width", [(), (2,)])
def test_gradients_are_those_of_the_mean(conflicts, width):
    index = torch.cat([PATH, torch.tensor([[1], [0]])], 1)  # edge (0, 1) three times, (1, 2) twice
    third = 1 / 3  # three of it, divided by three, are not always the same
    values = torch.tensor([third, third, 0.7, 0.7, third])
    for last in (0.7, 0.9) if conflicts == "mean" else (0.7,):
        values[3] = last
        leaf = values.reshape(-1, *[1] * len(width)).expand(5, *width).clone().requires_grad_()
        data = Data(edge_index=index, edge_attr=leaf, num_nodes=3)
        out = from_pyg(data, conflicts=conflicts).x[1]
        assert (out[0] == leaf[0]).all()
        out.sum().backward()
        expected = torch.tensor([third, third, 0.5, 0.5, third])
        torch.testing.assert_close(leaf.grad.reshape(5, -1).T[0], expected)


def test_mean_of_whole_numbers_is_no_whole_number():
    data = Data(edge_index=PATH, edge_attr=torch.tensor([[1], [1], [1], [2]]), num_nodes=3)
    assert from_pyg(data, conflicts="mean").x[1].tolist() == [[1], [1.5]]


@pytest.mark.parametrize(
    ("y", "graph_level", "vertex_level"),
    [
        (torch.tensor(2.0), [2.0], None),
        (torch.tensor([2.0]), [2.0], None),
        (torch.tensor([[2.0, 3.0]]), [[2.0, 3.0]], None),
        (torch.tensor([4, 5, 6]), None, [4, 5, 6]),
    ],
)
def test_targets_of_graphs_and_of_vertices(y, graph_level, vertex_level):
    complex = from_pyg(Data(edge_index=PATH, num_nodes=3, y=y))
    assert (None if complex.y is None else complex.y.tolist()) == graph_level
    assert (complex.labels[0].tolist() if complex.labels else None) == vertex_level
    assert torch.equal(to_pyg(complex).y.reshape(-1), y.reshape(-1))


def test_a_target_may_be_a_plain_number():
    assert from_pyg(Data(edge_index=PATH, num_nodes=3, y=1.5)).y.tolist() == [1.5]


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"y has shape \(2,\).*must be 1 .* or 3"):
        from_pyg(Data(edge_index=PATH, num_nodes=3, y=torch.zeros(2)))
    with pytest.raises(TypeError, match="Data or Batch, got HeteroData"):
        from_pyg(data_module.HeteroData())
    with (
        pytest.warns(UserWarning, match="num_nodes"),
        pytest.raises(ValueError, match=r"set data\.num_nodes"),
    ):
        from_pyg(Data())
    with pytest.raises(ValueError, match="edge 0 is a self-loop"):
        from_pyg(Data(edge_index=torch.tensor([[0], [0]]), num_nodes=1))
    with pytest.raises(ValueError, match="vertices go from 0 to 1"):
        from_pyg(Data(edge_index=PATH, num_nodes=2))
    with pytest.raises(ValueError, match="for 4 edges"):
        from_pyg(Data(edge_index=PATH, num_nodes=3, edge_attr=torch.zeros(2, 1)))
    with pytest.raises(ValueError, match="conflicts must be one of error, mean; got 'sum'"):
        from_pyg(Data(edge_index=PATH, num_nodes=3), conflicts="sum")
    with pytest.raises(ValueError, match="union of no complexes"):
        to_pyg(torus_7().select([]))


def test_self_loops_can_be_dropped_with_their_data():
    index = torch.tensor([[0, 1, 1, 0], [0, 1, 0, 1]])
    data = Data(edge_index=index, edge_attr=torch.tensor([7, 8, 9, 9]), num_nodes=2)
    assert from_pyg(data, self_loops="drop").x[1].tolist() == [9]


def test_higher_cells_have_no_place():
    assert_complex_equal(from_pyg(to_pyg(torus_7())), torus_7().skeleton(1))
