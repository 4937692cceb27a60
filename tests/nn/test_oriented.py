"""Oriented message passing: what turns with the orientation, and what does not."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import topodiff as td
from topodiff.complexes import CellComplex
from topodiff.nn import OrientedSIN, OrientedSINLayer


def triangulation() -> CellComplex:
    graph = nx.grid_2d_graph(3, 4)
    graph.add_edges_from(((i, j), (i + 1, j + 1)) for i in range(2) for j in range(3))
    return td.liftings.CliqueLifting(max_rank=2)(nx.convert_node_labels_to_integers(graph))


def turned(K: CellComplex, flips: dict[int, torch.Tensor]) -> CellComplex:
    """The same cells with other orientations: B_r <- T_{r-1} B_r T_r, x_r <- T_r x_r."""
    boundaries = []
    for r in range(1, K.rank + 1):
        face, cell = K.boundary_index(r)
        sign = K.boundary_sign(r)
        if r - 1 in flips:
            sign = sign * flips[r - 1][face]
        if r in flips:
            sign = sign * flips[r][cell]
        boundaries.append((K.boundary_index(r), sign))
    x = {r: flips[r].unsqueeze(1) * t if r in flips else t for r, t in K.x.items()}
    return CellComplex(K.shape, boundaries, x=x)


def random_flow(K: CellComplex, seed: int) -> CellComplex:
    g = torch.Generator().manual_seed(seed)
    return K.replace(x={1: torch.randn(K.num_cells(1), 2, generator=g, dtype=torch.float64)})


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), activation=st.sampled_from(["tanh", "identity"]))
def test_cochain_turns_with_the_edges_and_output_stays(seed, activation):
    K = random_flow(triangulation(), seed)
    g = torch.Generator().manual_seed(seed)
    flips = {r: torch.randint(2, (K.num_cells(r),), generator=g) * 2 - 1 for r in (1, 2)}
    torch.manual_seed(seed)
    model = OrientedSIN(2, 8, 3, 3, activation=activation).double()
    T = turned(K, flips)
    torch.testing.assert_close(model.cochain(T), flips[1].unsqueeze(1) * model.cochain(K))
    torch.testing.assert_close(model(T), model(K))


def test_relu_would_break_the_symmetry_and_is_refused():
    with pytest.raises(ValueError, match="activation must be one of"):
        OrientedSIN(2, 8, 3, activation="relu")


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_layer_equals_dense_matrices(rank):
    K = triangulation()
    torch.manual_seed(0)
    layer = OrientedSINLayer(3, 4, rank, "identity").double()
    x = torch.randn(K.num_cells(rank), 3, dtype=torch.float64)
    expected = layer.own(x)
    if rank < 2:
        B = torch.from_numpy(K.incidence_matrix(rank + 1).toarray()).double()
        up = B @ B.T
        expected = expected + layer.upper((up - torch.diag(up.diagonal())) @ x)
    if rank > 0:
        B = torch.from_numpy(K.incidence_matrix(rank).toarray()).double()
        low = B.T @ B
        expected = expected + layer.lower((low - torch.diag(low.diagonal())) @ x)
    torch.testing.assert_close(layer(K, x), expected)


def test_orientation_matters_to_the_flow_itself():
    K = random_flow(triangulation(), 0)
    model = OrientedSIN(2, 8, 3).double()
    other = K.replace(x={1: K.x[1] * torch.tensor([[1.0, -1.0]])})
    assert not torch.allclose(model(K), model(other))


def test_missing_flow_is_reported():
    with pytest.raises(ValueError, match=r"x\[1\]"):
        OrientedSIN(2, 8, 3)(triangulation())


def test_batch_equals_its_parts_with_gradients():
    parts = [random_flow(triangulation(), seed) for seed in (0, 1)]
    model = OrientedSIN(2, 8, 3).double()
    together = model(td.batch(parts))
    torch.testing.assert_close(together, torch.cat([model(K) for K in parts]))
    together.square().sum().backward()
    assert all(bool((p.grad != 0).any()) for p in model.parameters())
