"""Small domains for laws and energies: a graph, a complex of rank 2, sheaves on both."""

import torch

from topodiff.complexes import CellComplex
from topodiff.sheaves import CellularSheaf, SpecialOrthogonal

KARATE_LIKE = torch.tensor(
    [[0, 0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7], [1, 2, 3, 2, 4, 3, 5, 5, 6, 6, 7, 0]]
)
GRAPH = CellComplex.from_edges(8, KARATE_LIKE)
RINGS = CellComplex.from_rings(
    8,
    torch.tensor([[0, 1, 2, 1, 2, 3, 4, 5], [1, 2, 0, 3, 3, 4, 5, 2]]),
    [(0, 1, 2), (1, 2, 3), (2, 3, 4, 5)],
)


def rotation_sheaf(complex=GRAPH, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    angles = torch.randn(complex.incidence(1).nnz, 1, dtype=dtype, generator=generator)
    return CellularSheaf(complex, 2, SpecialOrthogonal(2)(angles), orthogonal=True)


def matrix_sheaf(complex=GRAPH, dtype=torch.float64):
    generator = torch.Generator().manual_seed(2)
    shape = (complex.incidence(1).nnz, 2, 2)
    return CellularSheaf(complex, 2, torch.randn(shape, dtype=dtype, generator=generator))
