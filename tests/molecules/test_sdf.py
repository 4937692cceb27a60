"""SDF files: molecules, titles and properties, and what is wrong with them."""

import gzip
import math

import pytest
from rdkit import Chem

from topodiff.molecules import TableError, read_table


def sdf(*mols):
    blocks = []
    for mol, properties in mols:
        fields = "".join(f">  <{k}>\n{v}\n\n" for k, v in properties.items())
        blocks.append(f"{mol if isinstance(mol, str) else Chem.MolToMolBlock(mol)}{fields}$$$$\n")
    return "".join(blocks)


@pytest.mark.parametrize("name", ["m.sdf", "m.sdf.gz"])
def test_sdf(write, name):
    ethanol, benzene = map(Chem.MolFromSmiles, ("CCO", "c1ccccc1"))
    broken = Chem.MolToMolBlock(ethanol).replace(" C ", " Qq", 1)
    text = sdf((ethanol, {"logS": "1.5", "id": "a"}), (broken, {"logS": "2"}), (benzene, {}))
    content = gzip.compress(text.encode()) if name.endswith("gz") else text
    table = read_table(write(content, name), target_columns="logS")
    assert table.smiles == ["CCO", "c1ccccc1"]
    assert table.columns == ["logS", "id", "smiles"]
    assert table.rows == [["1.5", "a", "CCO"], ["2", "", ""], ["", "", "c1ccccc1"]]
    assert table.y[0].item() == 1.5
    assert math.isnan(table.y[1])
    [failure] = table.failures
    assert failure.row == 1
    assert failure.line == text.split("$$$$\n")[0].count("\n") + 2


def test_sdf_titles(write):
    methane = Chem.MolToMolBlock(Chem.MolFromSmiles("C"))
    named = "  aspirin " + methane
    table = read_table(
        write(sdf((methane, {"y": "1"}), (named, {}), ("odd" + methane[:9], {})), "m.sdf")
    )
    assert table.columns == ["title", "y", "smiles"]
    assert table.rows == [["", "1", "C"], ["aspirin", "", "C"], ["odd", "", ""]]
    own = {"y": "1", "title": "acid", "smiles": "mine"}
    table = read_table(write(sdf((named, own), (named, {})), "m.sdf"))
    assert table.columns == ["y", "title", "smiles"]
    assert table.rows == [["1", "acid", "mine"], ["", "", ""]]


def test_sdf_without_molecules(write):
    with pytest.raises(TableError, match="no molecule"):
        read_table(write("\n\n", "m.sdf"))
    table = read_table(write("nonsense\n$$$$\n", "m.sdf"))
    assert [f.reason for f in table.failures] == ["mol block without 'M  END'"]


def test_sdf_names_with_brackets(write):
    methane = Chem.MolToMolBlock(Chem.MolFromSmiles("C"))
    names = "ratio A>B", "ratio A>C", "A <B>"
    fields = "".join(f">  25 <{name}>  (3)\n{i}\n\n" for i, name in enumerate(names))
    table = read_table(write(f"{methane}{fields}$$$$\n", "m.sdf"))
    assert table.columns == [*names, "smiles"]
    assert table.rows == [["0", "1", "2", "C"]]


def test_sdf_properties_that_are_given_twice(write):
    methane = Chem.MolToMolBlock(Chem.MolFromSmiles("C"))
    fields = ">  <y>\n1\n\n>  <y>\n2\n\n"
    table = read_table(write(f"{methane}{fields}$$$$\n{methane}>  <y>\n3\n\n$$$$\n", "m.sdf"))
    assert [f.reason for f in table.failures] == ["the property 'y' is given twice"]
    assert table.column("y") == ["3"]


def test_sdf_bytes_that_are_not_utf8(write):
    methane = Chem.MolToMolBlock(Chem.MolFromSmiles("C"))
    broken = methane.replace(" C ", " é ", 1)
    text = sdf((f"Säure{methane}", {"note": "für"}), (broken, {}))
    table = read_table(write(text.encode("latin-1"), "m.sdf"))
    assert table.smiles == ["C"]
    assert table.column("title")[0].encode(errors="surrogateescape") == b"S\xe4ure"
    assert [f.reason for f in table.failures] == [
        "bytes that are not UTF-8 (save the file as UTF-8)"
    ]
