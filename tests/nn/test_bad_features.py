"""Features of a kind that a model was not made for: said before anything is computed."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from every_model import MODELS, OF_COMPLEXES, OF_EDGES, OF_VERTICES, REAL, complex_for

import topodiff as td
from topodiff.nn import (
    CIN,
    GCN,
    GIN,
    GINE,
    SIN,
    CINLayer,
    CochainSheafDiffusion,
    FlowSheafDiffusion,
    GINLayer,
    GraphCON,
    HodgeDiffusion,
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
    for kind in (CIN, GIN, GINE, SIN, CochainSheafDiffusion):
        with pytest.raises(ValueError, match="num_layers must be a whole number >= 0, got -1"):
            kind(*REAL, num_layers=-1)


WRONG_SIZES = {
    "hidden_channels must be a whole number >= 1, got 0": ({0: 4}, 0, 1),
    "hidden_channels must be a whole number >= 1, got -1": ({0: 4}, -1, 1),
    "out_channels must be a whole number >= 1, got 0": ({0: 4}, 8, 0),
    "in_channels must be a whole number >= 1, got 0": ({0: 0}, 8, 1),
    "a rank of in_channels must be a whole number >= 0, got 'x'": ({"x": 4}, 8, 1),
    "in_channels must describe rank 0, got ranks": ({1: 4}, 8, 1),
    "every column needs at least one category": ({0: ()}, 8, 1),
}


@pytest.mark.parametrize("kind", [CIN, SIN, GIN, GINE])
def test_sizes_of_models_of_complexes_are_checked(kind):
    for message, shape in WRONG_SIZES.items():
        with pytest.raises(ValueError, match=message):
            kind(*shape)
    with pytest.raises(TypeError, match=r"mapping from ranks .* such as \{0: 4\}.*, got 4"):
        kind(4, 8, 1)
    for columns in (2.5, ("a", "b")):
        with pytest.raises(TypeError, match="numbers of categories must be whole numbers"):
            kind({0: columns}, 8, 1)


def test_sizes_of_layers_and_of_oriented_models_are_checked():
    with pytest.raises(ValueError, match="max_rank must be a whole number >= 0, got -1"):
        CIN({0: 4}, 8, 1, max_rank=-1)
    with pytest.raises(ValueError, match="max_rank must be a whole number >= 0, got -1"):
        CINLayer(8, 8, -1)
    with pytest.raises(ValueError, match="in_channels must be a whole number >= 1, got 0"):
        CINLayer(0, 8)
    with pytest.raises(ValueError, match="channels must be a whole number >= 1, got 0"):
        GINLayer(0)
    with pytest.raises(ValueError, match="hidden_channels must be a whole number >= 1, got 0"):
        OrientedSIN(3, 0, 1)
    with pytest.raises(ValueError, match="rank must be a whole number >= 0, got -1"):
        OrientedSIN(3, 4, 1, rank=-1)
    with pytest.raises(ValueError, match="num_layers must be a whole number >= 1, got 0"):
        OrientedSIN(3, 4, 1, 0)
    with pytest.raises(ValueError, match="rank must be a whole number >= 0, got -1"):
        td.nn.HodgeDiffusion(3, 4, 1, rank=-1)
    with pytest.raises(ValueError, match="hidden_channels must be a whole number >= 1, got 0"):
        td.nn.FlowSheafDiffusion(3, 0, 1)
    with pytest.raises(ValueError, match="channels must be a whole number >= 1, got 0"):
        td.nn.SheafCochainLayer(0)
    with pytest.raises(ValueError, match="there are none: omit it"):
        CIN({0: 4}, 8, 1, 0, jump="cat")
    with pytest.raises(ValueError, match=r"dropout is in \[0, 1\), got 1.0"):
        CIN({0: 4}, 8, 1, dropout=1.0)
    with pytest.raises(TypeError, match=r"mapping from ranks .* got \(3,\)"):
        td.nn.FingerprintMLP((3,), 6, 2)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_no_complex_is_refused(name):
    for graph in (nx.path_graph(3), [complex_for(name)]):
        with pytest.raises(TypeError, match=rf"got {type(graph).__name__}: .*from_networkx.*batch"):
            MODELS[name]()(graph)


def test_cochains_that_do_not_fit_a_layer_are_refused():
    K = td.liftings.CliqueLifting(max_rank=3)(nx.complete_graph(4))
    x = [torch.ones(n, 5) for n in K.shape]
    layer = CINLayer(5, 6)
    with pytest.raises(ValueError, match=r"of 4 ranks; .*max_rank=2 takes .* 0 to at most 2"):
        layer(K, x)
    with pytest.raises(ValueError, match="cochains of 0 ranks"):
        layer(K, [])
    with pytest.raises(ValueError, match=r"takes those of ranks 0 to at most 1 .* of rank 1"):
        layer(K.skeleton(1), x[:3])
    with pytest.raises(ValueError, match=r"x\[1\] must have shape \(6, 5\), got \(7, 5\)"):
        layer(K, [x[0], torch.ones(7, 5)])
    assert [t.shape for t in layer(K, x[:2])] == [(4, 6), (6, 6)]


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


@pytest.mark.parametrize("kind", [HodgeDiffusion, FlowSheafDiffusion])
def test_flows_on_vertices_alone(kind):
    K = complex_for("Hodge").skeleton(0)
    with pytest.raises(ValueError, match="for 1-cells, of which a complex of rank 0 has none"):
        kind(4, 6, 2)(K, torch.ones(0, 4))


def test_features_on_the_complex_are_checked_likewise():
    K = complex_for("CIN")
    for model in (CIN(*REAL), GCN(4, 6, 2)):
        with pytest.raises(TypeError, match=r"float64.*float32"):
            model(K.to(dtype=torch.float64))


OF_REAL = [name for name in OF_COMPLEXES if name not in ("CIN-categories", "fingerprint")]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", OF_REAL)
def test_features_of_complexes_that_are_not_finite(name, bad):
    K, model = complex_for(name), MODELS[name]()
    ranks = (1,) if name == "oriented-SIN" else (0,) if name == "GIN" else (0, 1)
    for rank in ranks:
        x = K.x[rank].index_fill(0, torch.tensor(3), bad)
        with pytest.raises(ValueError, match="cell 3 are not finite"):
            model(K.replace(x={**K.x, rank: x}))


@pytest.mark.parametrize("kind", [CIN, SIN])
def test_categories_that_are_missing_or_of_another_shape(kind):
    K, model = complex_for("CIN-categories"), kind({0: (4,)}, 6, 2)
    with pytest.raises(ValueError, match="features on the 0-cells, but the complex has none"):
        model(K.replace(x={}))
    with pytest.raises(ValueError, match=r"shape \(n, 1\), got \(12, 1, 2\)"):
        model(K.replace(x={0: torch.zeros(12, 1, 2, dtype=torch.long)}))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int8])
def test_fingerprints_of_narrow_integers(dtype):
    K, model = complex_for("fingerprint"), MODELS["fingerprint"]().eval()
    narrow = K.replace(x={r: x.to(dtype) for r, x in K.x.items()})
    assert torch.equal(model(narrow), model(K))


def test_fingerprints_of_bonds_that_have_no_features():
    K = td.from_smiles("CCO")
    model = td.nn.FingerprintMLP(td.molecules.feature_set("full").in_channels, 6, 2).eval()
    assert model(K).shape == (1, 2)
    with pytest.raises(ValueError, match="features on the 1-cells, but the complex has none"):
        model(K.replace(x={0: K.x[0]}))


def test_sizes_of_fingerprints_are_checked():
    for sizes, message in {
        (1.5, 2): "size must be a whole number >= 1, got 1.5",
        (0, 2): "size must be a whole number >= 1, got 0",
        (8, 0.5): "radius must be a whole number >= 0, got 0.5",
    }.items():
        with pytest.raises(ValueError, match=message):
            td.nn.CircularFingerprint(*sizes)
    with pytest.raises(ValueError, match="hidden_channels must be a whole number >= 1, got 0"):
        td.nn.FingerprintMLP({0: (3,)}, 0, 2)
    with pytest.raises(ValueError, match="num_layers must be a whole number >= 0, got -1"):
        td.nn.FingerprintMLP({0: (3,)}, 6, 2, -1)


@pytest.mark.parametrize("kind", [CIN, SIN, GIN, GINE])
def test_numbers_of_features_may_be_those_of_numpy(kind):
    model = kind({0: np.int64(4)}, 8, 1)
    assert model.embedding.features["0"].extra_repr() == "4, 8"


def test_fingerprints_of_categories_that_are_none():
    K, model = complex_for("fingerprint"), MODELS["fingerprint"]()
    with pytest.raises(ValueError, match=r"row 0, column 0 holds category 5; there are 3"):
        model(K.replace(x={0: K.x[0] * 0 + 5}))
    with pytest.raises(ValueError, match=r"shape \(n, 1\), got \(12, 2\)"):
        model(K.replace(x={0: K.x[0].expand(-1, 2)}))
    with pytest.raises(TypeError, match="not real ones: rank 1"):
        td.nn.FingerprintMLP({0: (3,), 1: 4}, 6, 2)


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
