"""What neural sheaf diffusion does with odd graphs and wrong arguments."""

from __future__ import annotations

import pytest
import torch

import topodiff as td
from topodiff.nn import (
    CochainSheafDiffusion,
    ContinuousSheafDiffusion,
    FlowSheafDiffusion,
    HodgeDiffusion,
    NeuralSheafDiffusion,
    SheafCochainLayer,
)

FAMILIES = ["identity", "scalar", "diagonal", "orthogonal", "general", "bundle"]


def complex_of(n: int, edges: list[tuple[int, int]]) -> td.CellComplex:
    index = torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T
    x = torch.linspace(-1, 1, 4 * n).reshape(n, 4)
    return td.CellComplex.from_edges(n, index).replace(x={0: x})


@pytest.mark.parametrize("maps", FAMILIES)
@pytest.mark.parametrize("filters", [False, True])
def test_vertices_without_edges_keep_to_themselves(maps, filters):
    torch.manual_seed(0)
    options = {"maps": maps, "low_pass": filters, "high_pass": filters}
    model = NeuralSheafDiffusion(4, 3, 2, 2, **options)
    whole = complex_of(3, [])
    out = model(whole)
    out.sum().backward()
    assert out.isfinite().all()
    alone = torch.cat([model(whole.replace(x={}), whole.x[0])[v : v + 1] for v in range(3)])
    torch.testing.assert_close(out, alone)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    one = td.CellComplex((1,), []).replace(x={0: whole.x[0][1:2]})
    torch.testing.assert_close(model(one), out[1:2])
    nothing = td.CellComplex((0,), []).replace(x={0: torch.zeros(0, 4)})
    assert model(nothing).shape == (0, 2)


@pytest.mark.parametrize("maps", FAMILIES)
def test_disconnected_parts_do_not_meet(maps):
    torch.manual_seed(0)
    model = NeuralSheafDiffusion(4, 3, 2, 2, maps=maps)
    K = complex_of(6, [(0, 1), (1, 2), (3, 4)])
    x = K.x[0].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(K, x)[:3].sum(), x)
    assert gradient[:3].any()
    assert not gradient[3:].any()


def test_duplicate_and_one_directional_edges_are_one_edge():
    model = NeuralSheafDiffusion(4, 3, 2, 2)
    once = complex_of(4, [(0, 1), (1, 2), (3, 2)])
    often = complex_of(4, [(1, 0), (0, 1), (2, 1), (2, 3), (3, 2), (2, 3)])
    assert torch.equal(model(once), model(often))


@pytest.mark.parametrize("maps", FAMILIES)
def test_self_loops_are_refused_or_left_out(maps):
    torch.manual_seed(0)
    model, proper = NeuralSheafDiffusion(4, 3, 2, 2, maps=maps), complex_of(3, [(0, 1), (1, 2)])
    loops = torch.tensor([[0, 1, 1, 2], [1, 1, 2, 2]])
    with pytest.raises(ValueError, match=r"edge 1 is a self-loop at vertex 1.*self_loops=\"drop\""):
        td.CellComplex.from_edges(3, loops)
    dropped = td.CellComplex.from_edges(3, loops, self_loops="drop", x=proper.x)
    assert torch.equal(model(dropped), model(proper))


def test_features_that_are_not_finite_are_named():
    K = complex_of(4, [(0, 1), (1, 2)])
    for value in (float("nan"), float("inf"), -float("inf")):
        x = K.x[0].clone()
        x[2, 1] = value
        for model in (NeuralSheafDiffusion(4, 3, 2), ContinuousSheafDiffusion(4, 3, 2)):
            with pytest.raises(ValueError, match="cell 2 are not finite"):
                model(K, x)


def test_features_are_checked_again_when_they_change():
    K, model = complex_of(4, [(0, 1), (1, 2)]), NeuralSheafDiffusion(4, 3, 2)
    before = model(K)
    K.x[0][0] = 7.0
    assert not torch.allclose(model(K), before)
    K.x[0][0] = float("nan")
    with pytest.raises(ValueError, match="cell 0"):
        model(K)


def test_wrong_features_are_refused():
    K, model = complex_of(4, [(0, 1)]), NeuralSheafDiffusion(4, 3, 2)
    with pytest.raises(ValueError, match=r"x\[0\] is missing"):
        model(K.replace(x={}))
    for shape in ((3, 4), (4, 5), (4,)):
        with pytest.raises(ValueError, match="shape"):
            model(K, torch.zeros(shape))
    with pytest.raises(TypeError, match=r"float64.*float32"):
        model(K, K.x[0].double())
    with pytest.raises(TypeError, match=r"float64.*float32"):
        model(K, torch.zeros(4, 4, dtype=torch.float64))
    with pytest.raises(TypeError, match="floating-point"):
        model(K, K.x[0].long())
    with pytest.raises(TypeError, match=r"cpu.*meta"):
        model.to("meta")(K)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stalk_dim": 0}, "stalk_dim must be a whole number >= 1, got 0"),
        ({"stalk_dim": 2.5}, "stalk_dim must be a whole number"),
        ({"stalk_dim": 1}, "stalk_dim >= 2, or maps='scalar'"),
        ({"maps": "diag"}, "maps must be one of .*bundle"),
        ({"parametrization": "polar"}, "method must be one of"),
        ({"parametrization": "rodrigues", "stalk_dim": 2}, "exists for d ="),
        ({"maps": "general", "parametrization": "cayley"}, "a parametrization is for"),
        ({"dropout": 1.5}, "dropout"),
        ({"input_dropout": -0.1}, "dropout is a probability"),
        ({"activation": "gelu"}, "activation must be one of"),
        ({"sheaf_activation": "gelu"}, "sheaf_activation must be one of"),
        ({"normalized": "yes"}, "normalized must be one of"),
        ({"learner": "mlp"}, "learner must be one of"),
        ({"learner": "attention"}, "attention learner gives general maps"),
        ({"maps": "bundle", "edge_weights": True}, "a bundle has one frame per vertex"),
        ({"num_layers": -1}, "num_layers must be a whole number >= 0"),
        ({"hidden_channels": 0}, "hidden_channels must be a whole number >= 1"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    arguments = {"in_channels": 4, "hidden_channels": 3, "out_channels": 2, **options}
    with pytest.raises(ValueError, match=message):
        NeuralSheafDiffusion(**arguments)


def test_wrong_arguments_of_the_other_models_are_refused():
    with pytest.raises(ValueError, match="solver must be one of"):
        ContinuousSheafDiffusion(4, 3, 2, solver="magic")
    with pytest.raises(ValueError, match="time must not be negative"):
        ContinuousSheafDiffusion(4, 3, 2, time=-1.0)
    with pytest.raises(ValueError, match="stalk_dim must divide the channels, 7, got 2: use 8"):
        SheafCochainLayer(7, 2)
    with pytest.raises(ValueError, match="max_rank must be a whole number >= 0, got -1"):
        SheafCochainLayer(6, max_rank=-1)
    for make in (HodgeDiffusion, FlowSheafDiffusion):
        with pytest.raises(ValueError, match="num_layers must be a whole number >= 0, got -1"):
            make(1, 4, 1, num_layers=-1)
    with pytest.raises(ValueError, match="activation must be one of"):
        FlowSheafDiffusion(1, 4, 1, activation="relu")
    with pytest.raises(ValueError, match="activation must be one of"):
        HodgeDiffusion(1, 4, 1, activation="relu")
    with pytest.raises(ValueError, match="one or both of"):
        HodgeDiffusion(1, 4, 1, parts=("sideways",))
    with pytest.raises(ValueError, match="stalk_dim"):
        CochainSheafDiffusion({0: 4}, 6, 1, stalk_dim=4)


@pytest.mark.parametrize("maps", ["orthogonal", "identity", "bundle"])
def test_wrong_cochains_of_a_layer_are_refused(maps):
    K = td.liftings.CliqueLifting(max_rank=2)(complex_of(4, [(0, 1), (0, 2), (1, 2), (2, 3)]))
    x = [torch.ones(n, 6) for n in K.shape]
    layer, graph = SheafCochainLayer(6, max_rank=1, maps=maps), K.skeleton(1)
    for call in (layer, layer.sheaf):
        with pytest.raises(ValueError, match=r"3 ranks; .*max_rank=1, takes .* 0 to at most 1"):
            call(K, x)
        with pytest.raises(ValueError, match="cochains of 0 ranks"):
            call(K, [])
        with pytest.raises(ValueError, match=r"x\[1\] must have shape \(4, 6\).*got \(77, 6\)"):
            call(K, [x[0], torch.ones(77, 6)])
        with pytest.raises(ValueError, match=r"x\[0\] must have shape \(4, 6\).*got \(4, 7\)"):
            call(K, [torch.ones(4, 7)])
    with pytest.raises(ValueError, match=r"takes those of ranks 0 to at most 1 .* of rank 1"):
        SheafCochainLayer(6, max_rank=2, maps=maps)(graph, x)
    assert [t.shape for t in layer(K, x[:2])] == [(4, 6), (4, 6)]
    assert layer.sheaf(graph, x[:1]).maps == {}


@pytest.mark.parametrize("make", [HodgeDiffusion, FlowSheafDiffusion])
def test_wrong_flows_are_refused(make):
    K, model = complex_of(4, [(0, 1), (1, 2)]), make(1, 4, 1)
    with pytest.raises(ValueError, match=r"x\[1\] is missing"):
        model(K)
    with pytest.raises(ValueError, match="shape"):
        model(K, torch.zeros(3, 1))
    with pytest.raises(ValueError, match="NaN"):
        model(K, torch.full((2, 1), float("nan")))
    assert model(K, torch.ones(2, 1)).shape == (2, 1)


def test_large_flows_are_finite():
    K = complex_of(200, [(k, k + 1) for k in range(199)])
    assert HodgeDiffusion(2, 4, 3).half()(K, torch.full((199, 2), 3000.0).half()).isfinite().all()
    assert HodgeDiffusion(2, 4, 3)(K, torch.full((199, 2), 3e37)).isfinite().all()
