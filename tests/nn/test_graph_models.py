"""GIN, GINE and the network on fingerprints: against PyTorch Geometric and by what they count."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from small_complexes import ring_complex, with_categories
from torch import nn

import topodiff as td
from topodiff.nn import GIN, GINE, CircularFingerprint, FingerprintMLP
from topodiff.nn.fingerprint import mix

CATEGORIES = {0: (5, 3), 1: (4,)}


def test_published_number_of_parameters():
    for hidden, layers, expected in ((128, 4, 171_521), (48, 2, 16_129)):
        model = GINE({0: (28,), 1: (4,)}, hidden, 1, layers)
        assert sum(p.numel() for p in model.parameters()) == expected


class Applied(nn.Module):
    """A network whose last activation is applied."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x).value()


def test_layers_equal_those_of_pytorch_geometric(molecules):
    geometric = pytest.importorskip("torch_geometric.nn")
    torch.manual_seed(0)
    tail, head = molecules.edge_index
    arcs = torch.stack([torch.cat([tail, head]), torch.cat([head, tail])])
    for model in (GIN(CATEGORIES, 6, 1, 1).double(), GINE(CATEGORIES, 6, 1, 1).double()):
        h, layer = model.embedding(molecules), model.layers[0]
        if isinstance(model, GINE):
            theirs = geometric.GINEConv(Applied(layer.mlp))(h[0], arcs, torch.cat([h[1], h[1]]))
        else:
            theirs = geometric.GINConv(Applied(layer.mlp))(h[0], arcs)
        torch.testing.assert_close(layer(molecules, h)[0], theirs)


def test_gin_does_not_see_rings_or_edge_features(molecules):
    model = GIN(CATEGORIES, 6, 1, 2).eval()
    bare = molecules.skeleton(1)
    torch.testing.assert_close(model(molecules), model(bare.replace(x={0: bare.x[0]})))


def test_gine_sees_edge_features(molecules):
    model = GINE(CATEGORIES, 6, 1, 2).eval()
    other = molecules.replace(x={**molecules.x, 1: 3 - molecules.x[1]})
    assert not torch.allclose(model(molecules), model(other))


def test_dropout_does_not_touch_edges_again(molecules):
    model = GINE(CATEGORIES, 6, 1, 3, dropout=0.5)
    seen = []
    for layer in model.layers:
        layer.register_forward_hook(lambda _, inputs, output: seen.append(output[1]))
    model(molecules)
    assert seen[0] is seen[1] is seen[2]


def counts(graph: nx.Graph, radius: int) -> torch.Tensor:
    K = ring_complex(graph)
    K = K.replace(x={0: torch.zeros(K.num_cells(0), 1, dtype=torch.long)})
    return CircularFingerprint(2048, radius)(K)[0]


def test_fingerprint_counts_every_vertex_at_every_radius():
    assert counts(nx.path_graph(5), 2).sum() == 5 * 3
    # in a path of five the neighbourhoods of radius 1 are two ends and three inner vertices
    assert sorted(counts(nx.path_graph(5), 1)[counts(nx.path_graph(5), 1) > 0].tolist()) == [
        2,
        3,
        5,
    ]
    # in a ring all vertices look the same
    assert (
        sorted(counts(nx.cycle_graph(7), 2)[counts(nx.cycle_graph(7), 2) > 0].tolist()) == [7] * 3
    )


def test_fingerprint_sees_features_of_edges_within_its_radius(molecules):
    other = molecules.replace(x={**molecules.x, 1: (molecules.x[1] + 1) % 4})
    assert torch.equal(CircularFingerprint(64, 0)(molecules), CircularFingerprint(64, 0)(other))
    assert not torch.equal(CircularFingerprint(64, 1)(molecules), CircularFingerprint(64, 1)(other))


def test_hash_is_that_of_splitmix64():
    # first output of the published generator from state 0
    assert int(mix(torch.tensor(0))) % 2**64 == 0xE220A8397B1DCDAF


def test_fingerprint_refuses_real_features(molecules):
    real = molecules.replace(x={0: torch.randn(molecules.num_cells(0), 3)})
    with pytest.raises(TypeError, match="categorical"):
        CircularFingerprint()(real)
    with pytest.raises(TypeError, match="categorical"):
        FingerprintMLP({0: 3}, 8, 1)
    with pytest.raises(ValueError, match=r"x\[0\] is missing"):
        CircularFingerprint()(molecules.replace(x={}))


def test_every_model_has_one_interface():
    K = with_categories(ring_complex(nx.cycle_graph(5)))
    K = td.batch([K, K, K])
    for model in (td.nn.CIN, td.nn.SIN, GIN, GINE, FingerprintMLP):
        built = model(CATEGORIES, hidden_channels=8, out_channels=3, num_layers=2, dropout=0.1)
        assert built(K).shape == (3, 3)
        built.reset_parameters()
