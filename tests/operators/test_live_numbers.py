"""Operators follow maps and weights that change in place, as parameters do under an optimiser."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import topodiff as td
from topodiff.operators import (
    Coboundary,
    Dirac,
    GraphLaplacian,
    HodgeLaplacian,
    LinearOperator,
    SheafLaplacian,
    eigenvalues,
)

# two triangles, a square and a pendant edge; vertex 7 is isolated
K = td.CellComplex.from_rings(
    8,
    torch.tensor([[0, 1, 2, 1, 2, 3, 4, 5], [1, 2, 0, 3, 3, 4, 5, 2]]),
    [(0, 1, 2), (1, 2, 3), (2, 3, 4, 5)],
)
DIM = 2
Build = Callable[..., LinearOperator]


def _maps(*shape: int) -> list[Tensor]:
    counts = [K.incidence(r).nnz for r in (1, 2)]
    return [1 + 0.3 * torch.randn(n, *shape, dtype=torch.double) for n in counts]


def _weights() -> list[Tensor]:
    return [0.5 + torch.rand(n, dtype=torch.double) for n in K.shape]


def _sheaf(numbers: tuple[Tensor, ...]) -> td.CellularSheaf:
    return td.CellularSheaf(
        K, DIM, {1: numbers[0], 2: numbers[1]}, weights=dict(enumerate(numbers[2:]))
    )


def _laplacian(normalized: bool | str, rank: int) -> Build:
    return lambda *n: SheafLaplacian(_sheaf(n), normalized, rank=rank)


torch.manual_seed(0)
CASES: dict[str, tuple[Build, list[Tensor]]] = {
    "coboundary": (lambda *n: Coboundary(_sheaf(n), 0), _maps(DIM, DIM)),
    "dirac": (lambda *n: Dirac(_sheaf(n)), [*_maps(DIM), *_weights()]),
    "hodge weighted": (lambda *w: HodgeLaplacian(K, 1, weights=dict(enumerate(w))), _weights()),
    "random walk": (
        lambda w: GraphLaplacian(K, "random_walk", weights=w),
        _weights()[1:2],
    ),
}
for kind, shape in (("scalar", ()), ("diagonal", (DIM,)), ("matrix", (DIM, DIM))):
    for normalized in (False, True, "augmented"):
        for rank in range(3):
            numbers = [*_maps(*shape), *(_weights() if rank != 1 else [])]
            CASES[f"{kind} {normalized} {rank}"] = _laplacian(normalized, rank), numbers


def views(operator: LinearOperator) -> list[Tensor]:
    """All that an operator can be asked for."""
    x = torch.arange(operator.shape[1], dtype=torch.double).cos().reshape(*operator.col_shape, 1)
    y = torch.arange(operator.shape[0], dtype=torch.double).sin().reshape(*operator.row_shape, 1)
    found = [operator @ x, operator.T @ y, operator.to_dense()]
    found += [operator.to_sparse().to_dense(), torch.tensor(operator.spectral_bound())]
    if operator.row_shape == operator.col_shape:
        found.append(operator.block_diagonal())
    if operator.symmetric:
        found.append(eigenvalues(operator))
    if operator.positive_semidefinite:
        found += [td.diffuse(operator, x, 0.3, solver=s).x for s in ("implicit_euler", "auto")]
    return found


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_view_follows_the_numbers(name: str, recorded: bool) -> None:
    build, numbers = CASES[name]
    numbers = [n.clone().requires_grad_(recorded) for n in numbers]
    operator = build(*numbers)
    views(operator)
    with torch.no_grad():
        views(operator)
        for n in numbers:
            n.mul_(torch.linspace(0.5, 2, n.numel(), dtype=n.dtype).reshape(n.shape))
    for found, expected in zip(views(operator), views(build(*numbers)), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", CASES)
def test_every_view_follows_other_memory(name: str) -> None:
    """As ``vector_to_parameters`` assigns it, also where it takes the address of the memory before
    the last."""
    build, numbers = CASES[name]
    numbers = [n.clone().requires_grad_() for n in numbers]
    operator = build(*numbers)
    with torch.no_grad():
        views(operator)
        for n in 2 * numbers:
            n.data = 1.5 * n
        for found, expected in zip(views(operator), views(build(*numbers)), strict=True):
            torch.testing.assert_close(found, expected)


def test_the_same_memory_read_otherwise() -> None:
    maps = torch.nn.Parameter(_maps(DIM, DIM)[0])
    laplacian = SheafLaplacian(td.CellularSheaf(K, DIM, maps))
    with torch.no_grad():
        laplacian.to_dense()
        maps.data = maps.mT
        expected = SheafLaplacian(laplacian.sheaf).to_dense()
        torch.testing.assert_close(laplacian.to_dense(), expected)


@pytest.mark.parametrize("name", CASES)
def test_gradients_in_the_second_step(name: str) -> None:
    build, numbers = CASES[name]
    numbers = [n.clone().requires_grad_() for n in numbers]
    operator = build(*numbers)

    def gradients(operator: LinearOperator) -> tuple[Tensor, ...]:
        x = torch.arange(operator.shape[1], dtype=torch.double).cos()
        energy = (operator @ x).square().sum() + (operator @ (operator.T @ (operator @ x))).sum()
        return torch.autograd.grad(energy, numbers, allow_unused=True)

    for _ in range(3):
        for found, expected in zip(gradients(operator), gradients(build(*numbers)), strict=True):
            torch.testing.assert_close(found, expected)
        with torch.no_grad():
            for n in numbers:
                n.mul_(1.25)


@pytest.mark.parametrize("solver", ["auto", "implicit_euler", "chebyshev", "dopri5"])
@pytest.mark.parametrize("normalized", [False, True])
def test_training_through_a_solver(solver: str, normalized: bool) -> None:
    maps = torch.nn.Parameter(_maps(DIM, DIM)[0])
    laplacian = SheafLaplacian(td.CellularSheaf(K, DIM, maps), normalized)
    x = torch.randn(K.shape[0], DIM, 1, dtype=torch.double)
    for _ in range(2):
        fresh = SheafLaplacian(td.CellularSheaf(K, DIM, maps), normalized)
        grads = [
            torch.autograd.grad(td.diffuse(L, x, 0.5, solver=solver).x.square().sum(), maps)[0]
            for L in (laplacian, fresh)
        ]
        torch.testing.assert_close(*grads)
        with torch.no_grad():
            maps.sub_(0.05 * grads[0])


def test_a_copy_follows_its_own_maps() -> None:
    maps = _maps(DIM, DIM)[0]
    laplacian = SheafLaplacian(td.CellularSheaf(K, DIM, maps), True)
    x = torch.randn(K.shape[0], DIM, 1, dtype=torch.double)
    maps.mul_(1)  # a version that the copy reaches only later
    laplacian @ x
    other = copy.deepcopy(laplacian)
    other.sheaf.maps[1].mul_(torch.linspace(1, 2, len(maps), dtype=torch.double)[:, None, None])
    expected = SheafLaplacian(other.sheaf, True)
    torch.testing.assert_close(other @ x, expected @ x)
    torch.testing.assert_close(other.to_dense(), expected.to_dense())


def test_what_is_kept_in_inference_mode_is_no_hindrance_to_training() -> None:
    laplacian = SheafLaplacian(td.CellularSheaf(K, DIM, _maps(DIM, DIM)[0]), True)
    x = torch.randn(K.shape[0], DIM, 1, dtype=torch.double, requires_grad=True)
    with torch.inference_mode():
        laplacian @ torch.ones_like(x)
    (laplacian @ x).square().sum().backward()
    assert x.grad is not None


def test_what_a_transform_asked_for_is_not_kept() -> None:
    laplacian = SheafLaplacian(td.CellularSheaf(K, DIM, _maps(DIM, DIM)[0]), True)
    x = torch.randn(K.shape[0], DIM, 1, dtype=torch.double)
    with contextlib.suppress(RuntimeError):  # kernels have no rules for transforms
        torch.func.grad(lambda z: (laplacian @ z).sum())(x)
    expected = SheafLaplacian(laplacian.sheaf, True)
    torch.testing.assert_close(laplacian @ x, expected @ x)
