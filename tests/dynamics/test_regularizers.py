"""Integrals over time of laws that jump."""

import networkx as nx
import pytest
import torch

import topodiff as td
from topodiff.dynamics import Heat, Piecewise, jacobian_norm, kinetic_energy, time_integral
from topodiff.nn import GRAND
from topodiff.operators import GraphLaplacian

F64 = torch.float64
PATH = td.from_networkx(nx.path_graph(2))


@pytest.mark.parametrize("times", [[0, 0.5, 1], [0, 0.1, 0.2, 0.5, 0.9, 1], [0.5, 1], [0, 0.25]])
def test_each_side_of_a_jump_counts_as_it_is_there(times):
    """``dx/dt = 3`` up to 0.5, and 0 after it."""
    source = torch.tensor([3.0, 0.0], dtype=F64)[:, None, None].expand(2, 2, 1).contiguous()
    law = Heat(GraphLaplacian(PATH), rate=0.0, source=Piecewise(source, 1.0))
    sol = td.diffuse(law, torch.zeros(2, 1, dtype=F64), times[-1], "rk4", save_at=times)
    found = time_integral(kinetic_energy, law, sol.ts, sol.x)
    assert float(found) == pytest.approx(9 * max(min(times[-1], 0.5) - times[0], 0))


def test_the_jacobian_of_both_sides():
    """``J = -c L`` with ``|L|^2 = 4``, over 2 entries."""
    law = Heat(GraphLaplacian(PATH), rate=Piecewise([1.0, 3.0], 2.0))
    times, states = torch.tensor([0.0, 1.0, 2.0], dtype=F64), torch.randn(3, 2, 1, dtype=F64)

    def term(law, t, x):
        noise = torch.tensor([[1.0], [-1.0]], dtype=F64)
        return jacobian_norm(law, t, x, noise)

    assert float(time_integral(term, law, times, states)) == pytest.approx(4 * (1 + 9))


@pytest.mark.parametrize("layers", [1, 2, 3, 10])
def test_penalties_are_integrated_from_jump_to_jump(layers):
    model = GRAND(3, 4, 2, layers, solver="rk4", step_size=0.02, kinetic=1.0)
    law = model.make_law(PATH, torch.randn(2, 4))
    times = model._penalty_times(law)
    assert layers < len(times) <= max(9, layers + 1)
    assert bool((times.diff() > 0).all())
    for t in (0.0, *law.breaks(), 1.0):
        assert float((times - t).abs().min()) < 1e-12
