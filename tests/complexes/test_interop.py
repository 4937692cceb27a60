"""Round trips with networkx, gudhi and scipy."""

import gudhi
import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from spaces import cube, hemicube, torus_7

from topodiff.complexes import CellComplex
from topodiff.complexes.interop import (
    from_gudhi,
    from_networkx,
    from_scipy,
    to_gudhi,
    to_networkx,
)
from topodiff.testing import assert_complex_equal
from topodiff.testing.strategies import complexes, graphs, simplicial_complexes, with_data

# -- networkx


@given(graphs(), st.randoms(use_true_random=False))
def test_networkx_graphs(complex, random):
    graph = to_networkx(complex)
    assert (graph.number_of_nodes(), graph.number_of_edges()) == complex.shape
    assert_complex_equal(from_networkx(graph), complex)
    names = dict(enumerate(random.sample([f"n{i}" for i in range(50)], complex.shape[0])))
    shuffled = nx.Graph()
    shuffled.add_nodes_from(names.values())
    pairs = [pair[::-1] if random.random() < 0.5 else pair for pair in complex.cells(1)]
    random.shuffle(pairs)
    shuffled.add_edges_from((names[u], names[v]) for u, v in pairs)
    assert_complex_equal(from_networkx(shuffled), complex)


@given(graph=graphs())
def test_networkx_data(dtype, graph):
    complex = with_data(graph)
    # torch cannot tell the width of data on no cells from a graph
    if 0 in complex.shape:
        return
    nx_graph = to_networkx(complex)
    again = from_networkx(
        nx_graph, node_keys=["x"], edge_keys=["x"], position_key="pos", weight_key="weight"
    )
    kept = complex.replace(weights={1: complex.weights[1]}, labels=None, y=None)
    assert_complex_equal(again, kept)
    labels = from_networkx(nx_graph, node_keys=["label", "x"]).x[0]
    assert torch.equal(labels, torch.cat([complex.labels[0][:, None], complex.x[0]], 1))


def test_networkx_attributes_by_key():
    graph = nx.Graph([("a", "b", {"bond": 2}), ("c", "b", {"bond": 1})])
    nx.set_node_attributes(graph, {"a": 6, "b": 7, "c": 8}, "z")
    nx.set_node_attributes(graph, {name: np.ones(2) for name in "abc"}, "v")
    complex = from_networkx(graph, node_keys=["z"], edge_keys=["bond"], position_key="v")
    assert complex.x[0].tolist() == [[6], [7], [8]]
    assert complex.x[1].tolist() == [[2], [1]]
    assert complex.x[0].dtype == torch.long
    assert complex.positions.shape == (3, 2)
    with pytest.raises(ValueError, match=r"node 'a' has no attribute 'q'; it has \['v', 'z'\]"):
        from_networkx(graph, node_keys=["q"])
    graph.nodes["b"]["v"] = [1.0]
    with pytest.raises(ValueError, match="node 'b' has 1 values for 'v', the others 2"):
        from_networkx(graph, node_keys=["v"])
    graph.edges["a", "b"]["bond"] = "double"
    with pytest.raises(ValueError, match=r"edge \('a', 'b'\) has bond = 'double'"):
        from_networkx(graph, edge_keys=["bond"])
    with pytest.raises(TypeError, match="list of attribute names, got the string 'z'"):
        from_networkx(graph, node_keys="z")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(2, requires_grad=True), "has v = .* gradients do not pass .* detached"),
        (2**63, "has v = 9223372036854775808, which is more than 9223372036854775807"),
        (2**64, "has v = 18446744073709551616, which is not numeric, or not in 64 bits"),
        ([[1], [1, 2]], r"has v = \[\[1\], \[1, 2\]\], which is not numeric"),
    ],
)
def test_networkx_attributes_that_are_no_numbers(value, message):
    graph = nx.Graph()
    graph.add_node("a", v=value)
    with pytest.raises(ValueError, match=f"node 'a' {message}"):
        from_networkx(graph, node_keys=["v"])


def test_networkx_attributes_of_any_kind_of_number():
    graph = nx.path_graph(2)
    for kind, dtype in [(np.uint64, torch.long), (np.float16, torch.get_default_dtype())]:
        nx.set_node_attributes(graph, dict(enumerate(np.arange(2, dtype=kind))), "v")
        assert from_networkx(graph, node_keys=["v"]).x[0].dtype == dtype
    nx.set_node_attributes(graph, dict(enumerate(torch.arange(2.0).bfloat16())), "v")
    assert from_networkx(graph, node_keys=["v"]).x[0].tolist() == [[0], [1]]


def test_networkx_nodes_that_print_alike():
    class Atom:
        def __repr__(self):
            return "C"

    graph, a, b, c = nx.Graph(), Atom(), Atom(), Atom()
    graph.add_edge(a, b, length=1.0)
    graph.add_edge(b, c, length=2.0)
    nx.set_node_attributes(graph, {a: 1.0, b: 2.0, c: 3.0}, "charge")
    complex = from_networkx(graph, node_keys=["charge"], edge_keys=["length"])
    assert complex.x[0].flatten().tolist() == [1, 2, 3]
    assert complex.x[1].flatten().tolist() == [1, 2]


def test_networkx_graphs_that_are_no_complexes():
    with pytest.raises(ValueError, match=r"directed.*to_undirected"):
        from_networkx(nx.DiGraph([(0, 1)]))
    with pytest.raises(ValueError, match=r"multigraph.*networkx\.Graph"):
        from_networkx(nx.MultiGraph([(0, 1), (0, 1)]))
    with pytest.raises(ValueError, match="self-loop at vertex 1"):
        from_networkx(nx.Graph([(0, 1), (1, 1)]))
    with pytest.raises(TypeError, match=r"networkx\.Graph, got list"):
        from_networkx([(0, 1)])
    loops = nx.Graph([(1, 1, {"a": 5}), (0, 1, {"a": 6})])
    complex = from_networkx(loops, edge_keys=["a"], self_loops="drop")
    assert (complex.shape, complex.x[1].tolist()) == ((2, 1), [[6]])


def test_networkx_takes_the_skeleton():
    assert nx.utils.graphs_equal(to_networkx(cube(3)), to_networkx(cube(3).skeleton(1)))
    assert nx.is_isomorphic(to_networkx(cube(4)), nx.hypercube_graph(4))


# -- gudhi


@given(simplicial_complexes())
def test_gudhi_trees(complex):
    tree = to_gudhi(complex)
    assert tree.num_simplices() == sum(complex.shape)
    assert_complex_equal(from_gudhi(tree), complex)


@given(complex=simplicial_complexes(), names=st.lists(st.integers(0, 99), unique=True, min_size=8))
def test_gudhi_filtrations_and_names(dtype, complex, names):
    values = {}
    for r in range(complex.rank + 1):
        # a coface appears last of all its faces, at the largest of its vertices
        values[r] = torch.tensor([[float(max(cell))] for cell in complex.cells(r)]).reshape(-1, 1)
    again = from_gudhi(to_gudhi(complex, filtration=values), filtration=True)
    assert_complex_equal(again, complex.replace(x=values))
    names.sort()
    renamed = gudhi.SimplexTree()
    for r in range(complex.rank + 1):
        for cell in complex.cells(r):
            renamed.insert([names[v] for v in cell])
    assert_complex_equal(from_gudhi(renamed), complex)


def test_gudhi_raises_cofaces_to_their_faces():
    """The lower-star filtration of values of vertices; and cofaces that come too early."""
    complex = CellComplex.from_simplices([(0, 1, 2), (2, 3)])
    tree = to_gudhi(complex, filtration={0: [1.0, 5.0, 3.0, 2.0], 1: [9.0, 0.0, 0.0, 0.0]})
    found = {tuple(simplex): value for simplex, value in tree.get_simplices()}
    assert [found[v,] for v in range(4)] == [1, 5, 3, 2]
    assert [found[e] for e in [(0, 1), (0, 2), (1, 2), (2, 3)]] == [9, 3, 5, 3]
    assert found[0, 1, 2] == 9


def test_gudhi_refusals():
    with pytest.raises(ValueError, match=r"ranks 0 to 2, filtration has \{3\}"):
        to_gudhi(torus_7(), filtration={3: torch.zeros(7)})
    with pytest.raises(ValueError, match="holds simplices"):
        to_gudhi(hemicube())
    with pytest.raises(ValueError, match=r"filtration\[1\] has 7 values for 21 1-cells"):
        to_gudhi(torus_7(), filtration={1: torch.zeros(7)})
    with pytest.raises(TypeError, match=r"gudhi\.SimplexTree, got list"):
        from_gudhi([[0, 1]])
    assert from_gudhi(gudhi.SimplexTree()).shape == (0,)


# -- scipy


@given(complexes())
def test_scipy_boundaries(complex):
    if complex.rank == 0:
        return
    matrices = [complex.incidence_matrix(r) for r in range(1, complex.rank + 1)]
    assert_complex_equal(from_scipy(matrices), complex)
    assert_complex_equal(from_scipy([sp.coo_array(m.astype(float)) for m in matrices]), complex)


@given(graphs())
def test_scipy_adjacencies(complex):
    matrix = nx.to_scipy_sparse_array(to_networkx(complex)) if complex.shape[0] else None
    if matrix is not None:
        assert_complex_equal(from_scipy(matrix), complex)
        assert_complex_equal(from_scipy(sp.csc_matrix(matrix, dtype=bool)), complex)


def test_scipy_weights():
    matrix = sp.csr_matrix([[0, 2.5, 9], [2.5, 0, 1], [9, 1, 0]])
    matrix.data[matrix.data == 9] = 0  # stored zeros are no edges
    complex = from_scipy(matrix)
    assert complex.cells(1) == [(0, 1), (1, 2)]
    assert complex.weights[1].tolist() == [2.5, 1]


@pytest.mark.parametrize(
    ("matrix", "error", "message"),
    [
        (np.eye(3), TypeError, "scipy sparse matrices, got ndarray"),
        (sp.csr_matrix((2, 3)), ValueError, "square and symmetric"),
        (sp.csr_matrix([[0, 1], [0, 0]]), ValueError, "square and symmetric"),
        (sp.csr_matrix([[0, np.nan], [np.nan, 0]]), ValueError, "adjacency matrix holds NaN"),
        (sp.eye(2), ValueError, "self-loop at vertex 0"),
        ([], ValueError, "at least one"),
        ([sp.csr_matrix([[-1], [1]]), sp.csr_matrix((2, 1))], ValueError, "B_2 has 2 rows, but"),
        ([sp.csr_matrix([[-0.5], [0.5]])], ValueError, r"B_1 must be 0, \+1 or -1"),
        ([sp.csr_matrix([[-1], [2]])], ValueError, r"sign 2 .* is not \+1 or -1"),
    ],
)
def test_scipy_refusals(matrix, error, message):
    with pytest.raises(error, match=message):
        from_scipy(matrix)


def test_scipy_cells_in_another_order():
    complex = torus_7()
    b1, b2 = complex.incidence_matrix(1), complex.incidence_matrix(2)
    flip, order = sp.diags([-1.0, 1.0] * 10 + [-1.0]), np.random.default_rng(0).permutation(21)
    again = from_scipy([(b1 @ flip)[:, order], (flip @ b2)[order][:, ::-1]])
    assert_complex_equal(again, complex)
    assert isinstance(again, CellComplex)
