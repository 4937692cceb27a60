"""GRAFF and GraphCON, written out."""

from __future__ import annotations

import pytest
import torch
from continuous_models import GRAPH, HIDDEN, IN, OUT, X, encoded, make

from topodiff.dynamics import DirichletEnergy, adjacency
from topodiff.nn import GCNLayer, GraphCON
from topodiff.nn.graff import FORMS, SymmetricMatrix


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_symmetric_with_their_signs(form):
    torch.manual_seed(0)
    m = SymmetricMatrix(6, form).double()()
    assert torch.equal(m, m.T)
    values = torch.linalg.eigvalsh(m.detach())
    if form == "prod":
        assert float(values[0]) > -1e-12
    if form == "neg_prod":
        assert float(values[-1]) < 1e-12
    if form == "diag":
        assert int(m.count_nonzero()) == 6


def test_graff_written_out():
    model = make("graff")
    start = x = encoded(model)
    a = adjacency(GRAPH, torch.float64, loops=0.0).to_dense()
    w, omega, source = model.mixing[0](), model.own[0](), model.source[0]()
    for _ in range(6):
        x = x + 0.5 * (-x @ omega + a @ x @ w - start @ source)
    torch.testing.assert_close(model(GRAPH), model.decode(x))


# ---- GraphCON


def test_graphcon_written_out():
    torch.manual_seed(0)
    model = GraphCON(
        IN, HIDDEN, OUT, 3, dt=0.5, alpha=0.3, gamma=0.7, residual="learnt", activation="tanh"
    ).double()
    a = adjacency(GRAPH, torch.float64).to_dense()
    layer, extra = model.layers[0], model.residuals[0]
    x = y = torch.tanh(X @ model.encoder.weight + model.encoder.bias)
    for _ in range(3):
        force = a @ x @ layer.weight + layer.bias - x @ layer.weight + extra(x)
        y = y + 0.5 * (torch.tanh(force) - 0.7 * x - 0.3 * y)
        x = x + 0.5 * y
    torch.testing.assert_close(model(GRAPH), model.decoder(x))


def test_graphcon_with_ones_is_the_plain_network():
    torch.manual_seed(0)
    model = GraphCON(IN, HIDDEN, OUT, 4, shared=False).double()
    x = (X @ model.encoder.weight + model.encoder.bias).relu()
    for layer in model.layers:
        x = layer(GRAPH, x).relu()
    torch.testing.assert_close(model(GRAPH), model.decoder(x))


def test_depth_does_not_smooth_graphcon_as_it_does_gcn():
    torch.manual_seed(0)
    energy = DirichletEnergy(GRAPH)
    deep = GraphCON(IN, HIDDEN, OUT, 128, alpha=0.0, gamma=1.0, shared=False).double()
    with torch.no_grad():
        states = deep.states(GRAPH)
        values = torch.stack([energy(s) for s in states])
        assert float(values[64:].mean()) > 1e-2 * float(values[0])
        x = states[0]
        for _ in range(128):
            x = GCNLayer(HIDDEN, HIDDEN).double()(GRAPH, x).relu()
        assert float(energy(x)) < 1e-12


def test_dropout_is_for_training():
    torch.manual_seed(0)
    model = GraphCON(IN, HIDDEN, OUT, 2, dropout=0.5).double()
    assert not torch.equal(model(GRAPH), model(GRAPH))
    model.eval()
    assert torch.equal(model(GRAPH), model(GRAPH))
