"""Numbers that describe a molecule as a whole, computed by RDKit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from rdkit.Chem import Descriptors, Mol
from torch import Tensor

from topodiff.molecules.parse import MoleculeError, mol_from_smiles, silenced
from topodiff.molecules.workers import map_in_workers

NAMES = tuple(name for name, _ in Descriptors.descList)
"""Names of the columns: all two-dimensional descriptors of this version of RDKit."""

CHUNK = 64

# Atoms of the largest molecule of which a descriptor is computed. Ipc and AvgIpc take a time that
# grows with the fourth power (a second at 250 atoms, most of a minute at 660), for coefficients of
# a polynomial that pass the range of float32 at some 150 atoms and that of float64 at some 800.
# What rests on all distances or on eigenvalues grows with the cube (in sum 15 s at 1,000 atoms).
MAX_ATOMS = {"Ipc": 300, "AvgIpc": 300} | {
    name: 1_000
    for name in NAMES
    if "EState" in name or name.startswith(("BCUT2D", "BalabanJ", "BertzCT"))
}


def descriptors(smiles: Sequence[str], num_workers: int = 0) -> Tensor:
    """(n, len(NAMES)) float64: logP, polar surface, counts of groups, charges, shape indices, ...

    Several milliseconds a molecule. NaN where RDKit cannot compute a value (partial charges of
    unusual elements) and where it would take too long (:data:`MAX_ATOMS`); values that are not
    finite are NaN, too.

    Args:
        smiles: of molecules that RDKit can read.
        num_workers: processes; 0 computes in this one.

    Raises:
        MoleculeError: (a ValueError) for a text that is not a molecule, or whose worker died.
    """
    chunks = [list(smiles[i : i + CHUNK]) for i in range(0, len(smiles), CHUNK)]
    if num_workers and len(chunks) > 1:
        parts = list(map_in_workers(_describe, chunks, None, num_workers, _died, _concatenate))
    else:
        parts = [_describe(chunk) for chunk in chunks]
    values = torch.tensor([row for part in parts for row in part], dtype=torch.float64)
    values = values.reshape(len(smiles), len(NAMES))
    return values.where(values.isfinite(), torch.nan)


def _describe(smiles: list[str], _: None = None) -> list[list[float]]:
    with silenced():
        return [_row(mol_from_smiles(text)) for text in smiles]


def _row(mol: Mol) -> list[float]:
    size = mol.GetNumAtoms()
    return [
        _value(function, mol) if size <= MAX_ATOMS.get(name, size) else math.nan
        for name, function in Descriptors.descList
    ]


def _value(function: Callable[[Mol], float], mol: Mol) -> float:
    # As Descriptors.CalcMolDescriptors, which however takes Ctrl-C for a value that is missing.
    try:
        return float(function(mol))
    except MemoryError:
        raise
    except Exception:
        return math.nan


def _died(smiles: str, _: None) -> list[list[float]]:
    shown = smiles if len(smiles) <= 80 else f"{smiles[:80]}..."
    raise MoleculeError(
        f"the worker process that computed the descriptors of {shown!r} died (out of memory?)"
    ) from None


def _concatenate(first: list, second: list, offset: int) -> list:
    return first + second
