"""One contract for every operator: products, matrices, diagonals, tags, bounds, gradients."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from topodiff.complexes import CellComplex
from topodiff.operators import (
    BlockDiagonal,
    Boundary,
    Coboundary,
    ConnectionLaplacian,
    Dirac,
    GraphLaplacian,
    HodgeLaplacian,
    Identity,
    SheafLaplacian,
)
from topodiff.sheaves import CellularSheaf, SpecialOrthogonal

# two triangles and a square on a path, a lone edge, two isolated vertices
RINGS = CellComplex.from_rings(
    10,
    torch.tensor([[0, 1, 2, 1, 2, 3, 4, 5, 6], [1, 2, 0, 3, 3, 4, 5, 2, 7]]),
    [(0, 1, 2), (1, 2, 3), (2, 3, 4, 5)],
)
BALL = CellComplex.from_simplices([(0, 1, 2, 3), (2, 3, 4)])
DIM = 3


def sheaf(complex, maps, **options):
    return CellularSheaf(complex, DIM, maps, **options)


def rotations(count):
    return SpecialOrthogonal(DIM)(torch.randn(count, 3, dtype=torch.float64))


def random_maps(complex, kind):
    """Random, and away from singular ones, so that float32 can be held to its rounding."""
    shape = {"scalar": (), "diagonal": (DIM,), "matrix": (DIM, DIM)}[kind]
    one = torch.eye(DIM) if kind == "matrix" else 1.0
    counts = [complex.incidence(r).nnz for r in range(1, complex.rank + 1)]
    return [one + torch.randn(n, *shape, dtype=torch.float64).clamp(-1, 1) / 4 for n in counts]


def by_rank(tensors):
    return dict(enumerate(tensors, start=1))


def positive(*counts):
    return [0.5 + torch.rand(n, dtype=torch.float64) for n in counts]


def _sheaf_cases():
    cases = {}
    for kind in ("scalar", "diagonal", "matrix"):
        leaves = random_maps(RINGS, kind)
        for normalized in (False, True, "augmented"):
            cases[f"sheaf {kind} {normalized}"] = (
                lambda *m, n=normalized: SheafLaplacian(sheaf(RINGS, m[0]), n),
                leaves[:1],
            )
        cases[f"sheaf {kind} rank 1"] = (
            lambda *m: SheafLaplacian(sheaf(RINGS, by_rank(m)), rank=1),
            leaves,
        )
        cases[f"sheaf {kind} rank 2 normalised"] = (
            lambda *m: SheafLaplacian(sheaf(RINGS, by_rank(m)), True, rank=2),
            leaves,
        )
        cases[f"sheaf coboundary {kind}"] = (lambda m: Coboundary(sheaf(RINGS, m), 0), leaves[:1])
        cases[f"sheaf dirac {kind}"] = (lambda *m: Dirac(sheaf(RINGS, by_rank(m))), leaves)
        cases[f"weighted sheaf dirac {kind}"] = (
            lambda a, b, *w: Dirac(sheaf(RINGS, {1: a, 2: b}, weights=dict(enumerate(w)))),
            [*leaves, *positive(*RINGS.shape)],
        )
        cases[f"weighted sheaf {kind} rank 1"] = (
            lambda a, b, *w: SheafLaplacian(
                sheaf(RINGS, {1: a, 2: b}, weights=dict(enumerate(w))), "augmented", rank=1
            ),
            [*leaves, *positive(*RINGS.shape)],
        )
    return cases


torch.manual_seed(0)
ROTATIONS = rotations(9)
CASES = {
    "boundary 1": (lambda: Boundary(RINGS, 1), []),
    "boundary 2": (lambda: Boundary(RINGS, 2), []),
    "coboundary 0": (lambda: Coboundary(RINGS, 0), []),
    "coboundary at the last rank": (lambda: Coboundary(RINGS, 2), []),
    "boundary of the vertices": (lambda: Boundary(RINGS, 0), []),
    **{f"hodge {r}": (lambda r=r: HodgeLaplacian(BALL, r), []) for r in range(4)},
    "hodge normalised": (lambda: HodgeLaplacian(BALL, 1, normalized=True), []),
    "hodge random walk 0": (lambda: HodgeLaplacian(RINGS, 0, normalized="random_walk"), []),
    "hodge random walk 1": (lambda: HodgeLaplacian(RINGS, 1, normalized="random_walk"), []),
    "hodge random walk 2": (lambda: HodgeLaplacian(RINGS, 2, normalized="random_walk"), []),
    "hodge weighted": (
        lambda *w: HodgeLaplacian(RINGS, 1, weights=dict(enumerate(w))),
        positive(*RINGS.shape),
    ),
    "hodge up": (lambda: HodgeLaplacian(RINGS, 1).up, []),
    "hodge down": (lambda: HodgeLaplacian(RINGS, 1).down, []),
    **{
        f"graph {kind}": (lambda w, k=kind: GraphLaplacian(RINGS, k, weights=w), positive(9))
        for kind in ("combinatorial", "symmetric", "random_walk")
    },
    "graph random walk, transposed": (lambda: GraphLaplacian(RINGS, "random_walk").T, []),
    "dirac": (lambda: Dirac(BALL), []),
    "constant sheaf": (lambda: SheafLaplacian(sheaf(RINGS, None)), []),
    "constant sheaf normalised": (lambda: SheafLaplacian(sheaf(RINGS, None), True), []),
    "sheaf weighted": (
        lambda m, w: SheafLaplacian(sheaf(RINGS, m, weights=w), True),
        [random_maps(RINGS, "matrix")[0], *positive(9)],
    ),
    "connection": (
        lambda w: ConnectionLaplacian(RINGS, ROTATIONS.to(w.dtype), weights=w, normalized=True),
        positive(9),
    ),
    "flat bundle": (
        lambda f: SheafLaplacian(CellularSheaf.from_frames(RINGS, f), rank=1),
        [rotations(10)],
    ),
    "identity": (lambda: Identity((4, DIM), torch.device("cpu")), []),
    "block diagonal": (lambda b: BlockDiagonal(b @ b.mT, (4, DIM), b.dtype), [rotations(4) + 1]),
    "algebra": (
        lambda m: 2.0 * (d := Coboundary(sheaf(RINGS, m), 0)).T @ d - 0.5 * (d.T @ d).identity(),
        [random_maps(RINGS, "matrix")[0]],
    ),
    "multiples": (
        lambda m, s: (d := Coboundary(sheaf(RINGS, m), 0)).T @ d / s.sum() + (d.T @ d) * s[0],
        [random_maps(RINGS, "matrix")[0], *positive(2)],
    ),
    **_sheaf_cases(),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    build, leaves = CASES[request.param]
    return build, leaves


def state(operator, channels, dtype, side="col"):
    shape = operator.col_shape if side == "col" else operator.row_shape
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, *channels, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_matrices_and_diagonals_agree(case, dtype):
    build, leaves = case
    operator = build(*(leaf.to(dtype) for leaf in leaves))
    if operator.dtype is None:
        assert torch.get_default_dtype() == torch.float32
        assert (operator @ state(operator, (2,), dtype)).dtype == dtype
    tol = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-6}
    matrix = operator.to_scipy()
    assert matrix.shape == operator.shape
    dense = operator.to_dense()
    torch.testing.assert_close(dense, torch.from_numpy(matrix.toarray()), **tol)
    torch.testing.assert_close(operator.to_sparse().to_dense(), dense, **tol)
    torch.testing.assert_close(operator.T.to_dense(), dense.mT, **tol)
    dense = dense.to(dtype)
    for channels in ((), (4,), (2, 3)):
        x = state(operator, channels, dtype)
        expected = (dense @ x.reshape(operator.shape[1], -1)).reshape(
            *operator.row_shape, *channels
        )
        torch.testing.assert_close(operator @ x, expected, **tol)
        flat = x.reshape(operator.shape[1], *channels)
        expected = expected.reshape(operator.shape[0], *channels)
        torch.testing.assert_close(operator @ flat, expected, **tol)
    if operator.row_shape == operator.col_shape:
        diagonal = operator.diagonal()
        assert diagonal.shape == operator.col_shape
        torch.testing.assert_close(diagonal.flatten().to(dtype), dense.diagonal(), **tol)
        d = operator.col_shape[1] if len(operator.col_shape) == 2 else 1
        blocks = dense.reshape(operator.col_shape[0], d, -1, d).diagonal(dim1=0, dim2=2)
        found = operator.block_diagonal().to(dtype)
        torch.testing.assert_close(found, blocks.permute(2, 0, 1), **tol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adjoint_identity(case, dtype):
    build, leaves = case
    operator = build(*(leaf.to(dtype) for leaf in leaves))
    x, y = state(operator, (3,), dtype), state(operator, (3,), dtype, "row").flip(-1)
    left, right = ((operator @ x) * y).sum(), (x * (operator.T @ y)).sum()
    torch.testing.assert_close(
        left, right, rtol=1e-4, atol=1e-4 if dtype == torch.float32 else 1e-10
    )


def test_tags_and_bounds_are_true(case):
    build, leaves = case
    operator = build(*leaves)
    dense = operator.to_dense().double()
    if operator.symmetric:
        torch.testing.assert_close(dense, dense.mT, rtol=1e-5, atol=1e-5)
        assert operator.T is operator
    if operator.positive_semidefinite:
        assert operator.symmetric
        assert float(torch.linalg.eigvalsh(dense).min()) >= -1e-5
    norm = float(torch.linalg.matrix_norm(dense, 2)) if dense.numel() else 0.0
    assert operator.spectral_bound() >= norm - 1e-5
    assert operator.spectral_norm(100) == pytest.approx(norm, rel=1e-3, abs=1e-5)


def test_scipy_view(case):
    build, leaves = case
    operator = build(*leaves)
    view, matrix = operator.scipy(), operator.to_scipy()
    x = np.random.default_rng(0).standard_normal((operator.shape[1], 2))
    y = np.random.default_rng(0).standard_normal((operator.shape[0], 2))
    np.testing.assert_allclose(view @ x, matrix @ x, atol=1e-5)
    np.testing.assert_allclose(view @ x[:, 0], matrix @ x[:, 0], atol=1e-5)
    np.testing.assert_allclose(view.rmatmat(y), matrix.T @ y, atol=1e-5)
    np.testing.assert_allclose(view.rmatvec(y[:, 0]), matrix.T @ y[:, 0], atol=1e-5)
    assert sp.issparse(matrix)
    z = x + 1j * np.random.default_rng(1).standard_normal(x.shape)
    np.testing.assert_allclose(view @ z, matrix @ z, atol=1e-5)
    np.testing.assert_allclose(view @ z[:, 0], matrix @ z[:, 0], atol=1e-5)


def test_scipy_view_without_columns():
    """As many columns as a stalk has dimensions, of a matrix of 10 DIM rows and none, are no
    state."""
    operator = Coboundary(sheaf(RINGS, None), -1)
    view = operator.scipy()
    assert view.matmat(np.zeros((0, DIM))).shape == (operator.shape[0], DIM)
    assert operator.T.scipy().rmatmat(np.zeros((0, DIM))).shape == (operator.shape[0], DIM)


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.int64(2), torch.tensor(2.0).double()])
def test_multiples(number):
    laplacian = GraphLaplacian(RINGS)
    x = torch.randn(10, 2, requires_grad=True)
    for operator in (laplacian * number, number * laplacian, laplacian / (1 / number)):
        assert operator.positive_semidefinite
        assert operator.dtype is None
        torch.testing.assert_close(operator @ x, 2 * (laplacian @ x))
        torch.testing.assert_close(operator.diagonal(), 2 * laplacian.diagonal())
    assert not (laplacian * -number).positive_semidefinite


def test_gradients(case):
    """To the state and to every number that the operator is made of, against numerical ones."""
    build, leaves = case
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    operator = build(*leaves)
    x = state(operator, (2,), torch.float64).requires_grad_()
    if not operator.shape[0] * operator.shape[1]:
        assert (operator @ x).shape == (*operator.row_shape, 2)
        return
    y = state(operator, (2,), torch.float64, "row").sin()

    def energy(x, *leaves):
        return ((build(*leaves) @ x) * y).sum()

    assert torch.autograd.gradcheck(energy, (x, *leaves), fast_mode=True, atol=1e-4)
    if leaves:
        weight = torch.linspace(-1, 1, operator.shape[0] * operator.shape[1], dtype=x.dtype)

        def of_dense(*leaves):
            return (build(*leaves).to_dense().flatten() * weight).sum()

        assert torch.autograd.gradcheck(of_dense, tuple(leaves), fast_mode=True, atol=1e-4)


@pytest.mark.parametrize("name", ["sheaf matrix True", "sheaf diagonal False", "sheaf scalar True"])
def test_second_derivatives(name):
    build, leaves = CASES[name]
    leaves = [leaf.clone().requires_grad_() for leaf in leaves]
    x = state(build(*leaves), (2,), torch.float64).requires_grad_()

    def energy(x, *leaves):
        return ((build(*leaves) @ x) * x).sum()

    assert torch.autograd.gradgradcheck(energy, (x, *leaves), fast_mode=True, atol=1e-4)


def test_sparse_matrices_come_without_warnings():
    code = (
        "import topodiff as td, torch\n"
        "K = td.CellComplex.from_edges(3, torch.tensor([[0, 1], [1, 2]]))\n"
        "td.operators.GraphLaplacian(K).to_sparse()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
