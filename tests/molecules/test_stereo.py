"""Stereoisomers and isotopes: told apart, whatever the order of atoms."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem.rdCIPLabeler import AssignCIPLabels
from test_lift import SHAPES, words

import topodiff as td
from topodiff.molecules import parse

STEREOISOMERS = [
    ("C[C@H]1CC[C@H](C)CC1", "C[C@H]1CC[C@@H](C)CC1"),
    ("O[C@H]1C[C@@H](O)C1", "O[C@H]1C[C@H](O)C1"),
    ("C1CC[C@H]2CCCC[C@H]2C1", "C1CC[C@H]2CCCC[C@@H]2C1"),  # decalin
    ("C1CC[C@H]2CCC[C@H]2C1", "C1CC[C@H]2CCC[C@@H]2C1"),  # hydrindane
    ("OC[C@H](O)[C@@H](O)[C@H](O)CO", "OC[C@H](O)[C@H](O)[C@H](O)CO"),
    ("C[C@H]1C[C@@H](C)C[C@@H](C)C1", "C[C@H]1C[C@H](C)C[C@@H](C)C1"),
    ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
    ("F/C=C/F", "F/C=C\\F"),
    ("F/C=C/[C@H](O)/C=C\\F", "F/C=C/[C@@H](O)/C=C\\F"),
]
ISOTOPES = [("[13CH4]", "[14CH4]"), ("[2H]O[2H]", "[3H]O[3H]"), ("C[123I]", "C[131I]")]


@pytest.mark.parametrize("reader", ["cpu", "reference"])
@pytest.mark.parametrize(("one", "other"), STEREOISOMERS + ISOTOPES)
def test_stereoisomers_and_isotopes_differ(one, other, reader):
    with td.kernels.use(reader) if reader in td.kernels.available() else pytest.skip("no compiler"):
        assert not td.from_smiles(one).equals(td.from_smiles(other))


@pytest.mark.parametrize("smiles", [s for pair in STEREOISOMERS for s in pair])
def test_features_do_not_depend_on_how_a_smiles_is_written(smiles):
    mol = Chem.MolFromSmiles(smiles)
    k = td.from_smiles(smiles)
    for _ in range(5):
        written = Chem.MolToSmiles(mol, doRandom=True)
        other = td.from_smiles(written)
        for match in mol.GetSubstructMatches(Chem.MolFromSmiles(written), False, True):
            if torch.equal(other.x[0], k.x[0][list(match)]):
                break
        else:
            pytest.fail(f"{written} has other features")


def test_features_do_not_depend_on_labels_of_before():
    mol = Chem.MolFromSmiles("C[C@H]1C[C@@H](O)[C@H](F)C1")
    k = td.from_mol(mol)
    AssignCIPLabels(mol)
    assert td.from_mol(mol).equals(k)


# of a drug, and of a second spelling of it; its other isomer
CIS = "CN(C)C(=O)N[C@@H]1CC[C@@H](CCN2CCN(CC2)c3ccc(Cl)cc3)CC1"
CIS_TOO = "c1cc(ccc1N1CCN(CC1)CC[C@H]1CC[C@@H](CC1)NC(=O)N(C)C)Cl"
TRANS = "CN(C)C(=O)N[C@H]1CC[C@@H](CCN2CCN(CC2)c3ccc(Cl)cc3)CC1"


def codes(smiles):
    """Chirality of the centres, in no order."""
    return sorted(n for n in td.from_smiles(smiles).x[0][:, 6].tolist() if n)


def test_centres_of_drugs_are_labelled_in_time():
    assert codes(CIS) == codes(CIS_TOO) == [3, 3]
    assert codes(TRANS) == [4, 4]


def test_all_or_none_of_the_centres_are_labelled(monkeypatch):
    monkeypatch.setattr(parse, "MAX_COMPARISONS", 30_000)  # enough for one of two
    assert codes(CIS) == codes(CIS_TOO) == codes(TRANS) == [5, 5]


def test_centres_that_cannot_be_labelled_in_time_are_of_another_kind():
    k = td.from_smiles(f"C{'[C@H]1CC[C@H](CC1)' * 60}C")
    assert {words(k, 0, i)["chirality"] for i in range(1, 9)} == {"none", "other"}


@given(st.data())
def test_features_do_not_depend_on_the_order_of_atoms(data):
    stereo = [s for pair in STEREOISOMERS for s in pair]
    plain = [s for s in SHAPES if "->" not in s and "~" not in s]
    mol = Chem.MolFromSmiles(data.draw(st.sampled_from(plain + stereo)))
    order = data.draw(st.permutations(range(mol.GetNumAtoms())))
    k, other = td.from_mol(mol), td.from_mol(Chem.RenumberAtoms(mol, order))
    assert other.shape == k.shape
    assert torch.equal(other.x[0], k.x[0][list(order)])
    for rank in (1, 2):
        assert sorted(other.x[rank].tolist()) == sorted(k.x[rank].tolist())
