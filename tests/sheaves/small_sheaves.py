"""Small complexes and random sheaves on them."""

import torch
from hypothesis import strategies as st

from topodiff.complexes import CellComplex
from topodiff.sheaves import CellularSheaf, SpecialOrthogonal

SEED = st.integers(0, 2**20)
BALL = CellComplex.from_simplices([(0, 1, 2, 3), (2, 3, 4)])
RINGS = CellComplex.from_rings(
    6,
    torch.tensor([[0, 1, 2, 0, 3, 4, 4], [1, 2, 3, 3, 4, 0, 5]]),
    [(0, 1, 2, 3), (0, 3, 4)],
)
TRIANGLE = CellComplex.from_simplices([(0, 1, 2)])


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def rotations(seed, count, dim):
    rotation = SpecialOrthogonal(dim)
    return rotation(normal(seed, count, rotation.num_params))


def free_sheaf(seed, complex, dim=2):
    maps = {r: normal(seed + r, complex.incidence(r).nnz, dim, dim) for r in (1, 2)}
    return CellularSheaf(complex, dim, maps)
