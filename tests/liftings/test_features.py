"""Features of higher cells."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lifting_graphs import graphs

import topodiff as td
from topodiff.liftings import CliqueLifting, FeatureLifting, RingLifting


def reduced(rows: torch.Tensor, reduce: str) -> torch.Tensor:
    return {"sum": rows.sum(0), "mean": rows.mean(0), "max": rows.max(0).values}[reduce]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(
    graph=graphs(8),
    lifting=st.sampled_from([CliqueLifting(3), RingLifting(6)]),
    reduce=st.sampled_from(["sum", "mean", "max"]),
)
def test_features_are_reduced_over_the_vertices_of_each_cell(dtype, graph, lifting, reduce):
    x = torch.randn(len(graph), 3, dtype=dtype)
    complex = lifting(td.from_networkx(graph).replace(x={0: x}))
    lifted = FeatureLifting(reduce)(complex)
    assert lifted.x[0] is x
    for r in range(1, complex.rank + 1):
        expected = [reduced(x[list(cell)], reduce) for cell in complex.cells(r)]
        assert lifted.x[r].shape == (complex.num_cells(r), 3)
        if expected:
            torch.testing.assert_close(lifted.x[r], torch.stack(expected))


def test_concatenation_follows_the_order_of_the_vertices():
    x = torch.arange(4)[:, None] * torch.tensor([1, 10])
    lifted = FeatureLifting("concat")(
        CliqueLifting()(td.from_networkx(nx.complete_graph(4)).replace(x={0: x}))
    )
    assert lifted.x[1][0].tolist() == [0, 0, 1, 10]
    assert lifted.x[2].tolist()[-1] == [1, 10, 2, 20, 3, 30]
    assert lifted.x[2].dtype == torch.long


def test_concatenation_needs_cells_of_one_size():
    house = RingLifting(4)(nx.house_graph()).replace(x={0: torch.rand(5, 2)})
    with pytest.raises(ValueError, match="rank 2 have 3 to 4 vertices"):
        FeatureLifting("concat")(house)
    path = RingLifting(4)(nx.path_graph(3)).replace(x={0: torch.rand(3, 2)})
    assert FeatureLifting("concat")(path).x[2].shape == (0, 6)


def test_features_that_are_there_stay():
    own = torch.rand(3, 7)
    complex = CliqueLifting()(nx.complete_graph(3)).replace(x={0: torch.rand(3, 2), 1: own})
    lifted = FeatureLifting("mean")(complex)
    assert lifted.x[1] is own
    torch.testing.assert_close(lifted.x[2], complex.x[0].mean(0, keepdim=True))


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "concat"])
def test_gradients_reach_the_vertices(reduce):
    complex = CliqueLifting()(nx.complete_graph(4))
    x = torch.randn(4, 2, dtype=torch.double, requires_grad=True)

    def lift(x):
        return FeatureLifting(reduce)(complex.replace(x={0: x})).x[2]

    assert torch.autograd.gradcheck(lift, x)


def test_misuse_is_explained():
    triangle = CliqueLifting()(nx.complete_graph(3))
    with pytest.raises(ValueError, match="needs vertex features"):
        FeatureLifting()(triangle)
    with pytest.raises(TypeError, match=r"vertex features, got torch\.int64"):
        FeatureLifting("mean")(triangle.replace(x={0: torch.arange(3)}))
    with pytest.raises(ValueError, match="reduce must be one of sum, mean, max, concat"):
        FeatureLifting("median")
