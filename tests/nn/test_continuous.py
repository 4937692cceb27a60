"""What models in continuous time share: GRAND, BLEND, GRAFF, GraphCON."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from continuous_models import EDGES, FIXED, GRAPH, HIDDEN, IN, MODELS, OUT, N, U, X, make
from torch import nn

import topodiff as td
from topodiff.complexes import CellComplex
from topodiff.nn import BLEND, GRAFF, GRAND, GraphCON
from topodiff.nn.graphcon import OF_OSCILLATORS


@pytest.mark.parametrize("name", MODELS)
def test_gradients_reach_every_parameter(name):
    model = make(name)
    out = model(GRAPH)
    assert out.shape == (N, OUT)
    assert torch.equal(out, model(GRAPH, X)) or name == "grand-all"
    (out * torch.randn_like(out)).sum().backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None, parameter
        assert bool(value.grad.isfinite().all()), parameter


@pytest.mark.parametrize("name", [name for name in MODELS if "graphcon" not in name])
def test_gradients_of_the_adjoint_are_the_direct_ones(name):
    gradients = []
    for backward in ("direct", "adjoint"):
        model = make(name)
        model.solver, model.backward, model.time = "dopri5", backward, 1.0
        model.tol_scale = 1.0
        with torch.no_grad():  # away from a source of strength 0
            for p in model.parameters():
                p.add_(0.1 * torch.randn_like(p))
        model(GRAPH).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    # steps that meet a jump of the law, whose time nobody knows, are inexact one way and the other
    tol = 2e-2 if "moving" in name else 1e-5
    for direct, adjoint in zip(*gradients, strict=True):
        assert float((adjoint - direct).norm()) <= tol * (1 + float(direct.norm()))


def gradients_of(model, backward):
    model.zero_grad()
    model.backward = backward
    torch.manual_seed(1)  # of dropout
    out = model(GRAPH)
    loss = out.square().sum()
    if getattr(model, "penalty", None) is not None:
        loss = loss + model.penalty
    loss.backward()
    return out.detach(), [p.grad.clone() for p in model.parameters()]


# dopri5 is of torchdiffeq, which has no checkpoints
@pytest.mark.parametrize("name", [name for name in MODELS if "graphcon" not in name])
def test_checkpoints_change_nothing(name):
    model = make(name)
    if model.solver == "dopri5":
        model.solver = "dormand_prince"
    model.kinetic = 0.1
    with torch.no_grad():  # away from a source of strength 0
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    (out, direct), (same, kept) = (gradients_of(model, b) for b in ("direct", "checkpoint"))
    torch.testing.assert_close(same, out, rtol=1e-12, atol=1e-12)
    for one, other in zip(kept, direct, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("solver", ["rk4", "dormand_prince"])
@pytest.mark.parametrize("frozen_sheaf", [True, False])
def test_checkpoints_of_sheaf_diffusion(solver, frozen_sheaf):
    torch.manual_seed(0)
    options = {"solver": solver, "frozen_sheaf": frozen_sheaf, "add_source": True}
    model = td.nn.ContinuousSheafDiffusion(IN, 3, OUT, 2, **options).double()
    torch.nn.init.constant_(model.strength, 0.3)
    (out, direct), (same, kept) = (gradients_of(model, b) for b in ("direct", "checkpoint"))
    torch.testing.assert_close(same, out, rtol=1e-9, atol=1e-9)
    for one, other in zip(kept, direct, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(
    ("solver", "backward"),
    [
        ("rk4", "adjoint"),
        ("dopri5", "checkpoint"),
        ("uniformization", "checkpoint"),
        ("rk4", "unrolled"),
    ],
)
@pytest.mark.parametrize("kind", [GRAND, GRAFF, td.nn.ContinuousSheafDiffusion])
def test_a_backward_pass_that_the_solver_has_not(kind, solver, backward):
    with pytest.raises(ValueError, match=f"backward.*{backward}"):
        kind(IN, HIDDEN, OUT, solver=solver, backward=backward)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_after_training_with_a_penalty(duplicate):
    model = GRAND(IN, HIDDEN, OUT, kinetic=0.1, jacobian=0.1, **FIXED).double()
    out = model(GRAPH)
    twin = duplicate(model)
    assert twin.penalty is None
    assert model.penalty is not None
    assert torch.equal(twin(GRAPH), out)


@pytest.mark.parametrize("solver", OF_OSCILLATORS)
def test_solvers_of_graphcon(solver):
    model = GraphCON(IN, HIDDEN, OUT, 2, dt=0.1, solver=solver).double()
    assert bool(model(GRAPH).isfinite().all())


def test_solvers_that_graphcon_has_not():
    for solver in ("chebyshev", "imex", "runge"):
        with pytest.raises(ValueError, match="solver must be one of"):
            GraphCON(IN, HIDDEN, OUT, solver=solver)


@pytest.mark.parametrize("name", MODELS)
def test_permuting_vertices_permutes_the_result(name):
    model = make(name).eval()
    permutation = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    moved = CellComplex.from_edges(N, permutation.argsort()[EDGES])
    moved = moved.replace(x={0: X[permutation]}, positions=U[permutation])
    torch.testing.assert_close(model(GRAPH)[permutation], model(moved), rtol=1e-9, atol=1e-9)


# the largest score of all is subtracted from each
@pytest.mark.parametrize("name", [name for name in MODELS if name != "grand-all"])
def test_a_batch_of_graphs_is_its_graphs(name):
    model = make(name).eval()
    other = CellComplex.from_edges(4, torch.tensor([[0, 1], [1, 2]]))
    other = other.replace(x={0: 2 * X[:4]}, positions=U[:4])
    both = model(td.batch([GRAPH, other]))
    # adaptive steps are those of the batch
    exact = {"rtol": 1e-6, "atol": 1e-6} if name == "grand-dopri5" else {}
    torch.testing.assert_close(both, torch.cat([model(GRAPH), model(other)]), **exact)


@pytest.mark.parametrize("name", MODELS)
def test_graphs_of_one_vertex(name):
    model = make(name).eval()
    one = CellComplex.from_edges(1, torch.empty(2, 0, dtype=torch.long))
    one = one.replace(x={0: X[:1]}, positions=U[:1])
    assert bool(model(one).isfinite().all())
    both = model(td.batch([one, GRAPH])) if name != "grand-all" else model(one)
    torch.testing.assert_close(both[:1], model(one), rtol=1e-6, atol=1e-6)


def test_statistics_of_one_vertex():
    one = CellComplex.from_edges(1, torch.empty(2, 0, dtype=torch.long))
    with pytest.raises(ValueError, match="set norm=False"):
        make("grand-all")(one, X[:1])


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_drawn_anew_and_told(name):
    model = make(name)
    before = [p.detach().clone() for p in model.parameters()]
    for p in model.parameters():
        nn.init.constant_(p, 7.0)
    torch.manual_seed(0)
    model.reset_parameters()
    after = list(model.parameters())
    assert not any(bool((p == 7.0).any()) for p in after)
    assert [p.shape for p in after] == [p.shape for p in before]
    assert "num_layers=" in repr(model)


# ---- bad input


@pytest.mark.parametrize("name", ["grand-l", "blend", "graff", "graphcon"])
def test_features_that_do_not_fit(name):
    model = make(name)
    with pytest.raises(ValueError, match=r"x\[0\] is missing"):
        model(GRAPH.replace(x={}))
    with pytest.raises(ValueError, match=r"features of 9 vertices .* got \(4, 5\)"):
        model(GRAPH, X[:4])
    with pytest.raises(ValueError, match=r"shape \(9, 5\), got \(9, 4\)"):
        model(GRAPH, X[:, :4])
    with pytest.raises(ValueError, match="cell 2 are not finite"):
        model(GRAPH, X.index_fill(0, torch.tensor(2), math.nan))


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="positions must have shape"):
        make("blend")(GRAPH.replace(positions=None))
    with pytest.raises(ValueError, match="3 heads do not divide attention_channels=16"):
        GRAND(IN, HIDDEN, OUT, heads=3)
    with pytest.raises(ValueError, match="nothing to learn"):
        GRAND(IN, HIDDEN, OUT, attention="constant", linear=False)
    with pytest.raises(ValueError, match="score must be one of"):
        GRAND(IN, HIDDEN, OUT, attention="dot")
    with pytest.raises(ValueError, match="keep_attention must be in"):
        GRAND(IN, HIDDEN, OUT, keep_attention=0.0)
    with pytest.raises(ValueError, match="time and tol_scale must be positive"):
        GRAND(IN, HIDDEN, OUT, time=0.0)
    with pytest.raises(ValueError, match="give one of neighbors and radius"):
        BLEND(IN, HIDDEN, OUT, position_channels=2, neighbors=2, radius=1.0)
    with pytest.raises(ValueError, match="needs neighbors or radius"):
        BLEND(IN, HIDDEN, OUT, position_channels=2, moving=True)
    with pytest.raises(ValueError, match="set linear=False"):
        BLEND(IN, HIDDEN, OUT, position_channels=2, moving=True, neighbors=2).double()(GRAPH)
    with pytest.raises(ValueError, match="residual of gat must be one of"):
        GraphCON(IN, HIDDEN, OUT, coupling="gat", residual="mapped")
    with pytest.raises(ValueError, match="dt must be positive"):
        GraphCON(IN, HIDDEN, OUT, dt=0.0)
    with pytest.raises(ValueError, match="form must be one of"):
        GRAFF(IN, HIDDEN, OUT, form="full")


def test_a_diffusion_that_does_not_arrive_says_so():
    model = GRAFF(IN, HIDDEN, OUT, time=400.0, step_size=1.0).double()
    with torch.no_grad():
        for matrix in model.mixing:
            matrix.shift.fill_(1e3)
    with pytest.raises(RuntimeError, match="status 'not_finite'"):
        model(GRAPH)
