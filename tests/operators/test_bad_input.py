"""Graphs without edges, isolated vertices, one vertex, nothing at all; wrong shapes and dtypes."""

import pytest
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
    SheafLaplacian,
    eigenvalues,
    harmonic_basis,
    hodge_decomposition,
    spectral_embedding,
)
from topodiff.sheaves import CellularSheaf

NO_EDGES = torch.zeros(2, 0, dtype=torch.long)
TRIANGLE = CellComplex.from_simplices([(0, 1, 2)])


@pytest.mark.parametrize("n", [0, 1, 4])
def test_without_edges_everything_is_zero(n):
    complex = CellComplex.from_edges(n, NO_EDGES)
    x = torch.randn(n, 2, 3)
    operators = [HodgeLaplacian(complex, 0), HodgeLaplacian(complex, 0, normalized=True)]
    operators += [HodgeLaplacian(complex, 0, normalized="random_walk")]
    operators += [GraphLaplacian(complex, k) for k in ("combinatorial", "symmetric", "random_walk")]
    for maps in (None, torch.zeros(0), torch.zeros(0, 2), torch.zeros(0, 2, 2)):
        sheaf = CellularSheaf(complex, 2, maps)
        operators += [SheafLaplacian(sheaf, norm) for norm in (False, True, "augmented")]
        assert sheaf.global_sections().shape == (n, 2, 2 * n)
        assert sheaf.edge_transports().shape == (0, 2, 2)
    for laplacian in operators:
        assert torch.equal(laplacian @ x, torch.zeros_like(x))
        assert laplacian.to_sparse().to_dense().shape == laplacian.shape
        assert torch.equal(laplacian.to_dense(), torch.zeros(laplacian.shape))
        assert laplacian.spectral_bound() == 0.0
        assert laplacian.spectral_norm() == 0.0
        assert float(laplacian.diagonal().abs().sum()) == 0.0
        if laplacian.symmetric:
            assert harmonic_basis(laplacian).shape[-1] == laplacian.shape[0]
    assert (Coboundary(complex, 0) @ x).shape == (0, 2, 3)
    assert torch.equal(Boundary(complex, 1) @ torch.zeros(0, 3), torch.zeros(n, 3))
    parts = hodge_decomposition(complex, 0, x)
    assert parts.status == "converged"
    assert torch.equal(parts.harmonic, x)
    assert Dirac(complex).to_dense().shape == (n, n)
    if n:
        values, _ = spectral_embedding(GraphLaplacian(complex), n)
        assert torch.equal(values, torch.zeros(n))


def test_isolated_vertices_stay_as_they_are():
    complex = CellComplex.from_edges(5, torch.tensor([[1], [3]]))
    x = torch.randn(5, 2, 3)
    maps = torch.randn(2, 2, 2, requires_grad=True)
    for normalized in (False, True, "augmented"):
        laplacian = SheafLaplacian(CellularSheaf(complex, 2, maps), normalized)
        y = laplacian @ x
        assert torch.equal(y[[0, 2, 4]], torch.zeros(3, 2, 3))
        (grad,) = torch.autograd.grad(y.square().sum(), maps)
        assert grad.isfinite().all()
    # disconnected: each part has a section of its own, as has each isolated vertex
    assert CellularSheaf(complex, 2).global_sections().shape[-1] == 2 * 4
    assert harmonic_basis(GraphLaplacian(complex, "symmetric")).shape[-1] == 4


def test_not_a_number_stays_where_it_can_reach():
    complex = CellComplex.from_edges(4, torch.tensor([[0, 2], [1, 3]]))
    x = torch.ones(4, 1)
    x[0] = torch.nan
    y = GraphLaplacian(complex) @ x
    assert y[:2].isnan().all()
    assert torch.equal(y[2:], torch.zeros(2, 1))
    maps = torch.ones(4, 2, 2)
    sheaf = CellularSheaf(complex, 2, maps)
    maps[3] = torch.nan  # as in training
    with pytest.raises(ValueError, match=r"maps\[1\]\[3\] is not finite"):
        sheaf.validate()
    with pytest.raises(ValueError, match="not finite"):
        sheaf.global_sections()
    with pytest.raises(ValueError, match="block 3 is not finite"):
        SheafLaplacian(sheaf, True)


def test_kernel_too_large_for_a_basis():
    n = 10_001
    pairs = CellComplex.from_edges(2 * n, torch.arange(2 * n).reshape(n, 2).T)
    for complex in (CellComplex.from_edges(n, NO_EDGES), pairs):
        with pytest.raises(ValueError, match="too many dimensions for a basis"):
            harmonic_basis(GraphLaplacian(complex))


def test_state_of_the_wrong_shape_dtype_or_device():
    sheaf = CellularSheaf(TRIANGLE, 2, torch.ones(6, 2))
    laplacian = SheafLaplacian(sheaf)
    with pytest.raises(ValueError, match=r"shape \(3, 2, \*channels\).*got \(3, 4, 2\)"):
        laplacian @ torch.ones(3, 4, 2)
    with pytest.raises(ValueError, match="got"):
        HodgeLaplacian(TRIANGLE, 0) @ torch.ones(4, 2)
    with pytest.raises(ValueError, match="got"):
        HodgeLaplacian(TRIANGLE, 0) @ torch.tensor(1.0)
    with pytest.raises(TypeError, match=r"state is torch\.float64, the operator torch\.float32"):
        laplacian @ torch.ones(3, 2, 1, dtype=torch.float64)
    with pytest.raises(TypeError, match=r"floating-point tensor, got torch\.int64"):
        HodgeLaplacian(TRIANGLE, 0) @ torch.ones(3, dtype=torch.long)
    with pytest.raises(TypeError, match="got list"):
        HodgeLaplacian(TRIANGLE, 0) @ [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="state is on meta, the operator on cpu"):
        laplacian @ torch.ones(3, 2, 1, device="meta")


def test_wrong_arguments():
    sheaf = CellularSheaf(TRIANGLE, 2, torch.ones(6, 2))
    with pytest.raises(TypeError, match="has a SheafLaplacian"):
        HodgeLaplacian(sheaf, 0)
    with pytest.raises(TypeError, match="has a SheafLaplacian"):
        GraphLaplacian(sheaf)
    with pytest.raises(TypeError, match="has a HodgeLaplacian"):
        SheafLaplacian(TRIANGLE)
    with pytest.raises(TypeError, match="CellComplex or CellularSheaf, got str"):
        Coboundary("graph", 0)
    with pytest.raises(ValueError, match="normalized must be"):
        SheafLaplacian(sheaf, "yes")
    with pytest.raises(ValueError, match="normalized must be"):
        HodgeLaplacian(TRIANGLE, 1, normalized="augmented")
    with pytest.raises(ValueError, match="sets the weights itself"):
        HodgeLaplacian(TRIANGLE, 1, normalized="random_walk", weights={1: torch.ones(3)})
    with pytest.raises(ValueError, match="kind must be one of"):
        GraphLaplacian(TRIANGLE, "normalised")
    with pytest.raises(ValueError, match=r"no maps of rank 2.*maps=\{1: \.\.\., 2: \.\.\.\}"):
        SheafLaplacian(sheaf, rank=1)
    with pytest.raises(ValueError, match=r"maps\[1\]\[0\] is not orthogonal"):
        ConnectionLaplacian(TRIANGLE, 2 * torch.eye(2).expand(3, 2, 2))
    with pytest.raises(ValueError, match=r"shape \(3, 2\) for diagonals or \(3, 2, 2\), .*3 edges"):
        ConnectionLaplacian(TRIANGLE, torch.eye(2).expand(4, 2, 2))
    with pytest.raises(ValueError, match="not square and has no diagonal"):
        Coboundary(TRIANGLE, 1).diagonal()


@pytest.mark.parametrize("rank", [-2, 4, "1", 0.0, None, True])
def test_wrong_ranks(rank):
    x = torch.ones(3)
    for name, call in (
        ("a Laplacian must be a whole number from 0 to 2", HodgeLaplacian),
        ("a coboundary must be a whole number from -1 to 2", Coboundary),
        ("a boundary must be a whole number from 0 to 3", Boundary),
        ("a cochain must be a whole number from 0 to 2", lambda K, r: hodge_decomposition(K, r, x)),
        (
            "a Laplacian must be a whole number from 0 to 2",
            lambda K, r: HodgeLaplacian(K, r, normalized="random_walk"),
        ),
    ):
        with pytest.raises(ValueError, match=f"the rank of {name}, got {rank!r}"):
            call(TRIANGLE, rank)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(4), r"weights\[1\] must have shape \(3,\)"),
        (torch.tensor([1.0, 0.0, 1.0]), r"weights\[1\]\[1\] is 0.0; weights must be positive"),
        (torch.tensor([1.0, 1.0, torch.nan]), r"weights\[1\]\[2\] is nan"),
        (torch.tensor([torch.inf, 1.0, 1.0]), r"weights\[1\]\[0\] is inf; .*positive and finite"),
    ],
)
def test_wrong_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        GraphLaplacian(TRIANGLE, weights=weights)
    with pytest.raises(ValueError, match=message):
        CellularSheaf(TRIANGLE, 2, weights=weights)


def test_weights_of_the_wrong_kind():
    with pytest.raises(TypeError, match="floating-point tensor"):
        GraphLaplacian(TRIANGLE, weights=torch.ones(3, dtype=torch.long))
    for weights in ([1.0, 1.0, 1.0], {1: [1.0]}):
        with pytest.raises(TypeError, match=r"must (be a floating-point|map ranks to) tensor"):
            HodgeLaplacian(TRIANGLE, 1, weights=weights)
        with pytest.raises(TypeError, match=r"weights\[1\] must be a floating-point tensor"):
            GraphLaplacian(TRIANGLE, weights=weights)
    for rank in ("1", 3, 1.0):
        with pytest.raises(ValueError, match="rank of weights must be a whole number from 0 to 2"):
            HodgeLaplacian(TRIANGLE, 1, weights={rank: torch.ones(3)})
    with pytest.raises(TypeError, match="share one dtype"):
        HodgeLaplacian(TRIANGLE, 1, weights={0: torch.ones(3), 1: torch.ones(3).double()})


def test_operators_that_do_not_combine():
    edges, vertices = HodgeLaplacian(TRIANGLE, 1), HodgeLaplacian(TRIANGLE, 2)
    with pytest.raises(ValueError, match="do not add"):
        edges + vertices
    with pytest.raises(ValueError, match="are not the rows of"):
        edges @ vertices
    single = BlockDiagonal(torch.ones(3), (3,), torch.float32)
    double = BlockDiagonal(torch.ones(3).double(), (3,), torch.float64)
    with pytest.raises(TypeError, match="different dtypes"):
        single + double
    with pytest.raises(TypeError):
        edges + 1
    for factor in (torch.ones(3), torch.tensor(1j)):
        for combine in (lambda s: edges * s, lambda s: s * edges, lambda s: edges / s):
            with pytest.raises(TypeError, match="a real number or a tensor without dimensions"):
                combine(factor)


def test_spectra_of_what_is_not_finite():
    maps = torch.ones(6, 2, 2)
    sheaf = CellularSheaf(TRIANGLE, 2, maps)
    maps[1] = torch.nan
    laplacian = SheafLaplacian(sheaf)
    for call in (eigenvalues, SheafLaplacian.spectral_norm, lambda L: spectral_embedding(L, 2)):
        with pytest.raises(ValueError, match="not finite: check its maps and weights"):
            call(laplacian)
    with pytest.raises(ValueError, match="not finite: check its maps and weights"):
        Coboundary(sheaf, 0).spectral_norm()


def test_no_iterations_are_refused():
    empty = CellComplex.from_edges(0, NO_EDGES)
    for operator in (GraphLaplacian(TRIANGLE), Coboundary(TRIANGLE, 0), GraphLaplacian(empty)):
        with pytest.raises(ValueError, match="iterations must be a whole number >= 1, got 0"):
            operator.spectral_norm(0)
