"""Sheaves taken out of models, and what they separate."""

from __future__ import annotations

import pytest
import torch

import topodiff as td
from topodiff.diagnostics import learned_sheaves, separates, separation_power
from topodiff.nn import GCN, NeuralSheafDiffusion
from topodiff.operators import SheafLaplacian, eigenvalues
from topodiff.sheaves import CellularSheaf

F64 = torch.float64
COMPLEX = td.CellComplex.from_edges(
    7, torch.tensor([[0, 1, 2, 3, 4, 5, 0, 2], [1, 2, 3, 4, 5, 6, 6, 5]])
).replace(x={0: torch.randn(7, 3, dtype=F64, generator=torch.Generator().manual_seed(0))})


@pytest.mark.parametrize("edge_weights", [False, True])
@pytest.mark.parametrize(
    "maps", ["identity", "scalar", "diagonal", "orthogonal", "special_orthogonal", "general"]
)
def test_their_laplacians_are_those_of_the_model(maps, edge_weights):
    torch.manual_seed(0)
    model = NeuralSheafDiffusion(
        3, 4, 2, stalk_dim=3, num_layers=2, maps=maps, edge_weights=edge_weights, dropout=0.5
    ).double()
    first, second = learned_sheaves(model, COMPLEX)
    assert model.training
    x = model.eval().encode(COMPLEX.x[0])
    operator = model.layers[0].operator(COMPLEX, x)
    laplacian = SheafLaplacian(first, normalized="augmented")
    torch.testing.assert_close(laplacian @ x, operator(x))
    assert first.orthogonal == (not edge_weights and maps in (
        "identity", "orthogonal", "special_orthogonal"
    ))  # fmt: skip
    spectrum = eigenvalues(SheafLaplacian(second, normalized=True))
    assert -1e-6 < float(spectrum[0]) <= float(spectrum[-1]) < 2 + 1e-6
    assert not any(t.requires_grad for t in first._numbers())


def test_bundles_and_shared_sheaves():
    model = NeuralSheafDiffusion(3, 4, 2, 2, 3, maps="bundle", shared_sheaf=True).double()
    (bundle,) = learned_sheaves(model, COMPLEX, COMPLEX.x[0])
    holonomy = bundle.holonomy([0, 1, 2, 5, 6])
    torch.testing.assert_close(holonomy, torch.eye(2, dtype=F64))
    with pytest.raises(ValueError, match="GCN learns no sheaf"):
        learned_sheaves(GCN(3, 4, 2), COMPLEX)


@pytest.mark.parametrize("maps", ["orthogonal", "general", "bundle"])
def test_of_vertices_without_edges(maps):
    model = NeuralSheafDiffusion(3, 4, 2, 2, 3, maps=maps, shared_sheaf=True)
    (sheaf,) = learned_sheaves(
        model, td.CellComplex.from_edges(2, torch.empty(2, 0).long()), torch.ones(2, 3)
    )
    (alone,) = learned_sheaves(model, COMPLEX.skeleton(0), torch.ones(7, 3))
    assert sheaf.stalk_dim == alone.stalk_dim == 2


def test_modes_of_all_modules_stay():
    model = NeuralSheafDiffusion(3, 4, 2).double()
    model.layers[0].eval()
    before = [m.training for m in model.modules()]
    learned_sheaves(model, COMPLEX)
    assert [m.training for m in model.modules()] == before
    assert len(set(before)) == 2


def test_of_continuous_models():
    frozen = td.nn.ContinuousSheafDiffusion(3, 4, 2, frozen_sheaf=True).double()
    assert len(learned_sheaves(frozen, COMPLEX)) == 1


TRIANGLES = td.CellComplex.from_simplices([(0, 1, 2), (1, 2, 3), (3, 4)])
TRIANGLES = TRIANGLES.replace(
    x={r: torch.linspace(-1, 1, 3 * n, dtype=F64).reshape(n, 3) for r, n in enumerate((5, 6))}
)


@pytest.mark.parametrize("maps", ["orthogonal", "bundle"])
def test_of_models_on_all_ranks_with_their_curvature(maps):
    """On a flat sheaf the product of the coboundaries vanishes; that of free maps is measured."""
    molecules = td.nn.CochainSheafDiffusion({0: 3, 1: 3}, 4, 2, 3, maps=maps, dropout=0.5)
    flows = td.nn.FlowSheafDiffusion(3, 4, 2, 3, maps=maps)
    found = learned_sheaves(molecules.double(), TRIANGLES)
    assert molecules.training
    found += learned_sheaves(flows.double(), TRIANGLES, TRIANGLES.x[1])
    first = molecules.eval().layers[0].sheaf(TRIANGLES, molecules.embedding(TRIANGLES))
    assert torch.equal(found[0].maps[1], first.maps[1])
    assert len(found) == 6
    for sheaf in found:
        assert sheaf.orthogonal
        assert sorted(sheaf.maps) == [1, 2]
        assert not any(t.requires_grad for t in sheaf._numbers())
        curvature = sheaf.curvature(2).value.abs().max()
        assert (curvature < 1e-12) == (maps == "bundle")


def test_hooks_go_even_if_the_model_fails():
    model = NeuralSheafDiffusion(3, 4, 2)
    with pytest.raises(ValueError, match="shape"):
        learned_sheaves(model, COMPLEX, torch.zeros(7, 5))
    assert not any(m._forward_hooks for m in model.modules())
    assert model.training


def test_separation_power_by_class():
    """Signs part two classes of a square; of four on a line only the outer two."""
    square = td.CellComplex.from_edges(4, torch.tensor([[0, 1, 2, 0], [1, 2, 3, 3]]))
    two, four = torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1, 2, 3])
    signed = CellularSheaf.from_frames(square, torch.tensor([[1.0], [-1], [1], [-1]]))
    assert separation_power(signed, two) == {0: 1.0, 1: 1.0}
    for labels in (two, two.tolist(), two.numpy()):
        assert separates(signed, labels)
        assert separation_power(signed, labels) == {0: 1.0, 1: 1.0}
    trivial = CellularSheaf(square, 1)
    assert separation_power(trivial, two) == {0: 0.0, 1: 0.0}
    line = CellularSheaf.from_frames(square, torch.tensor([[1.0], [2], [3], [4]]).reciprocal())
    assert separation_power(line, four) == {0: 1.0, 1: 0.0, 2: 0.0, 3: 1.0}
    assert not separates(line, four)
    with pytest.raises(ValueError, match="trials must be a whole number >= 1, got 0"):
        separation_power(line, four, trials=0)
