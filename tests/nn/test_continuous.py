"""Models in continuous time: GRAND, BLEND, GRAFF, GraphCON."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import topodiff as td
from topodiff.complexes import CellComplex
from topodiff.dynamics import AttentionDiffusion, DirichletEnergy, Entries, EntryOperator, adjacency
from topodiff.nn import BLEND, GRAFF, GRAND, DiffusionAttention, GCNLayer, GraphCON
from topodiff.nn.gat import GATLayer
from topodiff.nn.graff import FORMS, SymmetricMatrix
from topodiff.solvers import diffuse

EDGES = torch.tensor([[0, 0, 1, 2, 3, 4, 5, 6, 2], [1, 2, 2, 3, 4, 5, 6, 7, 6]])
N, IN, HIDDEN, OUT = 9, 5, 8, 3  # vertex 8 is isolated
X = torch.randn(N, IN, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
U = torch.randn(N, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
GRAPH = CellComplex.from_edges(N, EDGES).replace(x={0: X}, positions=U)

FIXED = {"solver": "rk4", "step_size": 0.25}
MODELS = {
    "grand-l": lambda: GRAND(IN, HIDDEN, OUT, heads=2, attention_init="glorot", **FIXED),
    "grand-nl": lambda: GRAND(IN, HIDDEN, OUT, heads=2, linear=False, **FIXED),
    "grand-constant": lambda: GRAND(IN, HIDDEN, OUT, attention="constant", **FIXED),
    "grand-layers": lambda: GRAND(
        IN, HIDDEN, OUT, 4, linear=False, heads=2, attention="cosine", solver="euler",
        step_size=0.25, channel_rates=True,
    ),
    "grand-l-layers": lambda: GRAND(IN, HIDDEN, OUT, 2, heads=2, attention="pearson", **FIXED),
    "grand-rw": lambda: GRAND(
        IN, HIDDEN, OUT, heads=2, linear=False, attention="exp_kernel", squash="squareplus",
        normalization="col", pagerank_neighbors=8, keep_attention=0.5, **FIXED,
    ),
    "grand-all": lambda: GRAND(
        IN, HIDDEN, OUT, heads=2, squash="shifted_squareplus", normalization="sym", mlp=True,
        norm=True, augment=2, second_linear=True, detach_source=True, rate_sigmoid=False,
        loops=0.0, **FIXED,
    ),
    "grand-dopri5": lambda: GRAND(IN, HIDDEN, OUT, heads=2, tol_scale=100.0),
    "grand-implicit": lambda: GRAND(
        IN, HIDDEN, OUT, heads=2, solver="implicit_euler", step_size=0.5
    ),
    "blend": lambda: BLEND(IN, HIDDEN, OUT, heads=2, position_channels=2, **FIXED),
    "blend-kernel": lambda: BLEND(
        IN, HIDDEN, OUT, heads=2, position_channels=2, attention="exp_kernel", neighbors=3,
        **FIXED,
    ),
    "blend-radius": lambda: BLEND(
        IN, HIDDEN, OUT, heads=2, position_channels=2, radius=1.0, augment=1, **FIXED
    ),
    "blend-moving": lambda: BLEND(
        IN, HIDDEN, OUT, heads=2, position_channels=2, neighbors=3, moving=True, linear=False,
        **FIXED,
    ),
    "graff": lambda: GRAFF(IN, HIDDEN, OUT, step_size=0.5),
    "graff-layers": lambda: GRAFF(IN, HIDDEN, OUT, 3, form="sum", omega="diag_dom", loops=1.0),
    "graff-plain": lambda: GRAFF(IN, HIDDEN, OUT, form="prod", omega=None, add_source=False),
    "graphcon": lambda: GraphCON(IN, HIDDEN, OUT, 3, dt=0.5),
    "graphcon-mapped": lambda: GraphCON(
        IN, HIDDEN, OUT, 3, residual="mapped", alpha=0.0, gamma=0.0
    ),
    "graphcon-gat-learnt": lambda: GraphCON(
        IN, HIDDEN, OUT, 2, coupling="gat", heads=2, residual="learnt"
    ),
    "graphcon-learnt": lambda: GraphCON(IN, HIDDEN, OUT, 3, residual="learnt", shared=False),
    "graphcon-gat": lambda: GraphCON(IN, HIDDEN, OUT, 3, coupling="gat", heads=2),
    "graphcon-leapfrog": lambda: GraphCON(IN, HIDDEN, OUT, 2, dt=0.2, solver="leapfrog"),
}  # fmt: skip


def make(name):
    torch.manual_seed(0)
    return MODELS[name]().double()


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


@pytest.mark.parametrize("name", MODELS)
def test_permuting_vertices_permutes_the_result(name):
    model = make(name).eval()
    permutation = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    moved = CellComplex.from_edges(N, permutation.argsort()[EDGES])
    moved = moved.replace(x={0: X[permutation]}, positions=U[permutation])
    torch.testing.assert_close(model(GRAPH)[permutation], model(moved), rtol=1e-9, atol=1e-9)


NOT_LOCAL = ("grand-all", "blend-kernel", "blend-radius", "blend-moving")


@pytest.mark.parametrize("name", [name for name in MODELS if name not in NOT_LOCAL])
def test_a_batch_of_graphs_is_its_graphs(name):
    model = make(name).eval()
    other = CellComplex.from_edges(4, torch.tensor([[0, 1], [1, 2]]))
    other = other.replace(x={0: 2 * X[:4]}, positions=U[:4])
    both = model(td.batch([GRAPH, other]))
    # adaptive steps are those of the batch
    exact = {"rtol": 1e-6, "atol": 1e-6} if name == "grand-dopri5" else {}
    torch.testing.assert_close(both, torch.cat([model(GRAPH), model(other)]), **exact)


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


# ---- GRAND


def encoded(model):
    return model.encode(GRAPH, None).detach()


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


# ---- GRAFF


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
