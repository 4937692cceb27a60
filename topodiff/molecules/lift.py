"""SMILES and RDKit molecules to featurised ring complexes: the compiled reader, one call a chunk.

RDKit parses; its documented JSON form holds all but one property of atoms and one of bonds, and is
read by the compiled module ten times faster than the same properties through Python objects.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import NamedTuple

import torch
from rdkit import Chem
from rdkit.Chem.rdMolInterchange import MolToJSON

from topodiff.complexes import CellComplex
from topodiff.kernels import backend
from topodiff.molecules import parse, reference
from topodiff.molecules.arrays import LiftedArrays
from topodiff.molecules.features import ZINC_KEYS
from topodiff.molecules.parse import MoleculeError
from topodiff.molecules.settings import LiftSettings, TooManyRings

_HYBRIDISED = ((Chem.MolFromSmarts("[^2]"), 3), (Chem.MolFromSmarts("[^3]"), 4))  # SP2, SP3
_ZINC_TABLE = [(*key, index) for key, index in ZINC_KEYS.items()]


class Lifted(NamedTuple):
    """The molecules that could be lifted, in order, and (position, reason) of all others."""

    arrays: LiftedArrays
    failures: list[tuple[int, str]]


def from_smiles(smiles: str, **settings: object) -> CellComplex:
    """Featurised ring complex of a molecule: atoms, bonds, rings.

    Args:
        smiles: one molecule; fragments ("C.C"), isotopes, charges, stereo, dummy atoms are fine.
        settings: rings, max_ring_size, max_rings, features, explicit_hydrogens; see
            :class:`~topodiff.molecules.settings.LiftSettings`.

    Returns:
        Complex of rank 2 (rings may be none: shape (n_0, n_1, 0)) with integer features x[r]
        (n_r, columns) as in :mod:`topodiff.molecules.features`. Vertices stand in the order of
        the SMILES; edges and rings are in canonical order.

    Raises:
        TypeError: if ``smiles`` is not a string.
        MoleculeError: (a ValueError) with the reason, if it is not a molecule.
    """
    if not isinstance(smiles, str):
        raise TypeError(f"from_smiles takes one SMILES string, got {type(smiles).__name__}")
    options = LiftSettings(**settings)  # type: ignore[arg-type]
    lifted = lift_all([smiles], options)
    if lifted.failures:
        shown = smiles if len(smiles) <= 80 else f"{smiles[:80]}..."
        raise MoleculeError(f"{shown!r} is not a molecule: {lifted.failures[0][1]}")
    return lifted.arrays.to_complex(options.features, batched=False)


def from_mol(mol: Chem.Mol, **settings: object) -> CellComplex:
    """As :func:`from_smiles`, from an RDKit molecule (a sanitised copy of it is read).

    Where the molecule has conformers, the coordinates of the first one are the ``positions``
    (n_0, 3), in Angstrom; those of a drawing lie in the plane z = 0. Hydrogens that are atoms of
    the molecule stay vertices, also without ``explicit_hydrogens``.
    """
    options = LiftSettings(**settings)  # type: ignore[arg-type]
    with parse.silenced():
        mol = parse.sanitised_copy(mol)
        if options.explicit_hydrogens:
            mol = _with_hydrogens(mol)
        lifted = lift_mols([(0, mol)], options)
    if lifted.failures:
        raise MoleculeError(lifted.failures[0][1])
    found = lifted.arrays.to_complex(options.features, batched=False)
    if mol.GetNumConformers():
        positions = torch.from_numpy(mol.GetConformer().GetPositions())
        found = found.replace(positions=positions.to(torch.get_default_dtype()))
    return found


def lift_all(smiles: Sequence[str], settings: LiftSettings) -> Lifted:
    """Lift SMILES into one union; bad ones are failures, not errors."""
    mols, failures = [], []
    with parse.silenced():
        for i, text in enumerate(smiles):
            try:
                mols.append((i, parse.mol_from_smiles(text)))
            except MoleculeError as error:
                failures.append((i, str(error)))
        lifted = lift_mols(mols, settings)
    return Lifted(lifted.arrays, sorted(failures + lifted.failures))


def lift_mols(mols: Iterable[tuple[int, Chem.Mol]], settings: LiftSettings) -> Lifted:
    """Lift numbered, sanitised molecules; numbers of bad ones return with the reason."""
    if settings.explicit_hydrogens:
        mols = [(i, _with_hydrogens(mol)) for i, mol in mols]
    compiled = backend.compiled_module()
    if compiled is None:
        return _lift_reference(mols, settings)
    mols = list(mols)
    try:
        return _lift_compiled(compiled, mols, settings)
    except (ValueError, RuntimeError):  # a molecule has no JSON, or all have one of a new version
        parts = [_lift_alone(compiled, mol, settings) for mol in mols]
    arrays = LiftedArrays.concatenate([part.arrays for part in parts])
    return Lifted(arrays, [failure for part in parts for failure in part.failures])


def _with_hydrogens(mol: Chem.Mol) -> Chem.Mol:
    mol = Chem.AddHs(mol, addCoords=True)
    Chem.SetHybridization(mol)  # AddHs leaves that of the new atoms unspecified
    return mol


def _lift_alone(compiled: ModuleType, mol: tuple[int, Chem.Mol], settings: LiftSettings) -> Lifted:
    try:
        return _lift_compiled(compiled, [mol], settings)
    except (ValueError, RuntimeError) as error:
        warnings.warn(
            f"molecules are read one property at a time, which is slow: {error}", stacklevel=2
        )
        return _lift_reference([mol], settings)


def _lift_compiled(
    compiled: ModuleType, mols: list[tuple[int, Chem.Mol]], settings: LiftSettings
) -> Lifted:
    zinc = settings.features == "zinc"
    beside = _explicit_hydrogens if zinc else _hybridisation_and_conjugation
    arrays, left_out = compiled.lift_molecules(
        [(MolToJSON(mol), *beside(mol)) for _, mol in mols],
        settings.rings == "induced",
        settings.max_ring_size,
        settings.max_rings,
        _ZINC_TABLE if zinc else [],
    )
    reason = str(TooManyRings(settings))
    return Lifted(LiftedArrays(**arrays), [(mols[k][0], reason) for k in left_out])


def _hybridisation_and_conjugation(mol: Chem.Mol) -> tuple[bytes, bytes]:
    """One byte per atom and per bond. Two substructure searches find most atoms at a third of the
    price of asking each."""
    count = mol.GetNumAtoms()
    hybridisation = bytearray(count)
    for query, value in _HYBRIDISED:
        for (i,) in mol.GetSubstructMatches(query, uniquify=False, maxMatches=count):
            hybridisation[i] = value
    i = hybridisation.find(0)
    while i >= 0:
        hybridisation[i] = int(mol.GetAtomWithIdx(i).GetHybridization())
        i = hybridisation.find(0, i + 1)
    return bytes(hybridisation), bytes(map(Chem.Bond.GetIsConjugated, mol.GetBonds()))


def _explicit_hydrogens(mol: Chem.Mol) -> tuple[bytes, bytes]:
    return bytes(map(Chem.Atom.GetNumExplicitHs, mol.GetAtoms())), b""


def _lift_reference(mols: Iterable[tuple[int, Chem.Mol]], settings: LiftSettings) -> Lifted:
    parts, failures = [], []
    for i, mol in mols:
        try:
            parts.append(reference.lift(mol, settings))
        except (ValueError, RuntimeError) as error:  # too many rings, or RDKit's refusal
            failures.append((i, str(error)))
    return Lifted(LiftedArrays.concatenate(parts), failures)
