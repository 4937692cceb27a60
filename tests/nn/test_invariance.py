"""What no model may notice: the numbering of cells, and who else is in the batch."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import topodiff as td
from topodiff.nn import CIN, GIN, GINE, SIN, CINLayer, FingerprintMLP
from topodiff.testing import assert_permutation_equivariant

MODELS = [
    lambda: CIN({0: (5,)}, 8, 2, 2),
    lambda: CIN({0: (5,)}, 8, 2, 2, lower_messages=True, jump="cat"),
    lambda: CIN({0: (5,)}, 8, 2, 2, readout="mean", norm="layer", init_reduce="mean"),
    lambda: SIN({0: (5,)}, 8, 2, 2),
    lambda: SIN({0: (5,)}, 8, 2, 2, coface_features=True),
    lambda: GIN({0: (5,)}, 8, 2, 2),
    lambda: GINE({0: (5,)}, 8, 2, 2),
    lambda: FingerprintMLP({0: (5,)}, 8, 2),
]
NAMES = ["CIN", "CIN lower", "CIN mean", "SIN", "SIN cofaces", "GIN", "GINE", "MLP"]


def lifted(graph: nx.Graph, category: list[int]) -> td.CellComplex:
    K = td.liftings.RingLifting(6)(graph)
    return K.replace(x={0: torch.tensor(category).reshape(-1, 1)})


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), edges=st.integers(0, 16))
def test_numbering_of_vertices_changes_nothing(make, seed, edges):
    g = torch.Generator().manual_seed(seed)
    graph = nx.gnm_random_graph(8, edges, seed=seed)
    order = torch.randperm(8, generator=g).tolist()
    category = torch.randint(5, (8,), generator=g).tolist()
    renumbered = nx.empty_graph(8)
    renumbered.add_edges_from((order[u], order[v]) for u, v in graph.edges)
    moved = [0] * 8
    for v, c in enumerate(category):
        moved[order[v]] = c
    torch.manual_seed(seed)
    model = make().double().eval()
    with torch.no_grad():
        a, b = model(lifted(graph, category)), model(lifted(renumbered, moved))
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", [{"coface_features": False}, {"lower_messages": True}])
def test_layers_on_tetrahedra_follow_the_numbering(options):
    graphs = [nx.gnp_random_graph(8, 0.6, seed=s) for s in range(3)]
    K = td.batch([td.liftings.CliqueLifting(max_rank=3)(g) for g in graphs])
    K = K.replace(x={r: torch.randn(n, 5) for r, n in enumerate(K.shape)})
    layer = CINLayer(5, 6, max_rank=3, **options).eval()
    assert_permutation_equivariant(
        lambda K: dict(enumerate(layer(K, [K.x[r] for r in range(K.rank + 1)]))), K
    )


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_batch_equals_its_parts(make):
    graphs = [nx.cycle_graph(5), nx.path_graph(3), nx.complete_graph(4), nx.empty_graph(1)]
    parts = [lifted(g, [v % 5 for v in g]) for g in graphs]
    torch.manual_seed(0)
    model = make().double()
    model(td.batch(parts))  # statistics other than the first ones
    model.eval()
    together = model(td.batch(parts))
    alone = torch.cat([model(K) for K in parts])
    assert together.shape == (4, 2)
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("make", MODELS, ids=NAMES)
def test_runs_in_both_precisions_with_gradients(make):
    K = lifted(nx.cycle_graph(5), [0, 1, 2, 3, 4])
    K = td.batch([K, K, K])
    for dtype in (torch.float32, torch.float64):
        model = make().to(dtype)
        out = model(K)
        out.sum().backward()
        assert out.dtype == dtype
        assert all(p.grad is not None and p.grad.dtype == dtype for p in model.parameters())
