"""Splits of a set of molecules into training, validation and test parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from topodiff.molecules.parse import silenced

NAMES = {"train": 0, "val": 1, "valid": 1, "validation": 1, "test": 2}


class Split(NamedTuple):
    """Numbers of the molecules in each part."""

    train: list[int]
    val: list[int]
    test: list[int]


def random_split(
    size: int, fractions: Sequence[float] = (0.8, 0.1, 0.1), *, seed: int = 0
) -> Split:
    """Random parts of the given fractions; the same for the same size and seed."""
    ends = _ends(size, fractions)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
    return Split(order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] :])


def scaffold_split(smiles: Sequence[str], fractions: Sequence[float] = (0.8, 0.1, 0.1)) -> Split:
    """Parts that share no Bemis-Murcko scaffold (J. Med. Chem. 1996, 39, 2887).

    Deterministic: the groups of molecules of a scaffold, largest first (ties: the one that appears
    first in the data goes last, as in DeepChem), fill training, then validation, then test.
    """
    ends = _ends(len(smiles), fractions)
    groups: dict[str, list[int]] = defaultdict(list)
    with silenced():
        for i, text in enumerate(smiles):
            groups[_scaffold(text)].append(i)
    split = Split([], [], [])
    for group in sorted(groups.values(), key=lambda g: (len(g), g[0]), reverse=True):
        if len(split.train) + len(group) <= ends[0]:
            split.train.extend(group)
        elif len(split.train) + len(split.val) + len(group) <= ends[1]:
            split.val.extend(group)
        else:
            split.test.extend(group)
    return split


def column_split(labels: Sequence[str], lines: Sequence[int] | None = None) -> Split:
    """The split given by a column of the words train, val (or valid, validation) and test.

    ``lines`` of a file, one for each label, are named in place of the number of the molecule in the
    ValueError for another word.
    """
    split = Split([], [], [])
    for i, label in enumerate(labels):
        if (word := label.strip().lower()) not in NAMES:
            where = f"molecule {i}" if lines is None else f"line {lines[i]}"
            raise ValueError(f"{where} has the split {label!r}; expected one of {list(NAMES)}")
        split[NAMES[word]].append(i)
    return split


def _scaffold(smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise ValueError(f"no scaffold of {smiles!r}: not a molecule")
    return MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False)


def _ends(size: int, fractions: Sequence[float]) -> tuple[int, int]:
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions must be three numbers >= 0 of sum 1, got {list(fractions)}")
    if size < 1:
        raise ValueError("a split needs at least one molecule")
    train = int(fractions[0] * size + 1e-9)
    return train, train + int(fractions[1] * size + 1e-9)
