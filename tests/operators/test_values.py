"""Known spectra, kernels and limits of graph and sheaf Laplacians."""

import math

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.complexes.interop import from_networkx, from_scipy
from topodiff.operators import (
    Boundary,
    Coboundary,
    ConnectionLaplacian,
    Dirac,
    GraphLaplacian,
    HodgeLaplacian,
    SheafLaplacian,
)
from topodiff.sheaves import CellularSheaf, SpecialOrthogonal
from topodiff.testing import assert_gauge_equivariant

SEED = st.integers(0, 2**20)


def graph(g):
    return CellComplex.from_edges(g.number_of_nodes(), torch.tensor(list(g.edges)).reshape(-1, 2).T)


def random_graph(seed, n=9):
    return graph(nx.gnp_random_graph(n, 0.35, seed=seed))


def to_networkx(complex):
    g = nx.Graph(complex.cells(1))
    g.add_nodes_from(range(complex.shape[0]))
    return g


def rotation_sheaf(n, angle):
    """Rotation by ``angle`` at every step around the cycle C_n."""
    complex = graph(nx.cycle_graph(n))
    tail, head = complex.edge_index
    # the closing edge (0, n - 1) is passed from head to tail
    forward = (head - tail == 1).double() * 2 - 1
    return complex, SpecialOrthogonal(2)(angle * forward.unsqueeze(1))


@pytest.mark.parametrize("n", [3, 4, 7])
@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi, 2 * math.pi / 7])
def test_rotation_sheaf_on_a_cycle(n, angle):
    complex, transports = rotation_sheaf(n, angle)
    laplacian = ConnectionLaplacian(complex, transports)
    k = torch.arange(n, dtype=torch.float64)
    expected = [2 - 2 * torch.cos(s * angle + 2 * math.pi * k / n) for s in (1, -1)]
    found = torch.linalg.eigvalsh(laplacian.to_dense())
    torch.testing.assert_close(found, torch.cat(expected).sort().values, rtol=0, atol=1e-13)
    closes = abs(math.remainder(n * angle, 2 * math.pi)) < 1e-9
    sections = laplacian.sheaf.global_sections()
    assert sections.shape == (n, 2, 2 if closes else 0)
    torch.testing.assert_close(laplacian @ sections, torch.zeros_like(sections))


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_signed_cycles(n):
    complex = graph(nx.cycle_graph(n))
    signs = torch.tensor([1.0, -1.0]).repeat(n)
    sheaf = CellularSheaf(complex, 1, signs)
    assert sheaf.global_sections().shape[-1] == (1 if n % 2 == 0 else 0)


def limit(sheaf, x):
    """``exp(-t L) x`` for t to infinity."""
    values, vectors = torch.linalg.eigh(SheafLaplacian(sheaf, True).to_dense())
    return vectors @ ((-1e6 * values).exp() * (vectors.mT @ x))


def test_limits_on_the_complete_bipartite_graph():
    complex = graph(nx.complete_bipartite_graph(4, 4))
    labels = torch.arange(8) // 4
    x = torch.randn(8, dtype=torch.float64)
    constant = limit(CellularSheaf(complex, 1, torch.ones(32, dtype=torch.float64)), x)
    torch.testing.assert_close(constant, x.mean().expand(8), rtol=1e-6, atol=1e-9)
    # the edge map of the head is -1: x_v = -x_u over every edge
    signed = CellularSheaf(complex, 1, torch.tensor([1.0, -1.0]).double().repeat(16))
    side = torch.where(labels == 0, 1.0, -1.0).double()
    torch.testing.assert_close(limit(signed, x), side * (side @ x) / 8, rtol=1e-6, atol=1e-9)
    assert signed.separates(labels)
    assert not CellularSheaf(complex, 1).separates(labels)


def test_separation_of_more_classes():
    """One dimension cannot part three classes; the plane parts four by quarter turns."""
    complex = graph(nx.complete_multipartite_graph(3, 3, 3, 3))
    labels = torch.arange(12) // 3
    quarter = (math.pi / 2 * labels.double()).unsqueeze(1)
    frames = SpecialOrthogonal(2)(-quarter)
    assert CellularSheaf.from_frames(complex, frames, orthogonal=True).separates(labels)
    scales = (1.0 + labels.double()).unsqueeze(1)
    assert not CellularSheaf.from_frames(complex, scales).separates(labels)


def random_sheaf(seed, complex, dim, kind):
    generator = torch.Generator().manual_seed(seed)
    shape = {"scalar": (), "diagonal": (dim,), "matrix": (dim, dim)}[kind]
    nnz = complex.incidence(1).nnz
    maps = torch.randn(nnz, *shape, generator=generator, dtype=torch.float64)
    return CellularSheaf(complex, dim, maps)


KINDS = st.sampled_from(["scalar", "diagonal", "matrix"])


@settings(max_examples=25, deadline=None)
@given(seed=SEED, dim=st.integers(1, 4), kind=KINDS)
def test_spectrum_of_normalised_laplacians(seed, dim, kind):
    sheaf = random_sheaf(seed, random_graph(seed), dim, kind)
    for normalized in (True, "augmented"):
        laplacian = SheafLaplacian(sheaf, normalized)
        values = torch.linalg.eigvalsh(laplacian.to_dense())
        assert float(values.min()) >= -1e-10
        assert float(values.max()) <= 2 + 1e-10
        assert laplacian.spectral_bound() <= 2


@settings(max_examples=25, deadline=None)
@given(seed=SEED, dim=st.integers(1, 4), kind=KINDS)
def test_matches_the_definition(seed, dim, kind):
    """``L_vv = sum F_v^T F_v`` and ``L_uv = -F_u^T F_v``, entry by entry."""
    complex = random_graph(seed)
    sheaf = random_sheaf(seed, complex, dim, kind)
    maps = sheaf.restriction_matrices(1)
    expected = torch.zeros(complex.shape[0], dim, complex.shape[0], dim, dtype=torch.float64)
    for e, (u, v) in enumerate(complex.edge_index.T.tolist()):
        f, g = maps[2 * e], maps[2 * e + 1]
        expected[u, :, u] += f.T @ f
        expected[v, :, v] += g.T @ g
        expected[u, :, v] -= f.T @ g
        expected[v, :, u] -= g.T @ f
    n = complex.shape[0] * dim
    expected = expected.reshape(n, n)
    torch.testing.assert_close(SheafLaplacian(sheaf).to_dense(), expected)
    blocks = expected.reshape(-1, dim, complex.shape[0], dim).diagonal(dim1=0, dim2=2)
    d = torch.block_diag(*blocks.permute(2, 0, 1)).reshape(n, n)
    values, vectors = torch.linalg.eigh(d)
    for normalized, shift in ((True, 0.0), ("augmented", 1.0)):
        root = torch.where(values + shift > 1e-9, (values + shift).clamp(min=1e-9).rsqrt(), 0.0)
        scaling = (vectors * root) @ vectors.T
        found = SheafLaplacian(sheaf, normalized).to_dense()
        torch.testing.assert_close(found, scaling @ expected @ scaling, rtol=1e-6, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=SEED, dim=st.integers(1, 4))
def test_constant_sheaf_is_the_graph_laplacian_on_every_coordinate(seed, dim):
    complex = random_graph(seed)
    laplacian = SheafLaplacian(CellularSheaf(complex, dim)).to_dense()
    expected = torch.kron(GraphLaplacian(complex).to_dense(), torch.eye(dim))
    torch.testing.assert_close(laplacian, expected)
    expected = complex.hodge_laplacian_matrix(0).toarray()
    np.testing.assert_array_equal(GraphLaplacian(complex).to_dense(), expected)


@settings(max_examples=15, deadline=None)
@given(seed=SEED, dim=st.integers(1, 4))
def test_gauge_invariance(seed, dim):
    """``L' = g L g^T`` for orthogonal g; the spectrum stays."""
    complex = random_graph(seed)
    sheaf = random_sheaf(seed, complex, dim, "matrix")
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(complex.shape[0], dim, 2, generator=generator).double()
    for normalized in (False, True, "augmented"):
        assert_gauge_equivariant(
            lambda F, x, normalized=normalized: SheafLaplacian(F, normalized) @ x, sheaf, x,
            tolerance=1e-8,
        )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(seed=SEED, data=st.data())
def test_relabelling_permutes_the_laplacian(seed, data):
    """Vertex numbers orient the edges; the Laplacian does not depend on that."""
    complex = random_graph(seed)
    sheaf = random_sheaf(seed, complex, 2, "matrix")
    order = torch.tensor(data.draw(st.permutations(range(complex.shape[0]))))
    renamed = CellComplex.from_edges(complex.shape[0], order[complex.edge_index])
    number = {e: i for i, e in enumerate(renamed.cells(1))}
    maps = torch.empty_like(sheaf.restriction_maps(1))
    for e, (u, v) in enumerate(complex.edge_index.T.tolist()):
        a, b = int(order[u]), int(order[v])
        there = 2 * number[min(a, b), max(a, b)]
        maps[there + (a > b)] = sheaf.restriction_maps(1)[2 * e]
        maps[there + (b > a)] = sheaf.restriction_maps(1)[2 * e + 1]
    x = torch.randn(complex.shape[0], 2, 3, dtype=torch.float64)
    moved = torch.empty_like(x)
    moved[order] = x
    found = (SheafLaplacian(CellularSheaf(renamed, 2, maps), True) @ moved)[order]
    torch.testing.assert_close(found, SheafLaplacian(sheaf, True) @ x)


def test_orthogonal_promise_changes_nothing():
    complex = random_graph(3)
    maps = SpecialOrthogonal(3)(torch.randn(complex.incidence(1).nnz, 3, dtype=torch.float64))
    weights = torch.rand(complex.shape[1], dtype=torch.float64) + 0.1
    plain = CellularSheaf(complex, 3, maps, weights=weights)
    promised = CellularSheaf(complex, 3, maps, weights=weights, orthogonal=True)
    for normalized in (False, True, "augmented"):
        a, b = SheafLaplacian(plain, normalized), SheafLaplacian(promised, normalized)
        torch.testing.assert_close(a.to_dense(), b.to_dense())
        torch.testing.assert_close(a.block_diagonal(), b.block_diagonal())


@pytest.mark.parametrize("kind", ["combinatorial", "symmetric", "random_walk"])
def test_graph_laplacians_match_networkx(kind):
    g = nx.karate_club_graph()
    complex = graph(g)
    weights = torch.tensor([float(g.edges[e]["weight"]) for e in complex.cells(1)]).double()
    a = nx.to_numpy_array(g)
    degree = a.sum(1)
    expected = {
        "combinatorial": np.diag(degree) - a,
        "symmetric": np.eye(34) - a / np.sqrt(np.outer(degree, degree)),
        "random_walk": np.eye(34) - a / degree[:, None],
    }[kind]
    found = GraphLaplacian(complex, kind, weights=weights).to_dense()
    np.testing.assert_allclose(found, expected, atol=1e-12)


BALL = CellComplex.from_simplices([(0, 1, 2, 3), (2, 3, 4), (4, 5)])


def test_operators_of_a_complex_are_its_matrices():
    for r in range(BALL.rank + 1):
        found = Boundary(BALL, r).to_scipy()
        assert (found != BALL.incidence_matrix(r)).nnz == 0
        assert (Coboundary(BALL, r).to_scipy() != BALL.incidence_matrix(r + 1).T).nnz == 0
        assert (HodgeLaplacian(BALL, r).to_scipy() != BALL.hodge_laplacian_matrix(r)).nnz == 0


def test_square_of_dirac_is_the_sum_of_hodge_laplacians():
    square = (Dirac(BALL) @ Dirac(BALL)).to_dense()
    blocks = [HodgeLaplacian(BALL, r).to_dense() for r in range(BALL.rank + 1)]
    torch.testing.assert_close(square, torch.block_diag(*blocks))
    values = torch.linalg.eigvalsh(Dirac(BALL).to_dense().double())
    torch.testing.assert_close(values, -values.flip(0), rtol=0, atol=1e-6)
    assert [len(part) for part in Dirac(BALL).split(torch.zeros(sum(BALL.shape)))] == [*BALL.shape]


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_random_walk_normalisation(rank):
    """The one of Schaub et al.: both terms have spectra in [0, 1] and annihilate each other."""
    laplacian = HodgeLaplacian(BALL, rank, normalized="random_walk")
    up, down = laplacian.up.to_dense().double(), laplacian.down.to_dense().double()
    for term in (up, down):
        values = torch.linalg.eigvalsh(term)
        assert float(values.min()) > -1e-6
        assert float(values.max()) < 1 + 1e-6
    assert float((up @ down).abs().max()) < 1e-6
    kernel = int((torch.linalg.eigvalsh(laplacian.to_dense().double()) < 1e-6).sum())
    assert kernel == BALL.betti_numbers()[rank]


def test_random_walk_formula_on_edges():
    """``D2^{1/2} B1^T D1^{-1} B1 D2^{1/2} + D2^{-1/2} B2 D3 B2^T D2^{-1/2}`` on triangles."""
    complex = CellComplex.from_simplices([(0, 1, 2), (1, 2, 3), (3, 4)])
    b1, b2 = (complex.incidence_matrix(r).toarray() for r in (1, 2))
    d2 = np.maximum(abs(b2).sum(1), 1)
    d1 = 2 * abs(b1) @ d2
    down = np.sqrt(d2)[:, None] * (b1.T @ np.diag(1 / d1) @ b1) * np.sqrt(d2)
    up = (b2 @ b2.T / 3) / np.sqrt(np.outer(d2, d2))
    found = HodgeLaplacian(complex, 1, normalized="random_walk").to_dense()
    np.testing.assert_allclose(found, down + up, atol=1e-6)


def test_weights_of_a_graph_act_where_they_are_handed_on():
    g = nx.Graph()
    g.add_weighted_edges_from([(0, 1, 5.0), (1, 2, 0.5), (0, 2, 2.0)])
    weighted, plain = (
        torch.tensor(nx.laplacian_matrix(g, weight=key).todense(), dtype=torch.float32)
        for key in ("weight", None)
    )
    for K in (from_networkx(g, weight_key="weight"), from_scipy(nx.to_scipy_sparse_array(g))):
        w = K.weights[1].float()
        assert torch.equal(GraphLaplacian(K).to_dense(), plain)
        assert torch.equal(HodgeLaplacian(K, 0).to_dense(), plain)
        assert torch.equal(GraphLaplacian(K, weights=w).to_dense(), weighted)
        assert torch.equal(HodgeLaplacian(K, 0, weights={1: w}).to_dense(), weighted)


def test_weights_act():
    weights = {r: torch.rand(n, dtype=torch.float64) + 0.5 for r, n in enumerate(BALL.shape)}
    w0, w1, w2 = (np.diag(weights[r]) for r in range(3))
    b1, b2 = (BALL.incidence_matrix(r).toarray() for r in (1, 2))
    plain = np.linalg.inv(w1) @ b2 @ w2 @ b2.T + b1.T @ np.linalg.inv(w0) @ b1 @ w1
    root = np.sqrt(w1)
    found = HodgeLaplacian(BALL, 1, weights=weights).to_dense()
    np.testing.assert_allclose(found, root @ plain @ np.linalg.inv(root), atol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_weights_and_normalisation(rank):
    """``D^{-1/2} L D^{-1/2}`` for the weighted L, which keeps the dimension of the kernel."""
    weights = {r: torch.rand(n, dtype=torch.float64) + 0.5 for r, n in enumerate(BALL.shape)}
    laplacian = HodgeLaplacian(BALL, rank, weights=weights).to_dense()
    root = laplacian.diagonal().rsqrt()
    found = HodgeLaplacian(BALL, rank, weights=weights, normalized=True)
    torch.testing.assert_close(found.to_dense(), root[:, None] * laplacian * root)
    values = torch.linalg.eigvalsh(found.to_dense())
    assert int((values < 1e-9).sum()) == BALL.betti_numbers()[rank]
    assert float(values.max()) <= found.spectral_bound() + 1e-9


@pytest.mark.parametrize("yes", [np.True_, 1])
def test_what_equals_true_normalises(yes):
    found = HodgeLaplacian(BALL, 1, normalized=yes).to_dense()
    torch.testing.assert_close(found, HodgeLaplacian(BALL, 1, normalized=True).to_dense())


def test_flat_bundle_is_exact_on_every_rank():
    frames = SpecialOrthogonal(3)(torch.randn(BALL.shape[0], 3, dtype=torch.float64))
    sheaf = CellularSheaf.from_frames(BALL, frames, orthogonal=True)
    for r in range(BALL.rank - 1):
        product = (Coboundary(sheaf, r + 1) @ Coboundary(sheaf, r)).to_dense()
        assert float(product.abs().max()) < 1e-14
    for r, betti in enumerate(BALL.betti_numbers()):
        values = torch.linalg.eigvalsh(SheafLaplacian(sheaf, rank=r).to_dense())
        assert int((values < 1e-9).sum()) == 3 * betti
