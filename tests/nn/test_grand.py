"""GRAND, BLEND and their attention."""

from __future__ import annotations

import pytest
import torch
from continuous_models import FIXED, GRAPH, HIDDEN, IN, OUT, N, encoded, make

import topodiff as td
from topodiff.dynamics import AttentionDiffusion, Entries, EntryOperator, Piecewise, adjacency
from topodiff.nn import BLEND, GRAND, DiffusionAttention
from topodiff.nn.gat import GATLayer
from topodiff.operators import eigenvalues
from topodiff.solvers import diffuse


def test_constant_attention_is_the_exponential_of_the_adjacency():
    model = GRAND(
        IN, HIDDEN, OUT, attention="constant", add_source=False, tol_scale=1.0, time=2.0
    ).double()
    a = adjacency(GRAPH, torch.float64, normalization="row").to_dense()
    x = torch.matrix_exp(2.0 * 0.5 * (a - torch.eye(N, dtype=a.dtype))) @ encoded(model)
    torch.testing.assert_close(model(GRAPH), model.decode(x), rtol=1e-6, atol=1e-6)


def test_layers_are_time():
    """Euler steps as long as the layers are a network with these layers."""
    model = make("grand-layers")
    with torch.no_grad():
        model.rate.normal_()
        model.strength.normal_()
    start = x = encoded(model)
    entries = Entries.from_complex(GRAPH, True)
    for k in range(4):
        weight = model.attentions[k](x, entries)
        a = torch.zeros(N, N, dtype=x.dtype).index_put((entries.row, entries.index), weight)
        x = x + 0.25 * (model.rate[k].sigmoid() * (a @ x - x) + model.strength[k] * start)
    torch.testing.assert_close(model(GRAPH), model.decode(x))


def test_linear_attention_is_that_of_the_start():
    model = make("grand-l")
    x = encoded(model)
    entries = Entries.from_complex(GRAPH, True)
    law = AttentionDiffusion(entries, model.attentions[0](x, entries), rate=0.5)
    out = diffuse(law, x, 1.0, "rk4", step_size=0.25).x
    torch.testing.assert_close(model(GRAPH), model.decode(out))


def test_attention_of_gat_in_one_euler_step_is_the_gat_layer():
    """``x + 1 (A x - x)`` with the weights of a GAT layer that has W = I (eq. 6 with tau = 1)."""
    torch.manual_seed(0)
    gat = GATLayer(HIDDEN, HIDDEN, heads=1, average=True).double()
    with torch.no_grad():
        gat.weight.copy_(torch.eye(HIDDEN))
    x = torch.randn(N, HIDDEN, dtype=torch.float64)
    entries = Entries.from_complex(GRAPH, loops=True)
    law = AttentionDiffusion(entries, lambda t, x, e: gat.attention(e, x.unsqueeze(1)).mean(1))
    torch.testing.assert_close(diffuse(law, x, 1.0, "euler", num_steps=1).x, gat(GRAPH, x))


def test_trajectory_passes_through_the_result():
    model = make("grand-nl").eval()
    found = model.trajectory(GRAPH, [0.5, 1.0, 2.0])
    assert found.shape == (3, N, OUT)
    torch.testing.assert_close(found[1], model(GRAPH))
    assert model.solution.status == "ok"
    assert model.solution.stats.evaluations > 0
    few = model.trajectory(GRAPH, [0.5, 1.0, 2.0], rows=torch.tensor([4, 1]))
    assert torch.equal(few, found[:, [4, 1]])


def test_evaluation_may_end_elsewhere():
    model = make("grand-nl").eval()
    at_time, later = model.trajectory(GRAPH, [1.0, 2.0])
    model.end = 2.0
    torch.testing.assert_close(model(GRAPH), later)
    torch.testing.assert_close(model.train()(GRAPH), at_time)


def test_penalties_belong_to_training():
    torch.manual_seed(0)
    model = GRAND(IN, HIDDEN, OUT, heads=2, kinetic=1.0, **FIXED).double()
    out = model(GRAPH)
    kinetic = model.penalty
    assert float(kinetic.detach()) > 0
    model.jacobian = 0.5
    model(GRAPH)
    assert float(model.penalty.detach()) > float(kinetic.detach())
    model.penalty.backward()
    assert float(model.rate.grad.abs()) > 0
    model.eval()
    torch.testing.assert_close(model(GRAPH), out, rtol=1e-5, atol=1e-5)
    assert model.penalty is None


@pytest.mark.parametrize(
    ("solver", "time", "steps"),
    [
        ("euler", 4.0, {"step_size": 1.0}),
        ("euler", 3.19, {"step_size": 0.3}),
        ("rk4", 4.0, {"solver_options": {"num_steps": 11}}),
        ("adams_bashforth", 2.0, {}),
    ],
)
def test_a_penalty_does_not_change_the_steps(solver, time, steps):
    torch.manual_seed(0)
    model = GRAND(IN, HIDDEN, OUT, 4, solver=solver, time=time, kinetic=1e-9, **steps).double()
    with torch.no_grad():
        model.rate.normal_()
    penalised, work = model(GRAPH), model.solution.stats.steps
    assert float(model.penalty.detach()) > 0
    torch.testing.assert_close(penalised, model.eval()(GRAPH), rtol=1e-10, atol=1e-10)
    assert model.solution.stats.steps == work


def test_states_of_a_trajectory_at_ends_of_steps():
    model = make("grand-layers").eval()
    found = model.trajectory(GRAPH, [0.25, 0.75, 1.0])
    torch.testing.assert_close(found[-1], model(GRAPH), rtol=1e-12, atol=1e-12)


def test_default_tolerances_are_those_of_the_precision():
    torch.manual_seed(0)
    model = GRAND(IN, HIDDEN, OUT, linear=False, attention_init="glorot")
    model(GRAPH, 1000 * GRAPH.x[0].float())
    assert model.solution.stats.evaluations < 500
    double = GRAND(IN, HIDDEN, OUT).double()
    fine = GRAND(IN, HIDDEN, OUT, solver_options={"rtol": 1e-7, "atol": 1e-9}).double()
    fine.load_state_dict(double.state_dict())
    assert torch.equal(double(GRAPH), fine(GRAPH))
    published = GRAND(IN, HIDDEN, OUT, tol_scale=100.0).double()
    given = GRAND(IN, HIDDEN, OUT, solver_options={"rtol": 1e-7, "atol": 1e-5}).double()
    given.load_state_dict(published.state_dict())
    torch.testing.assert_close(published(GRAPH), given(GRAPH), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (GRAND, {}),
        (GRAND, {"linear": False, "normalization": "col"}),
        (GRAND, {"attention": "constant", "normalization": "sym"}),
        (BLEND, {"position_channels": 2}),
        (BLEND, {"position_channels": 2, "radius": 1e-3}),  # all vertices are isolated
        (BLEND, {"position_channels": 2, "radius": 1e-3, "moving": True, "linear": False}),
    ],
)
def test_isolated_vertices_keep_their_state(kind, options):
    torch.manual_seed(0)
    model = kind(IN, HIDDEN, OUT, loops=0.0, time=18.3, **options).double()
    start = encoded(model)
    end = model.solve(GRAPH, model.make_law(GRAPH, start), start).detach()
    alone = slice(None) if "radius" in options else slice(N - 1, N)
    torch.testing.assert_close(end[alone], start[alone])


def test_hard_attention_is_for_training():
    torch.manual_seed(0)
    model = GRAND(IN, HIDDEN, OUT, heads=2, keep_attention=0.4, **FIXED).double()
    with torch.no_grad():
        for p in model.attentions.parameters():
            p.normal_()
    some = model(GRAPH)
    model.eval()
    every = model(GRAPH)
    assert not torch.allclose(some, every)
    model.keep_attention = 1.0
    assert torch.equal(every, model(GRAPH))


@pytest.mark.parametrize("options", [{}, {"squash": "squareplus"}, {"score": "exp_kernel"}])
@pytest.mark.parametrize("positions", [0, 2])
def test_product_with_attention_is_the_product_with_its_weights(options, positions):
    torch.manual_seed(0)
    attention = DiffusionAttention(
        6, 8, 2, position_channels=positions, init="glorot", **options
    ).double()
    z, entries = torch.randn(N, 6, dtype=torch.float64), Entries.from_complex(GRAPH, True)
    found = attention.product(z, entries)
    torch.testing.assert_close(found, EntryOperator(entries, attention(z, entries)) @ z)
    goal = torch.randn_like(found)
    grads = [
        torch.autograd.grad((out * goal).sum(), list(attention.parameters()))
        for out in (
            attention.product(z, entries),
            EntryOperator(entries, attention(z, entries)) @ z,
        )
    ]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_small_attention_is_uniform_at_first():
    model = make("grand-nl")
    entries = Entries.from_complex(GRAPH, True)
    a = model.attentions[0](encoded(model), entries)
    uniform = 1 / entries.ptr.diff()[entries.row].double()
    torch.testing.assert_close(a, uniform, rtol=1e-3, atol=1e-3)


def test_the_spectrum_of_learnt_attention():
    """Rows sum to 1, and ``I - A`` has its eigenvalues in the disk of radius 1 around 1."""
    model = make("grand-l")
    x = encoded(model)
    operator = model.make_law(GRAPH, x).linear_operator(torch.zeros(()))
    found = 2 * eigenvalues(operator)  # of rate 1/2
    assert found.shape == (N,)
    assert float((found - 1).abs().max()) < 1 + 1e-9
    torch.testing.assert_close(found[:2], torch.zeros_like(found[:2]))  # of both components


# ---- BLEND


@pytest.mark.parametrize("attention", ["scaled_dot", "exp_kernel", "cosine"])
@pytest.mark.parametrize("linear", [True, False])
def test_blend_without_positions_in_attention_is_grand(attention, linear):
    torch.manual_seed(0)
    options = {"heads": 2, "attention": attention, "linear": linear, "attention_init": "glorot"}
    blend = BLEND(
        IN, HIDDEN, OUT, position_channels=2, position_scale=0.0, **options, **FIXED
    ).double()
    grand = GRAND(IN, HIDDEN, OUT, **options, **FIXED).double()
    with torch.no_grad():
        for name, value in grand.named_parameters():
            other = blend.get_parameter(name)
            value.copy_(other[:, :HIDDEN] if other.shape != value.shape else other)
        if attention == "exp_kernel":  # the kernel of positions is 1 at distance 0
            blend.attentions[0].of_positions.query.bias.zero_()
            blend.attentions[0].of_positions.key.bias.zero_()
    torch.testing.assert_close(blend(GRAPH), grand(GRAPH), rtol=1e-12, atol=1e-12)
    blend.attentions[0].position_scale = 1.0
    assert not torch.allclose(blend(GRAPH), grand(GRAPH), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("solver", ["implicit_euler", "crank_nicolson", "rk4", "dormand_prince"])
def test_rates_for_each_channel_and_layer(solver):
    """One number for each channel is no operator: the law is solved as one that is not linear."""
    step = {} if solver == "dormand_prince" else {"step_size": 0.1}
    model = GRAND(
        IN, HIDDEN, OUT, num_layers=2, attention="constant", channel_rates=True, add_source=False,
        solver=solver, **step,
    ).double()  # fmt: skip
    with torch.no_grad():
        model.rate.normal_()
        start = encoded(model)
        law = model.make_law(GRAPH, start)
        assert not law.linear
        one = model.solve(GRAPH, law, start)
        for k in range(HIDDEN):
            alone = AttentionDiffusion.from_matrix(
                law._fixed, rate=Piecewise(model.rate[:, k].sigmoid(), 1.0)
            )
            assert alone.linear
            found = model.solve(GRAPH, alone, start[:, k : k + 1].contiguous())
            torch.testing.assert_close(one[:, k : k + 1], found, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("model", [GRAND, BLEND])
def test_a_shift_that_couples_graphs_gives_them_one_step(model):
    more = {} if model is GRAND else {"position_channels": 2}
    for squash, alone in (("shifted_squareplus", False), ("softmax", True)):
        made = model(IN, HIDDEN, OUT, linear=False, squash=squash, **more).double()
        assert made.make_law(GRAPH, encoded(made)).autonomous == alone


@pytest.mark.parametrize("squash", ["softmax", "shifted_squareplus"])
def test_the_tolerance_holds_for_every_graph_of_a_batch(squash):
    torch.manual_seed(0)
    batch = td.batch([GRAPH, GRAPH])
    model = GRAND(
        IN, 8, OUT, linear=False, squash=squash, attention_init="glorot", add_source=False
    ).double()
    x = torch.randn(2 * N, 8, dtype=torch.float64)
    x[:N] *= 6.0
    law = model.make_law(batch, x)
    with torch.no_grad():
        options = {"ptr": batch.ptr[0], "rtol": 1e-6, "atol": 1e-6}
        found = diffuse(law, x, 4.0, "dormand_prince", **options).x
        exact = diffuse(law, x, 4.0, "dormand_prince", rtol=1e-12, atol=1e-12).x
    assert float((found - exact).abs().max()) < 1e-4
