"""Fitting models of vertices in continuous time: regularisers, and where a fit starts."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from topodiff.complexes import CellComplex
from topodiff.nn import GRAND
from topodiff.training.nodes import NodeFitConfig, fit_nodes

PATH = CellComplex.from_edges(6, torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]))
PATH = PATH.replace(x={0: torch.randn(6, 3, generator=torch.Generator().manual_seed(0))})
Y = torch.arange(6) % 2
TRAIN = torch.arange(6) < 3


def grand(**options):
    torch.manual_seed(0)
    return GRAND(3, 4, 2, time=1.0, solver="euler", step_size=0.25, dropout=0.0, **options)


@pytest.mark.parametrize("regulariser", ["kinetic", "jacobian"])
def test_regularisers_are_part_of_the_loss(regulariser):
    model, twin = grand(**{regulariser: 10.0}), grand(**{regulariser: 10.0})
    fitted = fit_nodes(model, PATH, Y, TRAIN, ~TRAIN, NodeFitConfig(epochs=5))
    torch.manual_seed(0)  # the jacobian is estimated with random vectors
    expected = cross_entropy(twin.train()(PATH)[TRAIN], Y[TRAIN]) + twin.penalty
    assert fitted.history[0]["train_loss"] == pytest.approx(float(expected.detach()))
    free = fit_nodes(grand(), PATH, Y, TRAIN, ~TRAIN, NodeFitConfig(epochs=5))
    assert free.history[-1]["valid_loss"] != fitted.history[-1]["valid_loss"]


def test_a_fit_without_ends_ends_at_time():
    config = NodeFitConfig(epochs=2)
    model = grand()
    model.end = 0.25
    fitted = fit_nodes(model, PATH, Y, TRAIN, ~TRAIN, config)
    assert model.end is None
    assert fitted.history == fit_nodes(grand(), PATH, Y, TRAIN, ~TRAIN, config).history
