"""GREAD, ACMP, GRAFF, heat with a source, neural diffusion, regularisers."""

from __future__ import annotations

import pytest
import torch
from domains import GRAPH, rotation_sheaf

from topodiff.dynamics import (
    AllenCahnMessagePassing,
    AttentionDiffusion,
    BeltramiFlow,
    DirichletEnergy,
    DoubleWellEnergy,
    Energy,
    Entries,
    GradientFlow,
    Heat,
    MixedDiffusion,
    MixingEnergy,
    Piecewise,
    ReactionDiffusion,
    Wave,
    adjacency,
    jacobian_norm,
    kinetic_energy,
    time_integral,
)
from topodiff.operators import GraphLaplacian, SheafLaplacian
from topodiff.solvers import diffuse

F64 = torch.float64
ZERO = torch.zeros((), dtype=F64)
A = adjacency(GRAPH, F64, loops=0.0)
DENSE = A.to_dense()


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


# ---- heat


def test_heat_with_a_source_is_the_integral_of_duhamel():
    laplacian, x, s = GraphLaplacian(GRAPH), randn(8, 2), randn(8, 2, seed=1)
    law = Heat(laplacian, rate=0.5, source=s)
    l = 0.5 * laplacian.to_dense().to(F64)  # noqa: E741
    # d/dt (x, 1) = (-L x + s, 0), channel by channel
    exact = torch.empty_like(x)
    for c in range(2):
        block = torch.zeros(9, 9, dtype=F64)
        block[:8, :8], block[:8, 8] = -l, s[:, c]
        exact[:, c] = (torch.matrix_exp(2 * block) @ torch.cat([x[:, c], torch.ones(1).to(F64)]))[
            :8
        ]
    for solver, options in (("dopri5", {}), ("imex", {"num_steps": 4000})):
        found = diffuse(law, x, 2.0, solver, **options).x
        torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-5)


def test_diffusivity_that_depends_on_time_counts_by_its_integral():
    laplacian, x = GraphLaplacian(GRAPH), randn(8, 2)
    rates = torch.tensor([0.2, 1.0, 0.6], dtype=F64)
    law = Heat(laplacian, rate=Piecewise(rates, end=3.0))
    found = diffuse(law, x, 3.0, "rk4", num_steps=300).x
    exact = torch.matrix_exp(-float(rates.sum()) * laplacian.to_dense().to(F64)) @ x
    torch.testing.assert_close(found, exact, rtol=1e-7, atol=1e-8)
    smooth = Heat(laplacian, rate=lambda t: t)
    found = diffuse(smooth, x, 1.0, "rk4", num_steps=100).x
    exact = torch.matrix_exp(-0.5 * laplacian.to_dense().to(F64)) @ x
    torch.testing.assert_close(found, exact, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("solver", ["auto", "rk4", "implicit_euler"])
@pytest.mark.parametrize(("of_rate", "of_state"), [(32, 64), (64, 32)])
def test_a_rate_of_another_precision_keeps_that_of_the_state(solver, of_rate, of_state):
    dtypes = {32: torch.float32, 64: F64}
    rate = torch.tensor(0.5, dtype=dtypes[of_rate], requires_grad=True)
    x = randn(8, 2).to(dtypes[of_state])
    found = diffuse(Heat(GraphLaplacian(GRAPH), rate=rate), x, 1.0, solver).x
    assert found.dtype == x.dtype
    exact = diffuse(Heat(GraphLaplacian(GRAPH), rate=0.5), x, 1.0, solver).x
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-6)
    assert torch.autograd.grad(found.square().sum(), rate)[0].dtype == rate.dtype


def test_mass_is_kept_and_a_wrong_source_refused():
    laplacian, x = GraphLaplacian(GRAPH), randn(8, 2)
    out = diffuse(Heat(laplacian), x, 3.0, "rk4").x
    torch.testing.assert_close(out.sum(0), x.sum(0))
    with pytest.raises(ValueError, match=r"shape of the state, \(8, 2\)"):
        Heat(laplacian, source=torch.ones(3, dtype=F64))(ZERO, x)


def test_neural_sheaf_diffusion_written_out():
    laplacian = SheafLaplacian(rotation_sheaf(), True)
    x, left, right = randn(8, 2, 3), randn(2, 2, seed=1), randn(3, 3, seed=2)
    law = MixedDiffusion(laplacian, left=left, right=right, activation=torch.tanh)
    mixed = torch.einsum("ab,nbc->nac", left, x) @ right
    torch.testing.assert_close(law(ZERO, x), -torch.tanh(laplacian @ mixed))
    plain = MixedDiffusion(laplacian)
    torch.testing.assert_close(plain(ZERO, x), -(laplacian @ x))
    moving = MixedDiffusion(lambda t, x: (1.0 + float(t)) * laplacian)
    torch.testing.assert_close(moving(ZERO + 1, x), -2 * (laplacian @ x))


def test_states_that_do_not_fit_the_mixing_are_refused():
    graph, left, right = GraphLaplacian(GRAPH), randn(2, 2), randn(3, 3)
    sheaf = SheafLaplacian(rotation_sheaf())
    for law, shape in (
        (MixedDiffusion(graph, left=left), (8, 3)),
        (MixedDiffusion(sheaf, left=left), (16, 3)),
        (MixedDiffusion(sheaf, left=right), (8, 2, 3)),
    ):
        with pytest.raises(ValueError, match=r"left mixes the stalks of states \(n, d, channels\)"):
            law(ZERO, randn(*shape))
    for shape in ((8, 2), (8,)):
        with pytest.raises(ValueError, match="right mixes the 3 channels of a state"):
            MixedDiffusion(graph, right=right)(ZERO, randn(*shape))


# ---- gradient flows


@pytest.mark.parametrize("solver", ["euler", "rk4", "implicit_euler"])
def test_energy_falls_along_a_gradient_flow(solver):
    energy = 0.5 * DirichletEnergy(GRAPH) + DoubleWellEnergy()
    x, times = randn(8, 2), torch.linspace(0, 4, 41)
    states = diffuse(GradientFlow(energy), x, 4.0, solver, num_steps=80, save_at=times).x
    values = torch.stack([energy.value(s) for s in states])
    assert bool((values.diff() < 0).all())


def test_an_energy_is_no_law_itself():
    with pytest.raises(TypeError, match=r"GradientFlow\(energy\)"):
        diffuse(DirichletEnergy(GRAPH), randn(8, 2), 1.0)


class Slope(Energy):
    """``<b, x>``, whose Hessian product is the inherited one."""

    def gradient(self, x):
        return torch.ones_like(x)


def test_a_constant_gradient_has_no_hessian():
    x = randn(8, 2)
    assert torch.equal(Slope().hessian_product(x, x), torch.zeros_like(x))
    assert torch.equal(GradientFlow(Slope()).jvp(ZERO, x.requires_grad_(), x), torch.zeros_like(x))


def rayleigh(x):
    """``<x, (I - A) x> / |x|^2``."""
    return float((x * (x - A @ x)).sum() / x.square().sum())


@pytest.mark.parametrize(("sign", "smooths"), [(1.0, True), (-1.0, False)])
def test_gradient_flow_networks_smooth_or_sharpen(sign, smooths):
    """W > 0: dominated by low frequencies; W with a large negative eigenvalue: by the highest
    (GRAFF, theorem 4.3)."""
    root = randn(4, 4)
    w = sign * (root @ root.T + 0.1 * torch.eye(4, dtype=F64))
    law = GradientFlow(MixingEnergy(A, w))
    x = diffuse(law, randn(8, 4, seed=1), 80 / float(w.norm()), "rk4", num_steps=400).x
    values = torch.linalg.eigvalsh(torch.eye(8, dtype=F64) - DENSE)
    goal = float(values[0] if smooths else values[-1])
    assert abs(rayleigh(x) - goal) < 1e-3


# ---- reactions


@pytest.mark.parametrize("name", ["fisher", "allen_cahn", "zeldovich"])
def test_reactions_written_out(name):
    x = randn(8, 3)
    r = {"fisher": x * (1 - x), "allen_cahn": x - x**3, "zeldovich": x**2 - x**3}[name]
    law = ReactionDiffusion(A, name, alpha=0.3, beta=0.8)
    torch.testing.assert_close(law(ZERO, x), 0.3 * (DENSE @ x - x) + 0.8 * r)
    for constant in (0.0, 1.0):  # where nothing reacts
        still = torch.full((8, 3), constant, dtype=F64)
        reaction = ReactionDiffusion(A, name, alpha=0.0)(ZERO, still)
        torch.testing.assert_close(reaction, torch.zeros_like(still))


def test_other_reactions():
    x, c = randn(8, 3), randn(8, 3, seed=1)
    law = ReactionDiffusion(A, "zeroth_order", beta=0.5, constant=c)
    torch.testing.assert_close(law(ZERO, x), DENSE @ x - x + 0.5 * c)
    law = ReactionDiffusion(A, "blurring_sharpening", alpha=0.3, beta=0.8)
    sharpened = DENSE @ (x - DENSE @ x)
    torch.testing.assert_close(law(ZERO, x), 0.3 * (DENSE @ x - x) + 0.8 * sharpened)
    law = ReactionDiffusion(A, torch.sin, alpha=0.0)
    torch.testing.assert_close(law(ZERO, x), x.sin())
    with pytest.raises(ValueError, match="reaction must be one of fisher"):
        ReactionDiffusion(A, "fischer")
    with pytest.raises(ValueError, match="belongs to the reaction zeroth_order"):
        ReactionDiffusion(A, "zeroth_order")
    with pytest.raises(ValueError, match="belongs to the reaction zeroth_order"):
        ReactionDiffusion(A, "fisher", constant=c)


def test_fisher_front_stays_between_the_fixed_points_and_reaches_one():
    row = adjacency(GRAPH, F64, normalization="row")
    x = torch.zeros(8, 1, dtype=F64)
    x[0] = 0.5
    states = diffuse(ReactionDiffusion(row, "fisher"), x, 30.0, "rk4", num_steps=300,
                     save_at=torch.linspace(0, 30, 31)).x  # fmt: skip
    assert float(states.min()) >= 0
    assert float(states.max()) <= 1
    torch.testing.assert_close(states[-1], torch.ones_like(x), rtol=1e-6, atol=1e-6)


def test_allen_cahn_message_passing_repels_and_stays_bounded():
    entries = Entries.from_complex(GRAPH)
    a = torch.rand(entries.nnz, dtype=F64, generator=torch.Generator().manual_seed(0))
    x = randn(8, 3)
    law = AllenCahnMessagePassing(entries, a, alpha=0.7, beta=0.4, delta=1.3)
    expected = 1.3 * x * (1 - x**2)
    for i, j, w in zip(entries.row, entries.index, a, strict=True):
        expected[i] += 0.7 * (w - 0.4) * (x[j] - x[i])
    torch.testing.assert_close(law(ZERO, x), expected)
    end = diffuse(law, x, 20.0, "rk4", num_steps=300).x
    assert float(end.abs().max()) < 3
    # repulsion keeps two clusters, where attraction ends in a constant
    attracts = AllenCahnMessagePassing(entries, torch.ones(entries.nnz, dtype=F64), beta=0.0)
    flat = diffuse(attracts, x, 20.0, "rk4", num_steps=300).x
    assert float(flat.std(0).max()) < 1e-3 < float(end.std(0).max())
    # without wells and repulsion it is diffusion
    w = adjacency(GRAPH, F64, normalization="row", loops=0.0).weight
    plain = AllenCahnMessagePassing(entries, lambda t, x, e: w, beta=0.0, delta=0.0)
    torch.testing.assert_close(plain(ZERO, x), AttentionDiffusion(entries, w)(ZERO, x))


FIXED = torch.rand(24, dtype=F64, generator=torch.Generator().manual_seed(0))
SPLIT = {
    "fisher": ReactionDiffusion(A, "fisher", alpha=40.0),
    "sharpening": ReactionDiffusion(A, "blurring_sharpening", alpha=40.0, beta=0.5),
    "constant": ReactionDiffusion(A, "zeroth_order", constant=randn(8, 3), alpha=lambda t: 40.0),
    "acmp": AllenCahnMessagePassing(Entries.from_complex(GRAPH), FIXED, alpha=40.0, beta=0.1),
}


@pytest.mark.parametrize("name", SPLIT)
def test_diffusion_is_the_linear_part_of_a_reaction(name):
    law, x = SPLIT[name], randn(8, 3)
    split = law.rest(ZERO, x) - law.linear_operator(ZERO) @ x
    torch.testing.assert_close(split, law(ZERO, x))
    x = x.sigmoid()  # where every reaction is bounded
    exact = diffuse(law, x, 1.0, "rk4", num_steps=200).x
    # an explicit method of that order would need four times as many
    found = diffuse(law, x, 1.0, "imex", num_steps=20).x
    torch.testing.assert_close(found, exact, rtol=1e-2, atol=1e-2)


def test_a_rate_for_each_channel_is_no_operator():
    rates = torch.tensor([0.5, 1.0, 2.0], dtype=F64)
    weights = AllenCahnMessagePassing(Entries.from_complex(GRAPH), FIXED, alpha=rates)
    moving = AllenCahnMessagePassing(Entries.from_complex(GRAPH), lambda t, x, e: FIXED)
    for law in (ReactionDiffusion(A, "fisher", alpha=rates), weights, moving):
        x = randn(8, 3)
        assert law.linear_operator(ZERO) is None
        torch.testing.assert_close(law.rest(ZERO, x), law(ZERO, x))
        with pytest.raises(ValueError, match="imex needs a law"):
            diffuse(law, x, 1.0, "imex")


# ---- regularisers


def test_regularisers_of_a_linear_law():
    laplacian, x = GraphLaplacian(GRAPH), randn(8, 2)
    law, l = Heat(laplacian), laplacian.to_dense().to(F64)  # noqa: E741
    torch.testing.assert_close(kinetic_energy(law, ZERO, x), (l @ x).square().mean())
    noise = randn(8, 2, seed=1)
    torch.testing.assert_close(jacobian_norm(law, ZERO, x, noise), (l @ noise).square().mean())
    torch.manual_seed(0)
    mean = torch.stack([jacobian_norm(law, ZERO, x) for _ in range(2000)]).mean()
    torch.testing.assert_close(mean, l.square().sum() / 8, rtol=0.05, atol=0.0)


def test_kinetic_energy_over_time_and_its_gradient():
    laplacian, x = GraphLaplacian(GRAPH), randn(8, 2).requires_grad_()
    law, times = Heat(laplacian), torch.linspace(0, 1, 201)
    solution = diffuse(law, x, 1.0, "rk4", num_steps=400, save_at=times)
    found = time_integral(kinetic_energy, law, solution.ts, solution.x)
    # int |L x|^2 = (<x, L x>(0) - <x, L x>(1)) / 2
    forms = [(s * (laplacian @ s)).sum() for s in (x, solution.x[-1])]
    torch.testing.assert_close(found, (forms[0] - forms[1]) / 2 / 16, rtol=1e-3, atol=0.0)
    assert float(torch.autograd.grad(found, x)[0].norm()) > 0
    with pytest.raises(ValueError, match="pass save_at"):
        time_integral(kinetic_energy, law, solution.ts[:1], solution.x[:1])


def test_regularisers_of_constant_laws_operators_and_what_is_no_law_of_first_order():
    x, weight = randn(8, 2), randn(8, 2).requires_grad_()
    for law in (lambda t, x: torch.ones_like(x), lambda t, x: weight):
        assert float(jacobian_norm(law, ZERO, x).detach()) == 0.0
    laplacian, noise = GraphLaplacian(GRAPH), randn(8, 2, seed=1)
    for term, extra in ((kinetic_energy, ()), (jacobian_norm, (noise,))):
        expected = term(Heat(laplacian), ZERO, x, *extra)
        torch.testing.assert_close(term(laplacian, ZERO, x, *extra), expected)
        with pytest.raises(TypeError, match="first order in time, got Wave"):
            term(Wave(laplacian), ZERO, x)
        with pytest.raises(TypeError, match="a law is a LinearOperator"):
            term("heat", ZERO, x)


@pytest.mark.parametrize("shape", [(1, 3), (8, 1), (3,)])
def test_sources_of_another_shape(shape):
    loops = Entries.from_complex(GRAPH, True)
    weights, given = torch.full((loops.nnz,), 0.1, dtype=F64), randn(*shape)
    laws = [
        AttentionDiffusion(loops, weights, source=given),
        AttentionDiffusion(loops, lambda t, x, e: weights, source=given),
        BeltramiFlow(loops, weights, 1, source=given),
        ReactionDiffusion(A, "zeroth_order", constant=given),
    ]
    for law in laws:
        with pytest.raises(ValueError, match=r"must have the shape of the state, \(8, 3\)"):
            law(ZERO, randn(8, 3))
    with pytest.raises(ValueError, match="must have the shape of the state"):
        diffuse(laws[0], randn(8, 3), 1.0, "implicit_euler", num_steps=2)
    with pytest.raises(ValueError, match="must have the shape of the state"):
        diffuse(laws[0], randn(8, 3), 1.0, "uniformization")


def test_jacobians_in_inference_mode():
    with (
        torch.inference_mode(),
        pytest.raises(RuntimeError, match="inference_mode has no Jacobians"),
    ):
        jacobian_norm(Heat(GraphLaplacian(GRAPH)), ZERO, randn(8, 3))
