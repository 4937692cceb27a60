"""Every energy: gradient and Hessian from autograd, values written out, what it refuses."""

from __future__ import annotations

import pytest
import torch
from domains import GRAPH, RINGS, matrix_sheaf, rotation_sheaf
from hypothesis import given, settings
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.dynamics import (
    AttractorEnergy,
    DirichletEnergy,
    DoubleWellEnergy,
    GradientFlow,
    HodgeEnergy,
    MixingEnergy,
    PDirichletEnergy,
    PolyakovEnergy,
    QuadraticEnergy,
    SheafEnergy,
    SourceEnergy,
    adjacency,
)
from topodiff.operators import GraphLaplacian
from topodiff.solvers import diffuse

F64 = torch.float64


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def weights(n):
    return 0.5 + torch.rand(n, dtype=F64, generator=torch.Generator().manual_seed(3))


def symmetric(n, seed):
    m = randn(n, n, seed=seed)
    return (m + m.T) / 2


EDGES, C = GRAPH.num_cells(1), 3
CASES = {
    "dirichlet": (DirichletEnergy(GRAPH), (8, C)),
    "weighted": (DirichletEnergy(GRAPH, weights=weights(EDGES)), (8, C)),
    "normalised": (DirichletEnergy(GRAPH, weights=weights(EDGES), normalized=True), (8, C)),
    "hodge 0": (HodgeEnergy(RINGS, 0), (8, C)),
    "hodge 1": (HodgeEnergy(RINGS, 1), (8, C)),
    "hodge 1 up": (HodgeEnergy(RINGS, 1, down=0.0), (8, C)),
    "hodge 2": (HodgeEnergy(RINGS, 2), (3, C)),
    "hodge weights": (
        HodgeEnergy(RINGS, 1, up=2.0, weights={r: weights(n) for r, n in enumerate(RINGS.shape)}),
        (8, C),
    ),
    "sheaf": (SheafEnergy(rotation_sheaf()), (8, 2, C)),
    "sheaf matrix": (SheafEnergy(matrix_sheaf(), True), (8, 2, C)),
    "tv": (PDirichletEnergy(GRAPH, 1, eps=0.1), (8, C)),
    "p 1.5": (PDirichletEnergy(GRAPH, 1.5, eps=0.1, weights=weights(EDGES)), (8, C)),
    "p 4": (PDirichletEnergy(GRAPH, 4, eps=0.0), (8, C)),
    "tv on edges": (PDirichletEnergy(RINGS, 1, eps=0.1, rank=1), (8, C)),
    "tv sheaf": (PDirichletEnergy(rotation_sheaf(), 1, eps=0.1), (8, 2, C)),
    "source": (SourceEnergy(randn(8, C)), (8, C)),
    "attractor": (AttractorEnergy(randn(8, C), 2.0), (8, C)),
    "double well": (DoubleWellEnergy(1.5), (8, C)),
    "mixing": (
        MixingEnergy(
            adjacency(GRAPH, F64, loops=0.0), symmetric(C, 4), symmetric(C, 5),
            (randn(8, C, seed=6), randn(C, C, seed=7)),
        ),
        (8, C),
    ),
    "allen-cahn": (0.3 * DirichletEnergy(GRAPH) + DoubleWellEnergy(), (8, C)),
    "difference": (AttractorEnergy(randn(8, C)) - 0.1 * PDirichletEnergy(GRAPH, 2), (8, C)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradient_and_hessian_product_are_derivatives_of_the_value(name):
    energy, shape = CASES[name]
    x, v = randn(*shape, seed=8).requires_grad_(), randn(*shape, seed=9)
    (expected,) = torch.autograd.grad(energy.value(x), x, create_graph=True)
    torch.testing.assert_close(energy.gradient(x), expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(energy(x), energy.value(x))
    product = energy.hessian_product(x.detach(), v)
    step = 1e-5
    with torch.no_grad():
        difference = energy.gradient(x + step * v) - energy.gradient(x - step * v)
    torch.testing.assert_close(product, difference / (2 * step), rtol=1e-6, atol=1e-8)
    if energy.operator is not None:
        whole = energy.operator @ x + energy.rest_gradient(x)
        torch.testing.assert_close(energy.gradient(x), whole)


@pytest.mark.parametrize("name", CASES)
def test_energy_falls_along_its_flow_as_the_square_of_the_gradient(name):
    energy, shape = CASES[name]
    x = randn(*shape, seed=8)
    g, step = energy.gradient(x), 1e-5
    rate = (energy.value(x - step * g) - energy.value(x + step * g)) / (2 * step)
    torch.testing.assert_close(rate, -g.square().sum(), rtol=1e-6, atol=1e-8)


def test_dirichlet_written_out():
    x = randn(8, C)
    w = weights(EDGES)
    tail, head = GRAPH.edge_index
    by_hand = 0.5 * (w * (x[tail] - x[head]).square().sum(1)).sum()
    torch.testing.assert_close(DirichletEnergy(GRAPH, weights=w).value(x), by_hand)
    degree = torch.bincount(GRAPH.edge_index.flatten(), minlength=8).to(F64)
    y = x / degree.sqrt()[:, None]
    by_hand = 0.5 * (y[tail] - y[head]).square().sum()
    torch.testing.assert_close(DirichletEnergy(GRAPH, normalized=True).value(x), by_hand)
    torch.testing.assert_close(PDirichletEnergy(GRAPH, 2, eps=0.0).value(x),
                               DirichletEnergy(GRAPH).value(x))  # fmt: skip
    torch.testing.assert_close(
        PDirichletEnergy(GRAPH, 1, eps=1e-9).value(x), (x[tail] - x[head]).norm(dim=1).sum()
    )


def test_sheaf_written_out():
    sheaf = matrix_sheaf()
    x = randn(8, 2, C)
    tail, head = GRAPH.edge_index
    maps = sheaf.maps[1].unflatten(0, (-1, 2))
    difference = maps[:, 1] @ x[head] - maps[:, 0] @ x[tail]
    torch.testing.assert_close(SheafEnergy(sheaf).value(x), 0.5 * difference.square().sum())


def test_hodge_parts_add_up_and_vanish_where_they_should():
    x = randn(8, C)
    up, down = HodgeEnergy(RINGS, 1, down=0.0), HodgeEnergy(RINGS, 1, up=0.0)
    torch.testing.assert_close(up.value(x) + down.value(x), HodgeEnergy(RINGS, 1).value(x))
    potential = randn(8, C, seed=1)
    tail, head = RINGS.edge_index
    assert float(up.value(potential[head] - potential[tail])) < 1e-20


def test_value_of_nearly_constant_states_has_no_cancellation():
    """``<x, A x>`` would be rounding; a sum of squares is not."""
    x = 1 + 1e-6 * randn(8, C).float()
    tail, head = GRAPH.edge_index
    exact = 0.5 * (x[tail].double() - x[head].double()).square().sum()
    value = DirichletEnergy(GRAPH).value(x)
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=0.0)


def test_polyakov_is_the_length_in_the_induced_metric():
    z = randn(8, 2).requires_grad_()
    energy, length = PolyakovEnergy(GRAPH, eps=1e-6), PDirichletEnergy(GRAPH, 1, eps=1e-6)
    torch.testing.assert_close(2 * energy.value(z), length.value(z), rtol=1e-6, atol=0.0)
    torch.testing.assert_close(energy.gradient(z), length.gradient(z))
    # the metric is held fixed in the gradient, not in its derivatives
    (expected,) = torch.autograd.grad(energy.value(z), z)
    torch.testing.assert_close(energy.gradient(z), expected)


METRICS = {"induced": None, "gaussian": lambda s: (-s.square()).exp(), "length": lambda s: s}


@pytest.mark.parametrize("metric", METRICS)
def test_derivatives_of_the_harmonic_flow_see_the_metric_change(metric):
    energy = PolyakovEnergy(GRAPH, METRICS[metric], eps=0.5)
    z, u, v = randn(8, 2), randn(8, 2, seed=1), randn(8, 2, seed=2)
    step = 1e-5
    difference = energy.gradient(z + step * v) - energy.gradient(z - step * v)
    product = energy.hessian_product(z, v)
    torch.testing.assert_close(product, difference / (2 * step), rtol=1e-6, atol=1e-8)
    symmetric = (v * energy.hessian_product(z, u)).sum()
    torch.testing.assert_close((u * product).sum(), symmetric)
    flow = GradientFlow(energy)
    for solver in ("rk4", "implicit_euler"):
        options = {"tol": 1e-13} if solver == "implicit_euler" else {}
        run = lambda x: diffuse(flow, x, 0.3, solver, num_steps=3, **options).x  # noqa: B023, E731
        assert torch.autograd.gradcheck(run, z.requires_grad_(), fast_mode=True)


def test_a_metric_that_learns_is_reached_from_value_and_gradient():
    scale = torch.tensor(2.0, dtype=F64, requires_grad=True)
    energy, z = PolyakovEnergy(GRAPH, lambda s: scale * torch.ones_like(s)), randn(8, 2)
    for found in (energy.value(z), energy.gradient(z).square().sum()):
        assert float(torch.autograd.grad(found, scale)[0]) > 0


def test_the_length_falls_as_the_square_of_its_gradient_along_the_harmonic_flow():
    z, eps, step = randn(8, 2), 0.3, 1e-5
    gradient = PolyakovEnergy(GRAPH, eps=eps).gradient(z)
    length = PDirichletEnergy(GRAPH, 1, eps=eps)
    rate = (length(z - step * gradient) - length(z + step * gradient)) / (2 * step)
    torch.testing.assert_close(rate, -gradient.square().sum())


@pytest.mark.parametrize(
    "energy",
    [PolyakovEnergy(GRAPH), *(PDirichletEnergy(GRAPH, p, eps=0.0) for p in (2, 2.5, 3, 3.5, 4))],
    ids=str,
)
def test_derivatives_where_neighbours_are_equal(energy):
    """Along any v the gradient grows by ``|v|^{p - 1}``: only p = 2 and a metric have a slope."""
    x, v = torch.ones(8, 2, dtype=F64, requires_grad=True), randn(8, 2)
    factor = {2.0: 1.0}.get(getattr(energy, "p", 0.0), 0.0)
    if isinstance(energy, PolyakovEnergy):
        factor = 1 / energy.eps
    expected = factor * (GraphLaplacian(GRAPH) @ v)
    product = energy.hessian_product(x, v)
    torch.testing.assert_close(product, expected)
    (third,) = torch.autograd.grad(product.square().sum(), x, allow_unused=True)
    assert third is None or bool(third.isfinite().all())


def test_p_energies_of_the_flat_form_of_a_sheaf_are_those_of_its_stalks():
    energy = PDirichletEnergy(rotation_sheaf(), 1, eps=0.1)
    for x in (randn(8, 2, C), randn(8, 2)):
        flat = x.reshape(16, *x.shape[2:])
        torch.testing.assert_close(energy.value(flat), energy.value(x))
        torch.testing.assert_close(energy.gradient(flat), energy.gradient(x).reshape(flat.shape))
    with pytest.raises(ValueError, match="the state must have shape"):
        energy.value(randn(4, 4))


def test_harmonic_energy_with_a_constant_metric_is_dirichlet():
    z = randn(8, 2)
    energy = PolyakovEnergy(GRAPH, metric=torch.ones_like)
    torch.testing.assert_close(energy.value(z), DirichletEnergy(GRAPH).value(z))


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 9), st.integers(0, 10_000), st.floats(1.0, 4.0))
def test_convex_energies_lie_above_their_tangents(n, seed, p):
    g = torch.Generator().manual_seed(seed)
    pairs = torch.triu_indices(n, n, 1)
    kept = torch.rand(pairs.shape[1], generator=g) < 0.5
    complex = CellComplex.from_edges(n, pairs[:, kept])
    x, y = torch.randn(2, n, 2, dtype=F64, generator=g)
    for energy in (DirichletEnergy(complex), PDirichletEnergy(complex, p, eps=0.01)):
        tangent = energy.value(x) + (energy.gradient(x) * (y - x)).sum()
        assert energy.value(y) >= tangent - 1e-10
        assert energy.value(x) >= 0
        assert float(energy.gradient(torch.ones(n, 2, dtype=F64)).abs().max()) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept_and_no_channels_will_do(dtype):
    x = torch.randn(8, dtype=dtype)
    for energy in (DirichletEnergy(GRAPH), PDirichletEnergy(GRAPH, 1), DoubleWellEnergy()):
        assert energy.value(x).dtype == dtype
        assert energy.gradient(x).shape == (8,)


@pytest.mark.parametrize("solver", ["rk4", "imex", "dopri5"])
@pytest.mark.parametrize("backward", ["direct", "adjoint"])
def test_the_weight_of_an_energy_is_learnt(solver, backward):
    if backward == "adjoint" and solver != "dopri5":
        return
    weight, x = torch.tensor(0.7, dtype=F64, requires_grad=True), randn(8, 2)

    def loss(w):
        law = GradientFlow(w * DirichletEnergy(GRAPH) + DoubleWellEnergy() * w)
        return diffuse(law, x, 0.5, solver, backward=backward).x.square().sum()

    assert float(loss(weight).detach()) == pytest.approx(float(loss(0.7)))
    (found,) = torch.autograd.grad(loss(weight), weight)
    step = 1e-4
    slope = (float(loss(0.7 + step)) - float(loss(0.7 - step))) / (2 * step)
    assert float(found) == pytest.approx(slope, rel=1e-4)


def test_what_energies_refuse():
    with pytest.raises(ValueError, match="needs a symmetric operator"):
        QuadraticEnergy(GraphLaplacian(GRAPH, "random_walk"))
    with pytest.raises(ValueError, match="p must be at least 1"):
        PDirichletEnergy(GRAPH, 0.5)
    with pytest.raises(ValueError, match="eps must be positive"):
        PDirichletEnergy(GRAPH, 1, eps=0.0)
    with pytest.raises(ValueError, match=r"weights must have shape \(12,\)"):
        PDirichletEnergy(GRAPH, 1, weights=torch.ones(3))
    with pytest.raises(ValueError, match="must not be negative"):
        HodgeEnergy(RINGS, 1, up=-1.0)
    with pytest.raises(ValueError, match="eps must be positive"):
        PolyakovEnergy(GRAPH, eps=0.0)
    with pytest.raises(ValueError, match=r"b must have the shape of the state, \(8, 1\)"):
        SourceEnergy(torch.ones(3)).gradient(torch.ones(8, 1))
    with pytest.raises(ValueError, match="W must be symmetric"):
        MixingEnergy(adjacency(GRAPH, F64), randn(C, C))
    with pytest.raises(ValueError, match="symmetric adjacency"):
        MixingEnergy(adjacency(GRAPH, F64, normalization="row"), symmetric(C, 1))
    for factor in ("2", torch.ones(2)):
        with pytest.raises(TypeError):
            DoubleWellEnergy() * factor
