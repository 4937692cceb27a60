"""Colour refinement against its definition, and what it must and cannot tell apart."""

from __future__ import annotations

import networkx as nx
import pytest
import torch

import topodiff as td
from topodiff.complexes import CellComplex
from topodiff.complexes.colours import Colours, colour_rows, refine


def complex_of(*graphs: nx.Graph, rings: bool = True) -> CellComplex:
    K = td.batch([td.liftings.RingLifting(8)(g) for g in graphs])
    return K if rings else K.skeleton(1)


def one_colour(K: CellComplex) -> list[Colours]:
    return [colour_rows(torch.zeros(n, 1, dtype=torch.long)) for n in K.shape]


def defined(K: CellComplex, old: list[Colours]) -> list[list[tuple]]:
    """What the new colour of every cell must tell apart, messages written out."""
    colour = [c.of.tolist() for c in old]
    found = []
    for r in range(K.rank + 1):
        below: list[list] = [[] for _ in range(K.num_cells(r))]
        sent: list[list] = [[] for _ in range(K.num_cells(r))]
        if r:
            for face, cell in K.boundary_index(r).T.tolist():
                below[cell].append(colour[r - 1][face])
        if r < K.rank:
            pairs = torch.stack(tuple(K.upper_adjacency(r)), 1)
            for source, target, via in pairs.tolist():
                sent[target].append((via, colour[r][source], colour[r + 1][via]))
        for i in range(K.num_cells(r)):
            # messages of a coface stay together: the colour knows which came through the same
            through: dict[int, list] = {}
            for via, *colours in sent[i]:
                through.setdefault(via, []).append(tuple(colours))
            groups = sorted(sorted(group) for group in through.values())
            found.append((r, colour[r][i], sorted(below[i]), groups))
    ends = torch.tensor(K.shape).cumsum(0).tolist()
    return [found[end - n : end] for end, n in zip(ends, K.shape, strict=True)]


@pytest.mark.parametrize("rings", [True, False])
def test_refinement_is_as_defined(rings):
    torch.manual_seed(0)
    graphs = [nx.gnm_random_graph(9, 12, seed=s) for s in range(4)] + [nx.cycle_graph(7)]
    K = complex_of(*graphs, rings=rings)
    colours = [colour_rows(torch.randint(2, (n, 2))) for n in K.shape]
    for _ in range(3):
        expected, colours = defined(K, colours), refine(K, colours)
        for (of, first), keys in zip(colours, expected, strict=True):
            for i, k in enumerate(of.tolist()):
                assert keys[i] == keys[int(first[k])]
            assert len({str(key) for key in keys}) == len(first)


def test_vertices_that_a_symmetry_exchanges_share_a_colour():
    K = complex_of(nx.cycle_graph(6), nx.cycle_graph(6))
    colours = one_colour(K)
    for _ in range(4):
        colours = refine(K, colours)
    assert [len(c.first) for c in colours] == [1, 1, 1]


@pytest.mark.parametrize(("rings", "kinds"), [(True, 2), (False, 1)])
def test_rings_tell_apart_what_edges_cannot(rings, kinds):
    K = complex_of(nx.cycle_graph(6), nx.disjoint_union(*[nx.cycle_graph(3)] * 2), rings=rings)
    colours = one_colour(K)
    for _ in range(4):
        colours = refine(K, colours)
    assert len(colours[0].first) == kinds


def test_rows_are_coloured_in_order_of_appearance():
    of, first = colour_rows(torch.tensor([[1, 2], [2, 1], [1, 2], [1, 1]]))
    assert of.tolist() == [0, 1, 0, 2]
    assert first.tolist() == [0, 1, 3]
    assert colour_rows(torch.tensor([5, 5, 1], dtype=torch.uint8)).of.tolist() == [0, 0, 1]
    assert colour_rows(torch.zeros(3, 0)).of.tolist() == [0, 0, 0]
