"""CIN with one row for all cells of a colour: the same numbers as with a row for every cell."""

from __future__ import annotations

import copy

import pytest
import torch

import topodiff as td
from topodiff.complexes import CellComplex
from topodiff.complexes.colours import colour_rows, refine
from topodiff.nn import CIN, CINLayer
from topodiff.nn.sharing import SharedCells

CATEGORIES = {0: (5, 3), 1: (4,), 2: (2,)}
FEW = {0: (2,), 1: (2,)}


@pytest.fixture
def alike(molecules) -> CellComplex:
    """Molecules of two kinds of atoms and bonds, each several times."""
    K = molecules.replace(x={r: molecules.x[r][:, :1] % 2 for r in (0, 1)})
    return K.select([0, 3, 1, 2, 0, 3, 3, 0, 1])


def outcome(model: CIN, K: CellComplex, worth_sharing: float) -> tuple[list[torch.Tensor], int]:
    """Output, gradients and buffers after a step; rows of vertices in the first layer."""
    model = copy.deepcopy(model)
    model.worth_sharing = worth_sharing
    rows = []
    model.layers[0].combine[0].register_forward_hook(lambda _, x, y: rows.append(len(x[0].x)))
    out = model(K)
    out.square().sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return [out, *gradients, *model.buffers()], rows[0]


@pytest.mark.parametrize("worth_sharing", [0.5, 1.0])  # 0.5: the last layers see every cell
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("in_channels", "options"),
    [
        (FEW, {}),
        (FEW, {"norm": "clipped", "activation": "silu"}),
        (FEW, {"norm": "layer", "coface_features": False}),
        (FEW, {"norm": "none", "activation": "tanh", "init_reduce": "mean", "readout": "mean"}),
        (FEW, {"max_rank": 1}),
        ({0: (2,)}, {}),
    ],
)
def test_shared_rows_change_nothing(alike, worth_sharing, training, in_channels, options):
    torch.manual_seed(0)
    model = CIN(in_channels, 6, 2, 3, **options).double()
    model(alike)  # moves the running statistics
    model.train(training)
    expected, every = outcome(model, alike, 0)
    found, shared = outcome(model, alike, worth_sharing)
    assert shared < every == alike.num_cells(0)
    scale = max(1.0, *(float(b.detach().abs().max()) for b in expected))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a / scale, b / scale, rtol=1e-10, atol=1e-10)


def test_several_columns_and_features_of_rings(molecules):
    torch.manual_seed(0)
    K = td.batch([molecules, molecules])
    model = CIN(CATEGORIES, 6, 1, 3).double()
    expected, every = outcome(model, K, 0)
    found, shared = outcome(model, K, 1)
    assert shared < every
    scale = max(float(b.detach().abs().max()) for b in expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a / scale, b / scale, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "options", [{"dropout": 0.5}, {"lower_messages": True}, {"jump": "cat"}], ids=str
)
def test_cells_of_one_colour_with_different_values_are_not_shared(alike, options):
    _, rows = outcome(CIN(FEW, 6, 1, 2, **options), alike, 1)
    assert rows == alike.num_cells(0)


def test_real_features_are_not_shared(alike):
    K = alike.replace(x={r: x.double() for r, x in alike.x.items()})
    _, rows = outcome(CIN({0: 1, 1: 1}, 6, 1, 2).double(), K, 1)
    assert rows == K.num_cells(0)


def test_lower_messages_of_shared_cells_are_refused(alike):
    colours = [colour_rows(torch.zeros(n, 1)) for n in alike.shape]
    x = [torch.zeros(1, 4) for _ in colours]
    layer = CINLayer(4, 4, lower_messages=True)
    with pytest.raises(TypeError, match="colours leave out lower neighbours"):
        layer(SharedCells(alike, colours, refine(alike, colours)), x)
