"""Cell complexes: cells, signed boundaries, adjacency, homology, batching, storage."""

from topodiff.complexes.batching import batch, unbatch
from topodiff.complexes.build import canonical_edges
from topodiff.complexes.cache import keep
from topodiff.complexes.canonical import CanonicalForm, canonical_form
from topodiff.complexes.complex import CellComplex
from topodiff.complexes.incidence import Incidence
from topodiff.complexes.relations import Adjacency

__all__ = [
    "Adjacency",
    "CanonicalForm",
    "CellComplex",
    "Incidence",
    "batch",
    "canonical_edges",
    "canonical_form",
    "keep",
    "unbatch",
]
