"""The flavours of message passing contain each other: convolution with constant weights is
attention, and attention is a message from each neighbour; none of them tells neighbours apart that
have equal features."""

from __future__ import annotations

import pytest
import torch

from topodiff.complexes import CellComplex
from topodiff.dynamics import AttentionDiffusion, Entries, adjacency
from topodiff.nn.gat import GATLayer
from topodiff.nn.gcn import GCNLayer
from topodiff.nn.sage import GraphSAGE
from topodiff.solvers import diffuse

F64 = torch.float64
GRAPH = CellComplex.from_edges(6, torch.tensor([[0, 0, 1, 2, 3], [1, 2, 2, 3, 4]]))
X = torch.randn(6, 4, dtype=F64, generator=torch.Generator().manual_seed(0))


def gat():
    torch.manual_seed(0)
    return GATLayer(4, 6, heads=2).double()


def test_convolution_is_attention_with_constant_scores():
    layer = gat()
    torch.nn.init.zeros_(layer.own)
    torch.nn.init.zeros_(layer.others)
    mean = adjacency(GRAPH, F64, normalization="row")
    expected = mean @ (X @ layer.weight) + layer.bias
    torch.testing.assert_close(layer(GRAPH, X), expected, rtol=1e-12, atol=1e-12)


def test_attention_is_a_message_from_each_neighbour():
    layer = gat()
    entries = Entries.from_complex(GRAPH, loops=True)
    h = (X @ layer.weight).unflatten(1, (2, 3))

    def score(i, j):
        return torch.exp(
            torch.nn.functional.leaky_relu((layer.own * h[i] + layer.others * h[j]).sum(1), 0.2)
        )

    messages, totals = torch.zeros_like(h), torch.zeros(6, 2, 1, dtype=F64)
    for i, j in zip(entries.row.tolist(), entries.index.tolist(), strict=True):
        messages[i] += score(i, j)[:, None] * h[j]
        totals[i] += score(i, j)[:, None]
    expected = (messages / totals).flatten(1) + layer.bias
    torch.testing.assert_close(layer(GRAPH, X), expected, rtol=1e-12, atol=1e-12)


def test_a_step_of_diffusion_by_a_normalised_adjacency_is_graph_convolution():
    layer = GCNLayer(4, 4, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.eye(4))
    law = AttentionDiffusion.from_matrix(adjacency(GRAPH, F64))
    step = diffuse(law, X, 1.0, "euler", num_steps=1).x
    torch.testing.assert_close(step, layer(GRAPH, X), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: GCNLayer(4, 3),
        lambda: GATLayer(4, 6, 2),
        lambda: GraphSAGE(4, 8, 3, 1, 0.0),
    ],
)
def test_neighbours_of_equal_features_change_places(make):
    """1 and 2 look alike to 0, whatever they are tied to: 3 and 4, or the other way round."""
    torch.manual_seed(0)
    layer = make().double()
    x = X.clone()
    x[2] = x[1]
    one = CellComplex.from_edges(5, torch.tensor([[0, 0, 1, 2], [1, 2, 3, 4]]))
    other = CellComplex.from_edges(5, torch.tensor([[0, 0, 1, 2], [1, 2, 4, 3]]))
    before, after = layer(one, x[:5]), layer(other, x[:5])
    torch.testing.assert_close(before[0], after[0], rtol=1e-12, atol=1e-12)
    assert float((before - after)[1].detach().abs().max()) > 1e-3
