"""Descriptors of whole molecules: RDKit's values, and what happens where they cannot be had."""

import math
import os
import signal
import time

import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors

from topodiff.molecules import MoleculeError
from topodiff.molecules.descriptors import NAMES, descriptors

SMILES = [
    "CCO",
    "c1ccccc1C(=O)O",
    "[Na+].[Cl-]",
    "C[C@H](N)C(=O)O",
    "[Pt]",
    "C1CN2CC3=CCOC4CC2C1C34",
]


def replace(monkeypatch, place, function):
    found = [*Descriptors.descList]
    found[place] = (found[place][0], function)
    monkeypatch.setattr(Descriptors, "descList", found)
    monkeypatch.setattr(Descriptors, "_descList", found)


def peptide(residues):
    return "NC(C)C(=O)" * residues + "O"


def test_values_are_those_of_rdkit_in_its_order():
    values = descriptors(SMILES)
    assert values.shape == (len(SMILES), len(NAMES))
    for row, text in zip(values.tolist(), SMILES, strict=True):
        found = Descriptors.CalcMolDescriptors(Chem.MolFromSmiles(text), missingVal=math.nan)
        assert list(found) == list(NAMES)
        finite = [value if math.isfinite(value) else math.nan for value in found.values()]
        assert row == pytest.approx(finite, nan_ok=True, abs=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupt_is_not_a_missing_value(monkeypatch, error):
    def interrupted(mol):
        raise error

    replace(monkeypatch, 3, interrupted)
    with pytest.raises(error):
        descriptors(SMILES)


def test_a_descriptor_that_fails_is_nan(monkeypatch):
    def fails(mol):
        raise RuntimeError

    replace(monkeypatch, 3, fails)
    values = descriptors(["CCO"])
    assert values[0, 3].isnan()
    assert values[0, :3].isfinite().all()


def test_workers_change_nothing():
    smiles = SMILES * 22
    alone, together = descriptors(smiles), descriptors(smiles, 2)
    assert together.nan_to_num(-1).equal(alone.nan_to_num(-1))


def test_the_molecule_that_kills_its_worker_is_named(monkeypatch):
    def deadly(mol):
        if Chem.MolToSmiles(mol) == "CO":
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    replace(monkeypatch, 3, deadly)
    smiles = ["C", "CC"] * 40
    smiles[70] = "CO"
    with pytest.raises(MoleculeError, match="descriptors of 'CO' died"):
        descriptors(smiles, 2)


@pytest.mark.filterwarnings("error")
def test_a_protein_does_not_stall():
    start = time.perf_counter()
    values = dict(zip(NAMES, descriptors([peptide(400)])[0].tolist(), strict=True))
    assert time.perf_counter() - start < 30  # minutes with a distance matrix, hours with Ipc
    assert math.isnan(values["Ipc"])
    assert math.isnan(values["AvgIpc"])
    assert math.isnan(values["BalabanJ"])
    assert values["HeavyAtomCount"] == 2001


def test_a_drug_has_all_descriptors():
    values = dict(zip(NAMES, descriptors([peptide(20)])[0].tolist(), strict=True))
    assert math.isfinite(values["Ipc"])
    assert math.isfinite(values["BCUT2D_MWHI"])
