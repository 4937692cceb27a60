"""Gradients to what laws have learnt, by every solver and every backward pass that goes with it."""

from __future__ import annotations

import pytest
import torch
from domains import GRAPH, RINGS

from topodiff.dynamics import (
    AllenCahnMessagePassing,
    AttentionDiffusion,
    ControlledOscillator,
    DirichletEnergy,
    DoubleWellEnergy,
    Entries,
    GradientFlow,
    Heat,
    MixedDiffusion,
    ReactionDiffusion,
    Wave,
    adjacency,
    normalize,
)
from topodiff.nn.gat import GATLayer
from topodiff.nn.gcn import GCNLayer
from topodiff.operators import SheafLaplacian
from topodiff.sheaves import CellularSheaf
from topodiff.solvers import diffuse

F64, T, C = torch.float64, 0.2, 2
LOOPS, A = Entries.from_complex(GRAPH, True), adjacency(GRAPH, F64)


def leaf(*shape, seed=0):
    values = torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return values.requires_grad_()


class Coupling:
    """A layer on the graph as a function of (t, x)."""

    def __init__(self, layer):
        self.layer = layer.double()

    def __call__(self, t, x):
        return self.layer(GRAPH, x)

    def parameters(self):
        return list(self.layer.parameters())


class StateSheaf:
    """A sheaf Laplacian with the diagonal maps ``tanh(W x)`` of the vertex of each incidence."""

    def __init__(self, weight):
        self.weight = weight
        self.face = GRAPH.incidence(1).face

    def __call__(self, t, x):
        maps = torch.tanh(x.flatten(1) @ self.weight)[self.face]
        return SheafLaplacian(CellularSheaf(GRAPH, 2, maps))

    def parameters(self):
        return [self.weight]


def laws():
    """name -> law, shape of the state."""
    torch.manual_seed(0)
    maps = {r: leaf(RINGS.incidence(r).nnz, 2, 2, seed=r) for r in (1, 2)}
    on_edges = SheafLaplacian(CellularSheaf(RINGS, 2, maps), rank=1)
    scores = leaf(LOOPS.nnz, 1, seed=4)
    number = leaf().detach().abs().requires_grad_()
    return {
        "heat, sheaf on edges": (Heat(on_edges, rate=0.2), (8, 2, C)),
        "wave, sheaf on edges": (Wave(on_edges, speed=0.3), (8, 2, C)),
        "mixed": (
            MixedDiffusion(
                SheafLaplacian(CellularSheaf(GRAPH, 2, leaf(24, 2, 2, seed=3)), True),
                left=leaf(2, 2, seed=1), right=leaf(C, C, seed=2), activation=torch.tanh,
            ),
            (8, 2, C),
        ),
        "sheaf of the state": (MixedDiffusion(StateSheaf(leaf(2 * C, 2))), (8, 2, C)),
        "attention": (
            AttentionDiffusion(LOOPS, normalize(LOOPS, scores.exp(), "row")[:, 0], rate=number),
            (8, C),
        ),
        "weighted energies": (
            GradientFlow(number * DirichletEnergy(GRAPH) + DoubleWellEnergy()), (8, C)
        ),
        "reaction": (ReactionDiffusion(A, "fisher", alpha=leaf(), beta=leaf(seed=1)), (8, C)),
        "acmp": (
            AllenCahnMessagePassing(LOOPS, leaf(LOOPS.nnz), alpha=0.3, beta=leaf(), delta=0.3),
            (8, C),
        ),
        "gcn oscillator": (ControlledOscillator(Coupling(GCNLayer(C, C)), alpha=leaf()), (8, C)),
        "gat oscillator": (ControlledOscillator(Coupling(GATLayer(C, C, 2))), (8, C)),
    }  # fmt: skip


LAWS = laws()
STEPS = {"num_steps": 4}
FINE = {"rtol": 1e-3, "atol": 1e-5}
FIRST_ORDER = [
    ("rk4", "direct", STEPS), ("rk4", "checkpoint", STEPS), ("crank_nicolson", "direct", STEPS),
    ("bdf2", "checkpoint", {"num_steps": 8}), ("imex", "direct", {"num_steps": 8}),
    ("dormand_prince", "direct", FINE), ("dormand_prince", "checkpoint", FINE),
    ("dopri5", "direct", FINE), ("dopri5", "adjoint", FINE), ("uniformization", "direct", {}),
    ("chebyshev", "direct", {}), ("krylov", "direct", {}),
]  # fmt: skip
SECOND_ORDER = [
    ("leapfrog", "direct", {"num_steps": 16}), ("leapfrog", "checkpoint", {"num_steps": 16}),
    *FIRST_ORDER[:4], *FIRST_ORDER[5:9],
]  # fmt: skip


def gradients(law, shape, solver, backward, options):
    start = 0.5 * leaf(*shape, seed=7)
    goal = leaf(*shape, seed=8).detach()
    out = diffuse(law, start, T, solver, backward=backward, **options).x
    return torch.autograd.grad((out * goal).sum(), [start, *law.parameters()], retain_graph=True)


@pytest.mark.parametrize("name", LAWS)
def test_gradients_to_what_is_learnt(name):
    law, shape = LAWS[name]
    exact = gradients(law, shape, "rk4", "direct", {"num_steps": 20})
    assert len(exact) > 1
    done = 0
    for solver, backward, options in FIRST_ORDER if law.order == 1 else SECOND_ORDER:
        try:
            found = gradients(law, shape, solver, backward, options)
        except ValueError:
            if solver not in ("imex", "chebyshev", "krylov", "uniformization"):
                raise
            continue
        done += 1
        for one, other in zip(found, exact, strict=True):
            difference = float((one - other).norm())
            assert difference <= 0.05 * (1e-2 + float(other.norm())), (solver, backward)
    assert done >= 7
