"""Complexes whose cells and homology are known."""

from __future__ import annotations

import networkx as nx
import pytest
from lifting_graphs import IMPLEMENTATIONS, bicyclopentyl, decalin, rook, shrikhande, torus
from rdkit import Chem

from topodiff import kernels
from topodiff.liftings import CliqueLifting, RingLifting


@pytest.fixture(params=IMPLEMENTATIONS, autouse=True)
def implementation(request):
    with kernels.use(request.param):
        yield


@pytest.mark.parametrize(
    ("graph", "size", "shape", "betti"),
    [
        (torus(5), 4, (25, 50, 25), [1, 2, 1]),
        (nx.cubical_graph(), 4, (8, 12, 6), [1, 0, 1]),
        (nx.cubical_graph(), 6, (8, 12, 10), [1, 0, 5]),
        (nx.dodecahedral_graph(), 5, (20, 30, 12), [1, 0, 1]),
        (decalin(), 6, (10, 11, 2), [1, 0, 0]),
        (decalin(), 5, (10, 11, 0), [1, 2, 0]),
        (bicyclopentyl(), 5, (10, 11, 2), [1, 0, 0]),
        (bicyclopentyl(), 4, (10, 11, 0), [1, 2, 0]),
        (nx.cycle_graph(19), 18, (19, 19, 0), [1, 1, 0]),
        (nx.cycle_graph(19), 19, (19, 19, 1), [1, 0, 0]),
        (nx.cycle_graph(8), 4, (8, 8, 0), [1, 1, 0]),
        (nx.disjoint_union(nx.cycle_graph(4), nx.cycle_graph(4)), 4, (8, 8, 2), [2, 0, 0]),
        (nx.petersen_graph(), 5, (10, 15, 12), [1, 0, 6]),
        (nx.complete_bipartite_graph(3, 3), 6, (6, 9, 9), [1, 0, 5]),
        (nx.complete_graph(5), 5, (5, 10, 10), [1, 0, 4]),
    ],
)
def test_ring_complexes(graph, size, shape, betti):
    complex = RingLifting(max_ring_size=size)(graph).validate()
    assert complex.shape == shape
    assert complex.betti_numbers() == betti


def test_four_cycles_tell_rook_and_shrikhande_apart():
    counts = [
        [len(ring) for ring in RingLifting(max_ring_size=4)(graph).cells(2)].count(4)
        for graph in (rook(), shrikhande())
    ]
    assert counts == [36, 12]


@pytest.mark.parametrize(
    ("graph", "max_rank", "shape", "betti"),
    [
        (rook(), 3, (16, 48, 32, 8), [1, 9, 0, 0]),
        (shrikhande(), 2, (16, 48, 32), [1, 2, 1]),
        (nx.octahedral_graph(), 2, (6, 12, 8), [1, 0, 1]),
        (nx.icosahedral_graph(), 2, (12, 30, 20), [1, 0, 1]),
        (nx.karate_club_graph(), 4, (34, 78, 45, 11, 2), [1, 9, 0, 0, 0]),
        (nx.complete_graph(5), 4, (5, 10, 10, 5, 1), [1, 0, 0, 0, 0]),
        (nx.complete_graph(5), 3, (5, 10, 10, 5), [1, 0, 0, 1]),
        (nx.cycle_graph(6), 2, (6, 6, 0), [1, 1, 0]),
        (nx.disjoint_union(nx.cycle_graph(3), nx.cycle_graph(3)), 2, (6, 6, 2), [2, 0, 0]),
    ],
)
def test_clique_complexes(graph, max_rank, shape, betti):
    complex = CliqueLifting(max_rank=max_rank)(graph).validate()
    assert complex.shape == shape
    assert complex.betti_numbers() == betti


def test_adjacencies_of_the_karate_club():
    complex = CliqueLifting(max_rank=2)(nx.karate_club_graph())
    assert complex.upper_adjacency(1).source.numel() == 270
    assert complex.lower_adjacency(1).source.numel() == 1056


@pytest.mark.parametrize(
    ("smiles", "rings"),
    [
        ("C12C3C4C1C5C2C3C45", 10),  # cubane
        ("c1cc2ccc3ccc4ccc5ccc6ccc1c7c2c3c4c5c67", 35),  # coronene
        ("C1=CC2=CC3=CC=C(N3)C=C4C=CC(=N4)C=C5C=CC(=CC1=N2)N5", 15),  # porphine
        ("C1CN2CC3=CCOC4CC(=O)N5C6C4C3CC2C61C7=CC=CC=C75", 20),  # strychnine
        ("C1CCCC12CCCCC2", 2),  # a spiro compound
        ("C1CC2CCC1C2", 3),  # norbornane, bridged
        ("[Na+].[Cl-]", 0),
        ("[H][H]", 0),
    ],
)
def test_induced_rings_of_molecules(smiles, rings):
    molecule = Chem.MolFromSmiles(smiles)
    graph = nx.empty_graph(molecule.GetNumAtoms())
    graph.add_edges_from((b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds())
    complex = RingLifting(max_ring_size=18)(graph).validate()
    assert complex.num_cells(2) == rings
