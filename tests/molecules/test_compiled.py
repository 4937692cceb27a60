"""The compiled reader of molecule JSON: damaged text is an error, never a crash or a wrong read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem.rdMolInterchange import MolToJSON

_cpu = pytest.importorskip("topodiff.kernels._cpu", reason="needs the compiled module")

MOL = Chem.MolFromSmiles("C[C@H](F)/C=C/c1cc[nH]c1.[2H]O")
JSON = MolToJSON(MOL)
ATOMS, BONDS = bytes(MOL.GetNumAtoms()), bytes(MOL.GetNumBonds())


def lift(json, atoms=ATOMS, bonds=BONDS, induced=True):
    return _cpu.lift_molecules([(json, atoms, bonds)], induced, 18, 100, [])


def test_the_text_is_read():
    arrays, left_out = lift(JSON)
    assert [p.tolist() for p in arrays["ptr"]] == [[0, 12], [0, 11], [0, 1]]
    assert left_out == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"rdkitjson":{"version":1', '"rdkitjson":{"version":9', "unknown version"),
        ('"aromaticAtoms":[', '"aromaticAtoms":[99,', "index out of range"),
        ('"atomRings":[[', '"atomRings":[[0,1],[', "ring of less than 3"),
        ('"atomRings":[[', '"atomRings":[[0,1,2,3],[', "ring uses a bond that is missing"),
        ('"atoms":[0,1]', '"atoms":[0,0]', "bond without two atoms"),
        ('"atoms":[1,2]', '"atoms":[1,0]', "bond twice"),
        ('"atoms":[0,1]', '"atoms":[0,12]', "index out of range"),
        ('"impHs":3', '"impHs":99999999999', "number too large"),
        ('"impHs":3', '"impHs":"3"', "something else than a number"),
        ('"impHs":3', '"new":' + "[" * 99, "nested too deeply"),
    ],
)
def test_what_cannot_be_right_is_refused(old, new, message):
    assert old in JSON
    with pytest.raises(ValueError, match=message):
        lift(JSON.replace(old, new, 1))


def test_unknown_members_are_skipped():
    extra = '"impHs":3,"new":{"a":[1,{"b":"\\"]}"}],"c":null,"d":-1.5e3}'
    one, other = lift(JSON)[0], lift(JSON.replace('"impHs":3', extra, 1))[0]
    assert [x.tolist() for x in one["x"]] == [x.tolist() for x in other["x"]]


def test_defaults_are_taken_from_the_text():
    json = JSON.replace('"atom":{"z":6', '"atom":{"z":14')
    assert lift(json)[0]["x"][0].reshape(-1, 10)[0, 0] == 14


def test_properties_must_fit():
    with pytest.raises(ValueError, match="differ in size"):
        lift(JSON, ATOMS[:-1])
    with pytest.raises(TypeError, match="must be bytes"):
        lift(JSON, bonds="x" * len(BONDS))


@given(st.integers(0, len(JSON)))
def test_cut_text_is_refused(end):
    if end < len(JSON):
        with pytest.raises(ValueError, match=r"molecule JSON|differ in size"):
            lift(JSON[:end])


@given(st.data(), st.booleans())
def test_changed_text_is_read_or_refused(data, induced):
    text = list(JSON)
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(
            st.sampled_from('0123456789{}[]",:-az\\ ')
        )
    try:
        arrays, _ = lift("".join(text), induced=induced)
    except ValueError:
        return
    assert arrays["ptr"][0][-1] == len(ATOMS)
    assert (arrays["faces"] < arrays["ptr"][1][-1]).all()
