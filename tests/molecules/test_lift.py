"""SMILES to complexes: known shapes and features, and the compiled reader against the reference."""

import contextlib
import csv
import gzip

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem, rdBase
from rdkit.Chem.rdDistGeom import EmbedMultipleConfs

import topodiff as td
from topodiff.kernels import backend
from topodiff.molecules import FEATURES, LiftSettings, MoleculeError, lift_all
from topodiff.molecules import lift as lift_module
from topodiff.molecules.features import ZINC_ATOMS
from topodiff.molecules.parse import mol_from_smiles

# (SMILES, shape with rings = induced cycles of up to 18 atoms)
SHAPES = {
    "C": (1, 0, 0),
    "*": (1, 0, 0),
    "[H][H]": (2, 1, 0),
    "[Na+].[Cl-]": (2, 0, 0),
    "[13CH4]": (1, 0, 0),
    "c1ccccc1": (6, 6, 1),
    "C1CCCCC1.C1CC1": (9, 9, 2),
    "C1CC2(C1)CCC2": (7, 8, 2),  # spiro
    "C1CC2CCC1C2": (7, 8, 3),  # norbornane: 5, 5 and the outer 6
    "c1ccc2ccccc2c1": (10, 11, 2),  # the perimeter has a chord
    "C12C3C4C1C5C2C3C45": (8, 12, 10),  # cubane: 6 squares and 4 hexagons around the diagonals
    "C1CCCCCCCCCCCCCCCCC1": (18, 18, 1),
    "C1CCCCCCCCCCCCCCCCCC1": (19, 19, 0),  # one atom too long
    "c1cc2ccc3ccc4ccc5ccc6ccc1c7c2c3c4c5c67": (24, 30, 35),  # coronene
    "C1=CC2=CC3=CC=C(N3)C=C4C=CC(=N4)C=C5C=CC(=CC1=N2)N5": (24, 28, 15),  # porphine
    "C1CN2CC3=CCOC4CC(=O)N5C6C4C3CC2C61C7=CC=CC=C75": (25, 31, 20),  # strychnine
    "N->[Fe]": (2, 1, 0),
    "C~C": (2, 1, 0),
}
ODD = [
    *SHAPES, "C[C@H](N)C(=O)O", "C[C@@H]1CC[C@H](C)CC1", "F/C=C/F", "F/C=C\\F", "[CH3]", "[O][O]",
    "F[Pt@SP1](F)(Cl)Cl", "[Fe]:[C]", "[2H]O[2H]", "[U+6]", "S(=O)(=O)(O)O", "F[P-](F)(F)(F)(F)F",
    "[Xe]", "O=[N+]([O-])c1ccccc1", "c1cc[nH]c1", "[OH3+]", "[H+]", "C#N", "[C-]#[O+]",
    "CC |$a;b$|", "[999Og]", "C[P@](=O)(O)c1ccccc1", "[Cl-].[NH3+]C", "N[C@](F)(Cl)Br",
    "OS(O)(O)(O)O", "C[C@H]1CC[C@H](C)CC1", "O[C@H]1C[C@@H](O)C1", "[3H]O[3H]", "[14CH4]",
]  # fmt: skip
SETTINGS = [
    LiftSettings(),
    LiftSettings(rings="smallest"),
    LiftSettings(max_ring_size=5),
    LiftSettings(features="zinc", rings="smallest", max_ring_size=6),
    LiftSettings(explicit_hydrogens=True),
]


def both_ways(smiles, settings):
    """Lifted by the compiled module and by the reference."""
    if (module := backend.compiled_module()) is None:
        pytest.skip("needs the compiled module")
    mols = [(i, mol_from_smiles(s)) for i, s in enumerate(smiles)]
    if settings.explicit_hydrogens:
        mols = [(i, lift_module._with_hydrogens(m)) for i, m in mols]
    compiled = lift_module._lift_compiled(module, mols, settings)
    return compiled, lift_module._lift_reference(mols, settings)


def assert_same(first, second):
    assert first.failures == second.failures
    for name in ("edges", "faces", "cells", "signs"):
        np.testing.assert_array_equal(getattr(first.arrays, name), getattr(second.arrays, name))
    for name in ("ptr", "x"):
        for one, other in zip(
            getattr(first.arrays, name), getattr(second.arrays, name), strict=True
        ):
            assert one.dtype == other.dtype == np.int64
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("smiles", SHAPES)
def test_known_shapes(smiles):
    k = td.from_smiles(smiles).validate()
    assert k.shape == SHAPES[smiles]
    assert k.num_complexes == 1


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_compiled_and_reference_agree_on_odd_molecules(settings):
    assert_same(*both_ways(ODD, settings))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_compiled_and_reference_agree_on_real_molecules(mirror, settings):
    smiles = []
    for name in ("esol", "bbbp", "clintox"):
        with gzip.open(mirror / "molecules" / f"{name}.csv.gz", "rt") as file:
            smiles += [row["smiles"] for row in csv.DictReader(file)]
    with rdBase.BlockLogs():
        smiles = [s for s in smiles if Chem.MolFromSmiles(s) is not None]
    assert len(smiles) > 4600
    assert_same(*both_ways(smiles[:: 1 if settings == SETTINGS[0] else 4], settings))


@pytest.mark.parametrize("features", FEATURES)
def test_features_stay_within_their_vocabulary(features):
    for k in [td.from_smiles(s, features=features) for s in ODD]:
        for rank, columns in enumerate(FEATURES[features].ranks):
            if not columns:
                assert rank not in k.x
                continue
            assert k.x[rank].shape == (k.shape[rank], len(columns))
            assert k.x[rank].dtype == torch.long
            sizes = torch.tensor(FEATURES[features].sizes(rank))
            assert bool(((k.x[rank] >= 0) & (k.x[rank] < sizes)).all())


def words(k, rank, cell):
    """The features of a cell by name."""
    columns = FEATURES["full"].ranks[rank]
    return {c.name: c.vocabulary[v] for c, v in zip(columns, k.x[rank][cell].tolist(), strict=True)}


def test_atom_features_read_as_chemistry_says():
    k = td.from_smiles("C[C@H]([NH3+])C(=O)[18O-]")  # L-alanine, labelled
    assert words(k, 0, 1) == {
        "element": 6, "degree": 3, "charge": 0, "hydrogens": 1, "hybridisation": "sp3",
        "aromatic": "no", "chirality": "S", "in_ring": "no", "isotope": "natural",
        "radical_electrons": 0,
    }  # fmt: skip
    assert words(k, 0, 2)["charge"] == 1
    assert words(k, 0, 2)["hydrogens"] == 3
    assert words(k, 0, 5)["isotope"] == 2
    assert words(k, 0, 5)["charge"] == -1
    assert words(td.from_smiles("[CH3]"), 0, 0)["radical_electrons"] == 1
    assert words(td.from_smiles("[U+6]"), 0, 0)["charge"] == "other"


def test_bond_and_ring_features_read_as_chemistry_says():
    k = td.from_smiles("c1ccncc1/C=C\\C#N")
    assert k.cells(1)[0] == (0, 1)
    assert words(k, 1, 0) == {
        "type": "aromatic", "stereo": "none", "conjugated": "yes", "in_ring": "yes",
    }  # fmt: skip
    double = k.cells(1).index((6, 7))
    assert words(k, 1, double)["type"] == "double"
    assert words(k, 1, double)["stereo"] == "cis"
    assert words(k, 1, k.cells(1).index((8, 9)))["type"] == "triple"
    assert words(k, 2, 0) == {"size": 6, "aromatic_bonds": "all", "heteroatoms": 1}
    tetralin = td.from_smiles("c1ccc2CCCCc2c1")
    assert {words(tetralin, 2, r)["aromatic_bonds"] for r in range(2)} == {"all", "some"}


def test_zinc_types():
    k = td.from_smiles("O=C([O-])[C@H](F)c1c[nH]cc1", features="zinc")
    names = [ZINC_ATOMS[t][0] for t in k.x[0].flatten().tolist()]
    assert names == ["O", "C", "O-", "C H1", "F", "C", "C", "N", "C", "C"]
    assert sorted(k.x[1].flatten().tolist()) == [1] * 7 + [2] * 3
    assert td.from_smiles("[U]", features="zinc").x[0].item() == len(ZINC_ATOMS)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_from_mol_is_from_smiles(settings):
    options = {f: getattr(settings, f) for f in ("rings", "features", "explicit_hydrogens")}
    for smiles in ODD:
        mol = Chem.MolFromSmiles(smiles)
        assert td.from_mol(mol, **options).equals(td.from_smiles(smiles, **options)), smiles


def test_from_mol_does_not_need_a_sanitised_molecule_and_does_not_change_it():
    mol = Chem.MolFromSmiles("C1=CC=CC=C1", sanitize=False)
    assert td.from_mol(mol).equals(td.from_smiles("c1ccccc1"))
    assert not mol.GetAtomWithIdx(0).GetIsAromatic()


@pytest.mark.parametrize("explicit_hydrogens", [False, True])
def test_positions_are_those_of_the_first_conformer(dtype, explicit_hydrogens):
    ethanol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    EmbedMultipleConfs(ethanol, 2, randomSeed=1)
    k = td.from_mol(ethanol, explicit_hydrogens=explicit_hydrogens)
    expected = torch.from_numpy(ethanol.GetConformer(0).GetPositions())
    assert torch.equal(k.positions, expected.to(dtype))
    heavy = Chem.RemoveHs(ethanol)
    k = td.from_mol(heavy, explicit_hydrogens=explicit_hydrogens)
    assert k.positions.shape == (9 if explicit_hydrogens else 3, 3)
    assert torch.pdist(k.positions).min() > 0.5
    assert td.from_mol(Chem.MolFromSmiles("CCO")).positions is None


def test_a_molecule_without_json_costs_the_others_nothing(monkeypatch):
    if backend.compiled_module() is None:
        pytest.skip("needs the compiled module")
    smiles, slow = ["CCO", "C#N", "CC(C)C"], []
    expected = lift_all(smiles, LiftSettings())
    to_json, reference_lift = lift_module.MolToJSON, lift_module.reference.lift

    def without_nitrogen(mol):
        if any(atom.GetAtomicNum() == 7 for atom in mol.GetAtoms()):
            raise RuntimeError("no JSON for nitrogen")
        return to_json(mol)

    def count(mol, settings):
        slow.append(mol)
        return reference_lift(mol, settings)

    monkeypatch.setattr(lift_module, "MolToJSON", without_nitrogen)
    monkeypatch.setattr(lift_module.reference, "lift", count)
    with pytest.warns(UserWarning, match="which is slow: no JSON for nitrogen"):
        found = lift_all(smiles, LiftSettings())
    assert_same(found, expected)
    assert len(slow) == 1


def test_explicit_hydrogens_are_vertices():
    k = td.from_smiles("CO", explicit_hydrogens=True)
    assert k.shape == (6, 5, 0)
    assert [words(k, 0, i)["hybridisation"] for i in range(6)] == ["sp3"] * 2 + ["s"] * 4


def test_hydrogens_that_are_there_are_as_those_that_are_added():
    mol = Chem.MolFromSmiles("CCO")
    there = td.from_mol(Chem.AddHs(mol))
    assert there.equals(td.from_mol(mol, explicit_hydrogens=True))
    assert there.equals(td.from_mol(Chem.AddHs(mol), explicit_hydrogens=True))
    assert there.equals(td.from_smiles("CCO", explicit_hydrogens=True))


def test_smallest_rings_are_rdkits():
    assert td.from_smiles("C12C3C4C1C5C2C3C45", rings="smallest").shape == (8, 12, 6)
    assert td.from_smiles("c1ccc2ccccc2c1", rings="smallest", max_ring_size=5).shape == (10, 11, 0)


def test_a_union_is_the_batch_of_its_molecules():
    smiles = [s for s in ODD if s != "C~C"]
    union = lift_all(smiles, LiftSettings()).arrays.to_complex("full").validate()
    assert union.equals(td.batch([td.from_smiles(s) for s in smiles]))
    assert union.select([3, 1]).equals(td.batch([td.from_smiles(smiles[i]) for i in (3, 1)]))


def test_failures_are_numbered_and_the_rest_is_lifted():
    lifted = lift_all(["C", "C(", "", "CC", "C(C)(C)(C)(C)C"], LiftSettings())
    assert [i for i, _ in lifted.failures] == [1, 2, 4]
    assert lifted.arrays.ptr[0].tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("C(C)(C)(C)(C)C", "valence for atom # 0 C, 5"),
        ("c1cccc1", "kekulize"),
        ("C1CC", "unclosed ring"),
        ("CC(", "syntax error"),
        ("not a molecule", "after the SMILES"),
        ("C\0C", "printable"),
        ("Cé", "ASCII"),
        ("C" * 50_001, "50001 characters"),
    ],
)
def test_bad_smiles_say_why(smiles, reason, capfd):
    with pytest.raises(MoleculeError, match=reason):
        td.from_smiles(smiles)
    assert capfd.readouterr().err == ""


def test_reasons_leave_rdkits_logs_as_they_were():
    before = rdBase.LogStatus()
    lift_all(["C1CC", "C"], LiftSettings())
    assert rdBase.LogStatus() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rings": "all"}, "rings must be one of"),
        ({"max_ring_size": 2}, "max_ring_size"),
        ({"max_ring_size": 6.0}, "max_ring_size"),
        ({"max_rings": -1}, "max_rings"),
        ({"max_rings": 2.5}, "max_rings"),
        ({"max_rings": True}, "max_rings"),
        ({"max_rings": 2**70}, "max_rings must be a whole number from 0 to 1000000000"),
        ({"features": "ecfp"}, "features must be one of"),
        ({"explicit_hydrogens": 1}, "explicit_hydrogens"),
        ({"ring": "induced"}, "ring"),
    ],
)
def test_bad_settings_say_why(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        td.from_smiles("C", **options)


def test_wrong_types_say_so():
    with pytest.raises(TypeError, match="one SMILES string, got list"):
        td.from_smiles(["C"])
    with pytest.raises(TypeError, match="RDKit molecule"):
        td.from_mol("C")
    with pytest.raises(MoleculeError, match="without atoms"):
        td.from_mol(Chem.Mol())


@pytest.mark.parametrize("reader", ["cpu", "reference"])
def test_too_many_rings_is_a_failure_of_that_molecule(reader):
    with td.kernels.use(reader) if reader in td.kernels.available() else pytest.skip("no compiler"):
        lifted = lift_all(["C1CC1", "C12C3C4C1C5C2C3C45"], LiftSettings(max_rings=9))
    assert lifted.arrays.ptr[2].tolist() == [0, 1]
    [(number, reason)] = lifted.failures
    assert number == 1
    assert "more than 9 rings" in reason


@pytest.mark.parametrize("smiles", ["CCO" * 3333, "C" * 10_000, ".".join("C" * 10_000)])
def test_ten_thousand_atoms(smiles):
    assert td.from_smiles(smiles).shape[0] >= 9999


def test_polymer_of_rings():
    k = td.from_smiles("C1CC1" * 1000)
    assert k.shape == (3000, 3999, 1000)


@pytest.mark.parametrize("smiles", ["[" * 5000, "C(" * 5000, "C%99" * 500, "C1" * 5001, "(" * 9])
def test_long_nonsense_is_refused(smiles):
    with pytest.raises(MoleculeError):
        td.from_smiles(smiles)


@given(st.one_of(st.text(max_size=60), st.text("CNOc1()[]=#@H+-.%23/\\nosl*", max_size=40)))
def test_any_text_is_a_molecule_or_an_error(text):
    with contextlib.suppress(MoleculeError):
        td.from_smiles(text).validate()
