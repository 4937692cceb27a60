"""Every law on every domain that it is defined on with every solver, forward and backward; a
combination that makes no sense says why, before any work."""

from __future__ import annotations

import pytest
import torch
from domains import GRAPH, RINGS, matrix_sheaf, rotation_sheaf

from topodiff.dynamics import (
    AllenCahnMessagePassing,
    AttentionDiffusion,
    AttractorEnergy,
    BeltramiFlow,
    ControlledOscillator,
    DirichletEnergy,
    DoubleWellEnergy,
    Entries,
    GradientFlow,
    Heat,
    HodgeEnergy,
    MixedDiffusion,
    MixingEnergy,
    PDirichletEnergy,
    PolyakovEnergy,
    QuadraticEnergy,
    ReactionDiffusion,
    SheafEnergy,
    Wave,
    adjacency,
    attention_weights,
    nearest_neighbors,
    scaled_dot,
)
from topodiff.operators import ConnectionLaplacian, GraphLaplacian, HodgeLaplacian, SheafLaplacian
from topodiff.solvers import SOLVERS, diffuse

F64, C = torch.float64, 2


def randn(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


TRANSPORTS = torch.linalg.qr(randn(12, 2, 2, seed=9)).Q
T = 0.2
OPERATORS = {
    "graph": (GraphLaplacian(GRAPH), (8, C)),
    "weighted graph": (
        GraphLaplacian(GRAPH, "symmetric", weights=0.5 + randn(12, seed=8).square()),
        (8, C),
    ),
    "edges": (HodgeLaplacian(RINGS, 1), (8, C)),
    "rings": (HodgeLaplacian(RINGS, 2), (3, C)),
    "bundle": (SheafLaplacian(rotation_sheaf(), True), (8, 2, C)),
    "sheaf": (SheafLaplacian(matrix_sheaf(), True), (8, 2, C)),
    "connection": (ConnectionLaplacian(GRAPH, TRANSPORTS), (8, 2, C)),
}
LOOPS, A = Entries.from_complex(GRAPH, True), adjacency(GRAPH, F64)
Q, K = randn(C, 4, seed=1), randn(C, 4, seed=2)
MIX = torch.tensor([[0.5, 0.2], [0.2, -0.3]], dtype=F64)


def attention(t, x, entries):
    heads = [(x[:, :C] @ w).unflatten(1, (2, -1)) for w in (Q, K)]
    return attention_weights(scaled_dot(*heads, entries), entries)


def laws():
    """(name, domain, law, shape of the state)."""
    for domain, (operator, shape) in OPERATORS.items():
        b = randn(*shape, seed=3)
        quadratic = QuadraticEnergy(operator)
        yield "heat", domain, Heat(operator, rate=0.7), shape
        yield "heat with source", domain, Heat(operator, source=b), shape
        yield "heat in time", domain, Heat(operator, rate=lambda t: 1 - t), shape
        yield "flow", domain, GradientFlow(0.5 * quadratic + AttractorEnergy(b)), shape
        yield "wells", domain, GradientFlow(0.5 * quadratic + DoubleWellEnergy()), shape
        yield "mixed", domain, MixedDiffusion(operator, right=MIX, activation=torch.tanh), shape
        yield "wave", domain, Wave(operator, speed=0.8), shape
        yield "damped wave", domain, Wave(operator, damping=0.3, source=b), shape
        pull = lambda t, x, operator=operator: -(operator @ x)  # noqa: E731
        yield "oscillator", domain, ControlledOscillator(pull, activation=torch.tanh), shape
    yield "total variation", "graph", GradientFlow(PDirichletEnergy(GRAPH, 1, eps=0.5)), (8, C)
    tv = PDirichletEnergy(RINGS, 1.5, eps=0.5, rank=1) + HodgeEnergy(RINGS, 1, up=0.0)
    yield "total variation", "edges", GradientFlow(tv), (8, C)
    tv = PDirichletEnergy(matrix_sheaf(), 1, eps=0.5) + 0.1 * SheafEnergy(rotation_sheaf())
    yield "total variation", "sheaf", GradientFlow(tv), (8, 2, C)
    yield "harmonic", "graph", GradientFlow(PolyakovEnergy(GRAPH, eps=0.5)), (8, C)
    energy = 0.1 * DirichletEnergy(GRAPH) + MixingEnergy(A, MIX, source=(randn(8, C), MIX))
    yield "graff", "graph", GradientFlow(energy), (8, C)
    yield "grand-l", "graph", AttentionDiffusion(LOOPS, A.weight), (8, C)
    yield "grand-l", "symmetric graph", AttentionDiffusion.from_matrix(A), (8, C)
    yield "grand-nl", "graph", AttentionDiffusion(LOOPS, attention, source=randn(8, C)), (8, C)
    moving = BeltramiFlow(LOOPS, attention, C, rewire=lambda p: nearest_neighbors(p, 3))
    yield "blend", "moving graph", moving, (8, C + 2)
    for reaction in ("fisher", "allen_cahn", "zeldovich", "blurring_sharpening"):
        yield reaction, "graph", ReactionDiffusion(A, reaction), (8, C)
    yield "acmp", "graph", AllenCahnMessagePassing(LOOPS, attention), (8, C)
    yield "acmp of fixed weights", "graph", AllenCahnMessagePassing(LOOPS, A.weight), (8, C)


LAWS = {f"{name} on {domain}": (law, shape) for name, domain, law, shape in laws()}
FIXED = (
    "euler", "midpoint", "heun", "rk4", "adams_bashforth", "adams_moulton", "implicit_euler",
    "crank_nicolson", "bdf2", "imex", "leapfrog", "verlet", "symplectic_euler",
)  # fmt: skip
FIXED_OF_TORCHDIFFEQ = ("heun2", "heun3", "explicit_adams", "implicit_adams", "fixed_adams")
EXACT = ("chebyshev", "krylov", "uniformization")
FIRST_ORDER = ("euler", "implicit_euler", "symplectic_euler")


def options(solver):
    if solver in FIXED:
        return {"num_steps": 4}
    if solver in FIXED_OF_TORCHDIFFEQ:
        return {"step_size": T / 4}
    return {} if solver in EXACT else {"rtol": 1e-4, "atol": 1e-4}


def why_not(law, solver):
    """A part of the message for a pair that does not go together; None for one that does."""
    if solver in ("leapfrog", "verlet", "symplectic_euler"):
        return None if law.order == 2 else "steps laws of second order"
    if solver in ("chebyshev", "krylov"):
        exact = law.order == 1 and law.linear and law.symmetric and law.autonomous
        return None if exact else "(linear|symmetric)"
    if solver == "uniformization":
        make = getattr(law, "mixing", None)
        zero = torch.zeros((), dtype=F64)
        operator = law.linear_operator(zero) if law.order == 1 and law.linear else None
        definite = operator is not None and operator.symmetric and operator.positive_semidefinite
        mixes = definite if make is None else make(zero) is not None
        return None if mixes and law.autonomous else "uniformization needs a law"
    if solver == "imex":
        with_operator = (
            law.order == 1 and law.linear_operator(torch.zeros((), dtype=F64)) is not None
        )
        return None if with_operator else "imex needs a law of first order with linear_operator"
    return None


@pytest.mark.filterwarnings("ignore:Functional iteration did not converge")
@pytest.mark.parametrize("name", LAWS)
def test_every_law_with_every_solver(name):
    law, shape = LAWS[name]
    start = randn(*shape, seed=7)
    state = (start, torch.zeros_like(start)) if law.order == 2 else start
    goal = diffuse(law, state, T, "rk4", num_steps=40).x
    for solver in SOLVERS:
        x = start.clone().requires_grad_()
        reason = why_not(law, solver)
        if reason is not None:
            with pytest.raises(ValueError, match=reason):
                diffuse(law, x, T, solver)
            continue
        solution = diffuse(law, x, T, solver, **options(solver))
        assert solution.status == "ok", solver
        assert solution.x.shape == shape
        error = float((solution.x.detach() - goal).norm() / goal.norm())
        assert error < (0.15 if solver in FIRST_ORDER else 0.05), f"{solver}: {error}"
        (grad,) = torch.autograd.grad((solution.x * goal).sum(), x)
        assert bool(grad.isfinite().all()), solver
        assert float(grad.norm()) > 0, solver


def test_the_table_is_complete():
    assert len(SOLVERS) >= 20
    assert len(LAWS) >= 70
    assert (
        sum(why_not(law, solver) is None for law, _ in LAWS.values() for solver in SOLVERS) > 1000
    )


@pytest.mark.parametrize("solver", ["dopri5", "implicit_euler", "leapfrog"])
def test_states_on_the_wrong_domain_are_refused(solver):
    operator = OPERATORS["edges"][0]
    law = Wave(operator) if solver == "leapfrog" else Heat(operator)
    with pytest.raises(ValueError, match=r"shape \(8, \*channels\)"):
        diffuse(law, randn(5, C), T, solver)
