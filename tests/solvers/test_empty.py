"""Domains without cells."""

import networkx as nx
import pytest
import torch

import topodiff as td
from topodiff.dynamics import DirichletEnergy, GradientFlow
from topodiff.operators import GraphLaplacian, SheafLaplacian
from topodiff.solvers import linear_solve

NOTHING = td.from_networkx(nx.empty_graph(0))
OPERATORS = {
    "graph": GraphLaplacian(NOTHING),
    "sheaf": SheafLaplacian(td.CellularSheaf(NOTHING, 2, torch.zeros(0, 2, 2))),
}
SOLVERS = ["auto", "rk4", "dopri5", "dormand_prince", "implicit_euler", "bdf2", "crank_nicolson",
           "adams_moulton", "imex", "chebyshev", "krylov", "uniformization"]  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_no_vertices(name, solver):
    operator = OPERATORS[name]
    for channels in (0, 3):
        x = torch.zeros(*operator.col_shape, channels)
        sol = td.diffuse(operator, x, 1.0, solver)
        assert sol.status == "ok"
        assert sol.x.shape == x.shape


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("method", ["auto", "cg", "minres", "gmres"])
@pytest.mark.parametrize("preconditioner", ["auto", "jacobi", None])
def test_linear_systems_of_no_rows(name, method, preconditioner):
    operator = OPERATORS[name]
    shifted = operator.identity() + operator
    b = torch.zeros(*operator.col_shape, 3)
    found = linear_solve(shifted, b, method=method, preconditioner=preconditioner)
    assert found.status == "converged"
    assert found.x.shape == b.shape


@pytest.mark.parametrize("channels", [(), (0,), (3,), (2, 3)])
def test_energies_of_nothing(channels):
    energy, x = DirichletEnergy(NOTHING), torch.zeros(0, *channels)
    assert float(energy.value(x)) == 0.0
    assert td.diffuse(GradientFlow(energy), x, 1.0).x.shape == x.shape
