"""Blocks of a sheaf Laplacian on the vertices against ``delta^T W delta``."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import topodiff as td
from topodiff import kernels
from topodiff.operators import Coboundary, SheafLaplacian
from topodiff.operators.blocks import sheaf_blocks
from topodiff.operators.roots import inverse_sqrt
from topodiff.sheaves import Orthogonal

EDGES = torch.tensor([[0, 1, 2, 3, 4, 0, 1], [1, 2, 3, 4, 0, 2, 3]])
GRAPH = td.CellComplex.from_edges(7, EDGES)  # vertices 5 and 6 are isolated
NUM_EDGES, STALK_DIM = GRAPH.shape[1], 3


def make_maps(kind: str) -> Tensor | None:
    g = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(2 * NUM_EDGES, *shape, dtype=torch.double, generator=g)

    makers = {
        "identity": lambda: None,
        "scalar": normal,
        "diagonal": lambda: normal(STALK_DIM),
        "general": lambda: normal(STALK_DIM, STALK_DIM),
        "orthogonal": lambda: Orthogonal(STALK_DIM)(normal(3)),
    }
    return makers[kind]()


def dense(sheaf: td.CellularSheaf, normalized: bool | str) -> Tensor:
    """``D^{-1/2} delta^T W delta D^{-1/2}`` by dense algebra."""
    delta = Coboundary(sheaf, 0).to_dense().double()
    weight = sheaf.weights.get(1, torch.ones(NUM_EDGES)).double()
    matrix = delta.T @ (weight.repeat_interleave(STALK_DIM)[:, None] * delta)
    if not normalized:
        return matrix
    n, d = GRAPH.shape[0], STALK_DIM
    blocks = matrix.reshape(n, d, n, d)[range(n), :, range(n)]
    if normalized == "augmented":
        blocks = blocks + torch.eye(d, dtype=blocks.dtype)
    scale = torch.block_diag(*inverse_sqrt(blocks))
    return scale @ matrix @ scale


@pytest.mark.parametrize("normalized", [False, True, "augmented"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["identity", "scalar", "diagonal", "general", "orthogonal"])
def test_blocks_are_those_of_the_laplacian(
    kind: str, weighted: bool, normalized: bool | str
) -> None:
    weights = torch.linspace(0.5, 2, NUM_EDGES, dtype=torch.double) if weighted else None
    maps, i = make_maps(kind), GRAPH.incidence(1)
    orthogonal = kind == "orthogonal"
    sheaf = td.CellularSheaf(GRAPH, STALK_DIM, maps, weights=weights, orthogonal=orthogonal)
    x = torch.randn(GRAPH.shape[0], STALK_DIM, 4, dtype=torch.double)
    expected = (dense(sheaf, normalized) @ x.flatten(0, 1)).reshape(x.shape)
    diagonal, blocks = sheaf_blocks(
        maps, i, like=x, weights=weights, normalized=normalized, orthogonal=orthogonal
    )
    product = kernels.block_matmul(x, diagonal, blocks, i.face, i.face_ptr, i.by_face)
    torch.testing.assert_close(product, expected)
    torch.testing.assert_close(SheafLaplacian(sheaf, normalized) @ x, expected)


@pytest.mark.parametrize("normalized", [False, True, "augmented"])
@pytest.mark.parametrize("kind", ["scalar", "diagonal", "general"])
def test_gradients(kind: str, normalized: bool | str) -> None:
    maps, i = make_maps(kind), GRAPH.incidence(1)
    weights = torch.linspace(0.5, 2, NUM_EDGES, dtype=torch.double)

    def assemble(maps: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        return sheaf_blocks(maps, i, weights=weights, normalized=normalized)

    inputs = [t.clone().requires_grad_() for t in (maps, weights)]  # type: ignore[union-attr]
    assert torch.autograd.gradcheck(assemble, inputs)


def test_kept_blocks_follow_the_maps() -> None:
    maps = make_maps("general")
    assert maps is not None
    laplacian = SheafLaplacian(td.CellularSheaf(GRAPH, STALK_DIM, maps))
    x = torch.randn(GRAPH.shape[0], STALK_DIM, 1, dtype=torch.double)
    first = laplacian @ x
    maps.mul_(2)
    torch.testing.assert_close(laplacian @ x, 4 * first)
    maps.requires_grad_()
    for _ in range(2):  # each product has a graph of its own
        (grad,) = torch.autograd.grad((laplacian @ x).square().sum(), maps)
        assert grad.abs().max() > 0


def test_blocks_follow_maps_made_in_inference_mode() -> None:
    with torch.inference_mode():
        maps = make_maps("general")
        assert maps is not None
        laplacian = SheafLaplacian(td.CellularSheaf(GRAPH, STALK_DIM, maps))
        x = torch.randn(GRAPH.shape[0], STALK_DIM, 1, dtype=torch.double)
        first = laplacian @ x
        maps.mul_(2)
        torch.testing.assert_close(laplacian @ x, 4 * first)


def test_blocks_made_in_inference_mode_serve_gradients() -> None:
    laplacian = SheafLaplacian(td.CellularSheaf(GRAPH, STALK_DIM, make_maps("general")))
    x = torch.randn(GRAPH.shape[0], STALK_DIM, 1, dtype=torch.double, requires_grad=True)
    with torch.inference_mode():
        first = (laplacian @ x).clone()
    (grad,) = torch.autograd.grad((x * (laplacian @ x)).sum(), x)
    torch.testing.assert_close(grad, 2 * first)


def test_normalised_products_take_no_batched_matrices() -> None:
    """Which are ten times as slow as the kernels where matrices are this small."""
    sheaf = td.CellularSheaf(GRAPH, STALK_DIM, make_maps("general"))
    laplacian = SheafLaplacian(sheaf, normalized=True)
    x = torch.randn(GRAPH.shape[0], STALK_DIM, 4, dtype=torch.double)
    with torch.profiler.profile() as seen:
        laplacian @ x
    assert "aten::bmm" not in {event.key for event in seen.key_averages()}
