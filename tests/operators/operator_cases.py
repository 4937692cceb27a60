"""Every operator, from the numbers that it is made of."""

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
    "hodge weighted normalised": (
        lambda *w: HodgeLaplacian(RINGS, 1, weights=dict(enumerate(w)), normalized=True),
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


def state(operator, channels, dtype, side="col"):
    shape = operator.col_shape if side == "col" else operator.row_shape
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, *channels, generator=generator, dtype=torch.float64).to(dtype)
