"""Molecules to arrays in plain Python, RDKit object by RDKit object.

The oracle for the compiled reader, and what runs where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rdkit import Chem

from topodiff.molecules.arrays import LiftedArrays
from topodiff.molecules.features import ZINC_ATOMS, ZINC_KEYS
from topodiff.molecules.settings import LiftSettings, TooManyRings

Edge = tuple[int, int]
Ring = tuple[int, ...]

_TETRAHEDRAL = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
_CHIRALITY = {"R": 1, "S": 2, "r": 3, "s": 4}
_ORDERS = {Chem.BondType.SINGLE: 1, Chem.BondType.DOUBLE: 2, Chem.BondType.TRIPLE: 3}
_STEREO = {
    Chem.BondStereo.STEREONONE: 0,
    Chem.BondStereo.STEREOZ: 1,
    Chem.BondStereo.STEREOCIS: 1,
    Chem.BondStereo.STEREOE: 2,
    Chem.BondStereo.STEREOTRANS: 2,
}


def lift(mol: Chem.Mol, settings: LiftSettings) -> LiftedArrays:
    """Arrays of one molecule.

    Raises:
        TooManyRings: if it has more rings than ``settings.max_rings``.
    """
    bonds = sorted(mol.GetBonds(), key=_ends)
    edges = [_ends(bond) for bond in bonds]
    rings = _canonical(_rings(mol, edges, settings))
    number = {edge: i for i, edge in enumerate(edges)}
    boundary = [(c, *entry) for c, ring in enumerate(rings) for entry in _boundary(ring, number)]
    if settings.features == "zinc":
        x = _zinc_columns(mol, bonds)
    else:
        x = [
            [n for atom in mol.GetAtoms() for n in _atom_row(atom)],
            [n for bond in bonds for n in _bond_row(bond)],
            [n for ring in rings for n in _ring_row(mol, ring)],
        ]
    cells, faces, signs = _columns(boundary, 3)
    return LiftedArrays(
        ptr=tuple(np.array([0, n]) for n in (mol.GetNumAtoms(), len(edges), len(rings))),  # type: ignore[arg-type]
        x=tuple(np.array(column, np.int64) for column in x),  # type: ignore[arg-type]
        edges=np.array(edges, np.int64).reshape(-1),
        faces=faces,
        cells=cells,
        signs=signs,
    )


def _ends(bond: Chem.Bond) -> Edge:
    u, v = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
    return (u, v) if u < v else (v, u)


def _columns(rows: Sequence[tuple[int, ...]], width: int) -> np.ndarray:
    return np.ascontiguousarray(np.array(rows, np.int64).reshape(-1, width).T)


def _canonical(rings: list[Ring]) -> list[Ring]:
    """Each from its smallest vertex towards the smaller neighbour; sorted by size, then tuple."""
    canonical = set()
    for ring in rings:
        k = ring.index(min(ring))
        ring = ring[k:] + ring[:k]
        canonical.add(ring if ring[1] < ring[-1] else (ring[0], *ring[:0:-1]))
    return sorted(canonical, key=lambda ring: (len(ring), ring))


def _boundary(ring: Ring, number: dict[Edge, int]) -> list[tuple[int, int]]:
    """(edge, sign) sorted by edge: +1 where the ring runs from the smaller to the larger vertex."""
    steps = zip(ring, (*ring[1:], ring[0]), strict=True)
    return sorted((number[min(u, v), max(u, v)], 1 if u < v else -1) for u, v in steps)


def _rings(mol: Chem.Mol, edges: list[Edge], settings: LiftSettings) -> list[Ring]:
    if settings.rings == "smallest":
        cycles = iter(mol.GetRingInfo().AtomRings())
    else:
        cycles = induced_cycles(mol.GetNumAtoms(), edges, settings.max_ring_size)
    rings = []
    for cycle in cycles:
        if len(cycle) <= settings.max_ring_size:
            rings.append(tuple(cycle))
        if len(rings) > settings.max_rings:
            raise TooManyRings(settings)
    return rings


def induced_cycles(num_vertices: int, edges: list[Edge], max_length: int) -> Iterator[Ring]:
    """Every chordless cycle of 3 to ``max_length`` vertices once, from its smallest vertex."""
    neighbours: list[set[int]] = [set() for _ in range(num_vertices)]
    for u, v in edges:
        neighbours[u].add(v)
        neighbours[v].add(u)
    ends = [v for v in range(num_vertices) if len(neighbours[v]) == 1]
    while ends:  # what hangs off the rings is on no cycle
        end = ends.pop()
        for u in neighbours[end]:
            neighbours[u].discard(end)
            if len(neighbours[u]) == 1:
                ends.append(u)
        neighbours[end] = set()
    for first in range(num_vertices):
        paths: list[Ring] = [(first, second) for second in neighbours[first] if second > first]
        while paths:
            path = paths.pop()
            for w in neighbours[path[-1]]:
                if w <= first or w in path or any(w in neighbours[v] for v in path[1:-1]):
                    continue
                if w in neighbours[first]:
                    if w > path[1]:
                        yield (*path, w)
                elif len(path) + 1 < max_length:
                    paths.append((*path, w))


def _bucket(value: int, low: int, high: int) -> int:
    """Position in the range low..high; one past its end for everything else."""
    return value - low if low <= value <= high else high - low + 1


def _atom_row(atom: Chem.Atom) -> list[int]:
    code = atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else ""
    centre = code != "" or atom.GetChiralTag() in _TETRAHEDRAL
    isotope = atom.GetIsotope()
    return [
        _bucket(atom.GetAtomicNum(), 0, 118),
        _bucket(atom.GetDegree(), 0, 6),
        _bucket(atom.GetFormalCharge(), -3, 3),
        _bucket(atom.GetTotalNumHs(), 0, 4),
        _bucket(int(atom.GetHybridization()), 0, 7),
        atom.GetIsAromatic(),
        _CHIRALITY.get(code, 5) if centre else 0,
        atom.IsInRing(),
        1 + _bucket(isotope - 2 * atom.GetAtomicNum(), -4, 60) if isotope else 0,
        _bucket(atom.GetNumRadicalElectrons(), 0, 2),
    ]


def _bond_row(bond: Chem.Bond) -> list[int]:
    order = _ORDERS.get(bond.GetBondType(), 5) - 1
    return [
        3 if bond.GetIsAromatic() else order,
        _STEREO.get(bond.GetStereo(), 3),
        bond.GetIsConjugated(),
        bond.IsInRing(),
    ]


def _ring_row(mol: Chem.Mol, ring: Ring) -> list[int]:
    around = zip(ring, (*ring[1:], ring[0]), strict=True)
    aromatic = sum(mol.GetBondBetweenAtoms(u, v).GetIsAromatic() for u, v in around)
    hetero = sum(mol.GetAtomWithIdx(v).GetAtomicNum() != 6 for v in ring)
    share = 0 if aromatic == 0 else 1 if aromatic < len(ring) else 2
    return [_bucket(len(ring), 3, 18), share, _bucket(hetero, 0, 4)]


def _zinc_columns(mol: Chem.Mol, bonds: list[Chem.Bond]) -> list[list[int]]:
    keys = [(a.GetAtomicNum(), a.GetFormalCharge(), a.GetNumExplicitHs()) for a in mol.GetAtoms()]
    kekulised = Chem.Mol(mol)
    Chem.Kekulize(kekulised)
    types = [kekulised.GetBondWithIdx(b.GetIdx()).GetBondType() for b in bonds]
    return [
        [ZINC_KEYS.get(k, len(ZINC_ATOMS)) for k in keys],
        [_ORDERS.get(t, 0) for t in types],
        [],
    ]
