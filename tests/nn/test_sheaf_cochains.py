"""Diffusion of cochains: along Hodge Laplacians, and along sheaves on cells of every rank."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import pytest
import torch
from small_complexes import ring_complex, with_categories

import topodiff as td
from topodiff.nn import (
    CochainSheafDiffusion,
    FlowSheafDiffusion,
    HodgeDiffusion,
    SheafCochainLayer,
)
from topodiff.operators import HodgeLaplacian
from topodiff.testing import (
    assert_orientation_equivariant,
    assert_permutation_equivariant,
    reorient,
)


def triangulation(holes: bool = True) -> td.CellComplex:
    """A triangulated square, with data on all cells; one triangle left out."""
    graph = nx.grid_2d_graph(4, 4)
    graph.add_edges_from(((i, j), (i + 1, j + 1)) for i in range(3) for j in range(3))
    K = td.liftings.CliqueLifting(max_rank=2)(nx.convert_node_labels_to_integers(graph))
    triangles = K.cells(2)[holes:]
    K = td.CellComplex.from_simplices(triangles + K.cells(1))
    g = torch.Generator().manual_seed(0)
    x = {r: torch.randn(n, 3, generator=g, dtype=torch.float64) for r, n in enumerate(K.shape)}
    return K.replace(x=x)


FLOWS = {
    "hodge": lambda rank: HodgeDiffusion(3, 8, 2, 3, rank=rank),
    "hodge down": lambda rank: HodgeDiffusion(3, 8, 2, 3, rank=rank, parts=("down",)),
    "hodge up": lambda rank: HodgeDiffusion(3, 8, 2, 3, rank=rank, parts=("up",)),
    "orthogonal": lambda rank: FlowSheafDiffusion(3, 8, 2, 3, rank=rank),
    "identity": lambda rank: FlowSheafDiffusion(3, 8, 2, 3, rank=rank, maps="identity"),
    "diagonal": lambda rank: FlowSheafDiffusion(3, 8, 2, 3, rank=rank, maps="diagonal"),
    "scalar": lambda rank: FlowSheafDiffusion(3, 8, 2, 3, rank=rank, maps="scalar"),
    "general": lambda rank: FlowSheafDiffusion(3, 9, 2, 3, rank=rank, maps="general", stalk_dim=3),
    "bundle": lambda rank: FlowSheafDiffusion(3, 8, 2, 3, rank=rank, maps="bundle"),
}


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("name", FLOWS)
def test_flows_turn_with_their_cells(name, rank):
    torch.manual_seed(0)
    model, K = FLOWS[name](rank).double(), triangulation()
    assert_orientation_equivariant(lambda K: {rank: model(K)}, K)
    assert_permutation_equivariant(lambda K: {rank: model(K)}, K, oriented=True)
    out = model(K)
    assert out.shape == (K.num_cells(rank), 2)
    torch.testing.assert_close(model(K, -K.x[rank]), -out)


# the last layer computes cochains of all ranks, of which the model reads one
UNREAD = {f"layers.2.{part}.{r}.weight" for part in ("laplacian", "dirac") for r in (0, 2)}


@pytest.mark.parametrize("name", FLOWS)
def test_a_batch_is_its_parts_and_gradients_reach_all_that_is_read(name):
    torch.manual_seed(0)
    model = FLOWS[name](1).double()
    parts = [triangulation(), triangulation(holes=False)]
    together = model(td.batch(parts))
    torch.testing.assert_close(together, torch.cat([model(K) for K in parts]))
    together.square().sum().backward()
    missed = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert missed == (set() if name.startswith("hodge") else UNREAD)


def test_hodge_diffusion_is_its_equation():
    torch.manual_seed(0)
    model, K = HodgeDiffusion(3, 5, 2, 2).double(), triangulation()
    laplacian = HodgeLaplacian(K, 1, normalized="random_walk")
    identity = torch.eye(K.num_cells(1), dtype=torch.float64)
    down, up = laplacian.down @ identity, laplacian.up @ identity
    h = K.x[1] @ model.input.weight.T
    for layer in model.layers:
        change = down @ h @ layer[0].weight.T + up @ h @ layer[1].weight.T
        h = h - change.tanh()
    torch.testing.assert_close(model(K), h @ model.output.weight.T)
    assert torch.linalg.matrix_norm(down @ up) < 1e-12


def restriction(layer: SheafCochainLayer, r: int, a: torch.Tensor, b: torch.Tensor):
    """The map (2, 2) from a face with cochain a to an r-cell with cochain b."""
    if layer.family.name == "identity" or (layer.flat and r > 1):
        return torch.eye(2, dtype=a.dtype)
    params = layer.of_faces[r - 1](a)
    if not layer.flat:
        params = params + layer.of_cells[r - 1](b)
    matrix = layer.family(params.tanh()[None])[0]
    if layer.family.name == "scalar":
        return torch.eye(2, dtype=a.dtype) * matrix
    return torch.diag(matrix) if layer.family.name == "diagonal" else matrix


MAPS = ["orthogonal", "special_orthogonal", "diagonal", "general", "scalar", "identity", "bundle"]


@pytest.mark.parametrize("oriented", [True, False])
@pytest.mark.parametrize("maps", MAPS)
def test_layer_is_its_equation(maps, oriented):
    torch.manual_seed(0)
    activation = "tanh" if oriented else "elu"
    layer = SheafCochainLayer(6, 2, maps=maps, oriented=oriented, activation=activation).double()
    K = triangulation()
    x = [torch.randn(n, 6, dtype=torch.float64) for n in K.shape]
    sheaf = layer.sheaf(K, x)
    deltas = [torch.zeros(2 * n, 2 * m, dtype=x[0].dtype) for m, n in pairwise(K.shape)]
    for r in (1, 2):
        i, learnt = K.incidence(r), sheaf.restriction_matrices(r)
        entries = zip(i.face.tolist(), i.cell.tolist(), i.sign.tolist(), strict=True)
        for k, (f, c, sign) in enumerate(entries):
            a, b = x[r - 1][f], x[r][c]
            if oriented:
                a, b = a.abs(), b.abs()
            matrix = restriction(layer, r, a, b)
            torch.testing.assert_close(learnt[k].to(matrix.dtype), matrix)
            degrees = (1 + (i.face == f).sum()) * (1 + (i.cell == c).sum())
            matrix = matrix * (sign if oriented else 1) / degrees.sqrt()
            deltas[r - 1][2 * c : 2 * c + 2, 2 * f : 2 * f + 2] = matrix
    flat = [t.reshape(-1, 3) for t in x]
    out = layer(K, x)
    for r in range(3):
        first, second = torch.zeros_like(flat[r]), torch.zeros_like(flat[r])
        if r:
            first = first + deltas[r - 1] @ (deltas[r - 1].T @ flat[r])
            second = second + deltas[r - 1] @ flat[r - 1]
        if r < 2:
            first = first + deltas[r].T @ (deltas[r] @ flat[r])
            second = second + deltas[r].T @ flat[r + 1]
        change = layer.laplacian[r](first.reshape(-1, 6)) + layer.dirac[r](second.reshape(-1, 6))
        change = change.tanh() if oriented else torch.nn.functional.elu(change)
        torch.testing.assert_close(out[r], x[r] - change)
    assert sheaf.orthogonal == (maps not in ("diagonal", "general", "scalar"))
    if sheaf.orthogonal:
        sheaf.validate()
        assert all(torch.linalg.matrix_norm(d, 2) <= 1 for d in deltas)


@pytest.mark.parametrize("oriented", [True, False])
@pytest.mark.parametrize("maps", MAPS)
def test_sheaf_of_a_layer_shows_its_curvature(maps, oriented):
    """Bundles are flat on every rank; what is learnt on ranks 1 and 2 on its own is not."""
    torch.manual_seed(0)
    layer = SheafCochainLayer(6, 2, maps=maps, oriented=oriented, activation="tanh").double()
    K = triangulation()
    x = [torch.randn(n, 6, dtype=torch.float64) for n in K.shape]
    sheaf = layer.sheaf(K, x)
    curvature = sheaf.curvature(2).value.square().sum()
    steps = sheaf.coboundary_matrix(1) @ sheaf.coboundary_matrix(0)
    assert steps.power(2).sum() == pytest.approx(float(curvature.detach()), rel=1e-9, abs=1e-20)
    assert (curvature < 1e-20) == (maps in ("identity", "bundle"))
    if maps == "bundle":
        turns = sheaf.cell_holonomies()
        torch.testing.assert_close(turns, torch.eye(2, dtype=x[0].dtype).expand_as(turns))
    else:
        assert maps == "identity" or curvature.requires_grad


def molecule_complexes() -> list[td.CellComplex]:
    graphs = [nx.cycle_graph(6), nx.path_graph(4), nx.empty_graph(1), nx.grid_2d_graph(3, 3)]
    graphs[0].add_edge(5, 6)
    parts = [ring_complex(nx.convert_node_labels_to_integers(g)) for g in graphs]
    return [with_categories(K, seed) for seed, K in enumerate(parts)]


@pytest.mark.parametrize(
    "maps", ["orthogonal", "special_orthogonal", "diagonal", "general", "bundle"]
)
def test_a_model_of_molecules_on_their_ring_complexes(maps):
    torch.manual_seed(0)
    features = {0: (5, 3), 1: (4,), 2: (2,)}
    model = CochainSheafDiffusion(features, 12, 1, 2, maps=maps, stalk_dim=3).double()
    parts = molecule_complexes()
    together = model(td.batch(parts))
    assert together.shape == (4, 1)
    torch.testing.assert_close(together, torch.cat([model(K) for K in parts]))
    assert_permutation_equivariant(model, td.batch(parts))
    turned, _ = reorient(td.batch(parts), 0)
    torch.testing.assert_close(model(turned.replace(x=td.batch(parts).x)), together)
    together.sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_a_model_of_molecules_learns_to_count_rings():
    torch.manual_seed(0)
    parts = molecule_complexes() * 2
    K, target = td.batch(parts), torch.tensor([[float(K.num_cells(2))] for K in parts])
    model = CochainSheafDiffusion({0: (5, 3), 1: (4,), 2: (2,)}, 8, 1, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        optimiser.zero_grad()
        loss = (model(K) - target).square().mean()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.05
