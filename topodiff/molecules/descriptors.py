"""Numbers that describe a molecule as a whole, computed by RDKit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from rdkit.Chem import Descriptors
from torch import Tensor

from topodiff.molecules.parse import mol_from_smiles, silenced
from topodiff.molecules.workers import map_in_workers

NAMES = tuple(name for name, _ in Descriptors.descList)
"""Names of the columns: all two-dimensional descriptors of this version of RDKit."""

CHUNK = 64


def descriptors(smiles: Sequence[str], num_workers: int = 0) -> Tensor:
    """(n, len(NAMES)) float64: logP, polar surface, counts of groups, charges, shape indices, ...

    Several milliseconds a molecule. NaN where RDKit cannot compute a value (partial charges of
    unusual elements); values that are not finite are NaN, too.

    Args:
        smiles: of molecules that RDKit can read.
        num_workers: processes; 0 computes in this one.

    Raises:
        MoleculeError: (a ValueError) for a text that is not a molecule.
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
        found = [
            Descriptors.CalcMolDescriptors(mol_from_smiles(text), missingVal=math.nan)
            for text in smiles
        ]
    return [[float(row[name]) for name in NAMES] for row in found]


def _died(_: None) -> list[list[float]]:
    return [[math.nan] * len(NAMES)]


def _concatenate(first: list, second: list, offset: int) -> list:
    return first + second
