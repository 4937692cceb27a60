"""Features of a kind that a model was not made for: said before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from every_model import MODELS, OF_EDGES, OF_VERTICES, REAL, complex_for

import topodiff as td
from topodiff.nn import (
    CIN,
    GCN,
    GIN,
    GINE,
    SIN,
    CochainSheafDiffusion,
    GraphCON,
    OrientedSIN,
)

given_features = pytest.mark.parametrize("name", [*OF_VERTICES, *OF_EDGES])


@given_features
def test_features_of_another_kind_are_refused(name):
    K, model = complex_for(name), MODELS[name]()
    x = K.x[name in OF_EDGES]
    bad = {
        r"float64.*float32.*\.to\(\)": x.double(),
        r"float16.*float32.*\.to\(\)": x.half(),
        r"floating-point numbers, got torch\.int64": x.long(),
        "ndarray": x.numpy(),
        "list": x.tolist(),
        r"meta.*cpu.*\.to\(\)": x.to("meta"),
    }
    for message, features in bad.items():
        with pytest.raises(TypeError, match=message):
            model(K, features)
    with pytest.raises(ValueError, match="shape"):
        model(K, x[1:])
    with pytest.raises(ValueError, match="are not finite"):
        model(K, torch.full_like(x, np.nan))


def test_fewer_layers_than_none_are_refused():
    for kind in (CIN, GIN, GINE, SIN, CochainSheafDiffusion, OrientedSIN):
        with pytest.raises(ValueError, match="num_layers must be a whole number >= 0, got -1"):
            kind(*(REAL if kind is not OrientedSIN else (3, 4, 1)), num_layers=-1)


def test_flows_of_another_kind_are_refused():
    K, model = complex_for("OrientedSIN"), OrientedSIN(3, 4, 1)
    flows = torch.randn(K.num_cells(1), 3)
    assert model(K.replace(x={1: flows})).isfinite().all()
    with pytest.raises(TypeError, match=r"float64.*float32"):
        model(K.replace(x={1: flows.double()}))
    with pytest.raises(ValueError, match=r"features of .* have shape"):
        model(K.replace(x={1: flows[:, 1:]}))
    with pytest.raises(ValueError, match=r"x\[1\] is missing"):
        model(K.replace(x={}))


def test_features_on_the_complex_are_checked_likewise():
    K = complex_for("CIN")
    for model in (CIN(*REAL), GCN(4, 6, 2)):
        with pytest.raises(TypeError, match=r"float64.*float32"):
            model(K.to(dtype=torch.float64))


@given_features
def test_features_of_lower_precision_under_autocast(name):
    torch.manual_seed(0)
    K, model = complex_for(name), MODELS[name]().eval()
    x = K.x[name in OF_EDGES].bfloat16()
    exact = model(K, x.float())
    with torch.autocast("cpu", torch.bfloat16):
        out = model(K, x)
    assert (out - exact).abs().max() < 0.03 * exact.abs().max()


def test_large_states_are_finite():
    K = td.CellComplex.from_edges(3, torch.tensor([[0, 1], [1, 2]]))
    model = GraphCON(1, 1, 1, dt=1e-3, alpha=0.0)
    torch.nn.init.ones_(model.encoder.weight)
    torch.nn.init.zeros_(model.layers[0].weight)
    torch.nn.init.zeros_(model.decoder.weight)
    assert model(K, torch.full((3, 1), 2e38)).isfinite().all()
