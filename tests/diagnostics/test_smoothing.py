"""Energies along flows, decay rates, distances between neighbours."""

from __future__ import annotations

import pytest
import torch

from topodiff.complexes import CellComplex
from topodiff.diagnostics import decay_rate, energies_along, mean_average_distance
from topodiff.dynamics import DirichletEnergy, GradientFlow, PDirichletEnergy
from topodiff.solvers import diffuse

F64 = torch.float64
CYCLE = CellComplex.from_edges(6, torch.tensor([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0]]))


def test_heat_decays_at_twice_the_spectral_gap():
    x = torch.randn(6, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    energy, times = DirichletEnergy(CYCLE), torch.linspace(4, 8, 9)
    states = diffuse(GradientFlow(energy), x, 8.0, "chebyshev", save_at=times).x
    names = {"dirichlet": energy, "variation": PDirichletEnergy(CYCLE, 1, eps=1e-9)}
    found = energies_along(names, states)
    assert found["dirichlet"].shape == (9,)
    assert abs(decay_rate(found["dirichlet"], times) - 2.0) < 0.01  # the gap of C_6 is 1
    assert abs(decay_rate(found["variation"], times) - 1.0) < 0.01
    assert energies_along(names, [])["dirichlet"].shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", [{"solver": "rk4", "num_steps": 2400}, {}])
def test_rates_of_flows_that_end_in_rounding(dtype, options):
    edges = torch.combinations(torch.arange(10)).T
    complete = CellComplex.from_edges(10, edges)
    x = torch.randn(10, 3, dtype=dtype, generator=torch.Generator().manual_seed(0))
    energy, times = DirichletEnergy(complete), torch.linspace(0, 6, 25)
    states = diffuse(GradientFlow(energy), x, 6.0, save_at=times, **options).x
    found = energies_along({"energy": energy}, states)["energy"]
    assert abs(decay_rate(found, times) - 20) < 0.01


def test_rates_leave_out_what_is_rounding():
    times = torch.arange(6.0)
    energies = torch.tensor([1.0, 0.1, 0.01, 0.0, 1e-40, torch.nan])
    assert abs(decay_rate(energies, times) - 2.302585) < 1e-5
    assert decay_rate([2.0, 2.0], [0.0, 1.0]) == 0.0
    assert abs(decay_rate([1.0, 1e-12, 1e-24], [0, 1, 2]) - 27.631021) < 1e-5  # lists are double
    with pytest.raises(ValueError, match="times must be finite"):
        decay_rate([1.0, 0.1, 0.01], [0.0, 1.0, torch.nan])
    with pytest.raises(ValueError, match="as many"):
        decay_rate([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="positive energies at two times"):
        decay_rate([1.0, 0.0], [1.0, 2.0])


def test_mean_average_distance_written_out():
    path = CellComplex.from_edges(5, torch.tensor([[0, 1], [1, 2]]))  # 3 and 4 are isolated
    x = torch.tensor([[1.0, 0], [0, 2], [0, -3], [1, 1], [0, 0]], dtype=F64)
    # neighbours: 0-1 at 1, 1-2 at 2
    torch.testing.assert_close(mean_average_distance(path, x), x.new_tensor((1 + 1.5 + 2) / 3))
    # 0-1 at 0, which 1 does not count
    two = torch.tensor([[1.0, 3], [1, 3], [-3, 1], [1, 1], [0, 0]], dtype=F64)
    torch.testing.assert_close(mean_average_distance(path, two), x.new_tensor(2 / 3))
    same = torch.ones(5, 2, dtype=F64)
    torch.testing.assert_close(mean_average_distance(path, same), x.new_tensor(0.0))
    assert float(mean_average_distance(path, torch.zeros(5, 2, dtype=F64))) == 1.0
    lonely = CellComplex.from_edges(3, torch.zeros(2, 0, dtype=torch.long))
    assert float(mean_average_distance(lonely, same[:3])) == 0.0
    with pytest.raises(ValueError, match=r"shape \(5, channels\)"):
        mean_average_distance(path, x[:2])


@pytest.mark.parametrize("size", [1e-40, 1e-25, 1e25])
def test_mean_average_distance_does_not_depend_on_the_size_of_features(size):
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    x = (x.double() * size).float()
    exact = mean_average_distance(CYCLE, x.double())
    found = mean_average_distance(CYCLE, x)
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)
