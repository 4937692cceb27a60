"""Hypothesis strategies for random complexes, small and shrinking towards the empty one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from topodiff.complexes import CellComplex, batch
from topodiff.complexes.interop.optional import optional_import

st = optional_import("hypothesis.strategies", "test")


@st.composite
def graphs(draw: Callable[[Any], Any], max_vertices: int = 10) -> CellComplex:
    """Graphs, with isolated vertices and without edges too."""
    count = draw(st.integers(0, max_vertices))
    return CellComplex.from_edges(count, draw(_edges(count)))


@st.composite
def _edges(draw: Callable[[Any], Any], count: int) -> Tensor:
    if count < 2:
        return torch.zeros(2, 0, dtype=torch.long)
    vertex = st.integers(0, count - 1)
    pair = st.tuples(vertex, vertex).filter(lambda e: e[0] != e[1])
    pairs = draw(st.lists(pair, max_size=2 * count))
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T


@st.composite
def ring_complexes(
    draw: Callable[[Any], Any], max_vertices: int = 10, max_rings: int = 4
) -> CellComplex:
    """Graphs with some of their cycles, of any length, as 2-cells."""
    count = draw(st.integers(0, max_vertices))
    edges, rings = draw(_edges(count)), []
    if count >= 3:
        vertices = st.lists(st.integers(0, count - 1), min_size=3, max_size=8, unique=True)
        rings = draw(st.lists(vertices, max_size=max_rings))
    steps = [pair for ring in rings for pair in zip(ring, ring[1:] + ring[:1], strict=True)]
    sides = torch.tensor(steps, dtype=torch.long).reshape(-1, 2).T
    return CellComplex.from_rings(count, torch.cat([edges, sides], 1), rings)


@st.composite
def simplicial_complexes(
    draw: Callable[[Any], Any], max_vertices: int = 8, max_rank: int = 3
) -> CellComplex:
    """Downward closures of random simplices, with isolated vertices too."""
    count = draw(st.integers(1, max_vertices))
    simplex = st.sets(st.integers(0, count - 1), min_size=1, max_size=max_rank + 1)
    return CellComplex.from_simplices(draw(st.lists(simplex, max_size=8)), num_vertices=count)


def complexes() -> Any:
    """Any of the above."""
    return st.one_of(graphs(), ring_complexes(), simplicial_complexes())


@st.composite
def batches(
    draw: Callable[[Any], Any], each: Any = None, max_size: int = 5, channels: int = 2
) -> CellComplex:
    """Unions of complexes with data; see :func:`with_data`."""
    each = complexes() if each is None else each
    parts = draw(st.lists(each, min_size=1, max_size=max_size))
    return batch([with_data(part, seed, channels) for seed, part in enumerate(parts)])


def with_data(
    complex: CellComplex, seed: int = 0, channels: int = 2, dtype: torch.dtype | None = None
) -> CellComplex:
    """The complex with normal random x, weights, positions and y, and integer labels."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    counts = dict(enumerate(complex.shape))
    return complex.replace(
        x={r: normal(n, channels) for r, n in counts.items()},
        weights={r: normal(n).exp() for r, n in counts.items()},
        labels={r: torch.randint(9, (n,), generator=generator) for r, n in counts.items()},
        positions=normal(complex.num_cells(0), 3),
        y=normal(complex.num_complexes, 1),
    )
