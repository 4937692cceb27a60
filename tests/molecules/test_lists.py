"""Tables of molecules that are in memory already."""

import math

import pytest
import torch

import topodiff as td
from topodiff.molecules import TableError, read_table


def test_tables_from_lists(write):
    smiles = ["CCO", "C(", "C", "CC"]
    targets = {"logS": [-0.5, 1, None, math.nan], "toxic": ["yes", "no", True, 0]}
    table = td.molecules.table_from_smiles(smiles, targets, max_ring_size=7)
    rows = ["CCO,-0.5,yes", "C(,1,no", "C,,yes", "CC,nan,no"]
    path = write("\n".join(["smiles,logS,toxic", *rows]))
    same = read_table(path, target_columns=["logS", "toxic"], max_ring_size=7)
    assert table.complexes.equals(same.complexes)
    assert table.y.nan_to_num(9).equal(same.y.nan_to_num(9))
    assert table.smiles == same.smiles == ["CCO", "C", "CC"]
    assert table.columns == same.columns
    assert table.settings == same.settings
    assert [f.line for f in table.failures] == [2]
    alone = td.molecules.table_from_smiles(smiles)
    assert alone.y is None
    assert alone.column("smiles") == ["CCO", "C", "CC"]
    assert len(td.molecules.table_from_smiles([], {"y": []})) == 0


def test_lists_that_are_no_table_say_why():
    table_from_smiles = td.molecules.table_from_smiles
    for smiles in ("CCO", ["CCO", None], 5):
        with pytest.raises(TypeError, match="a sequence of SMILES strings"):
            table_from_smiles(smiles)
    with pytest.raises(ValueError, match="2 SMILES and 1 values of 'y'"):
        table_from_smiles(["C", "CC"], {"y": [1]})
    for targets, message in (([1], "{'logS': .*}; got list"), ({"y": [[1, 2]]}, "got list")):
        with pytest.raises(TypeError, match=message):
            table_from_smiles(["C"], targets)
    with pytest.raises(TableError, match="no row is usable, 1 of 1 as SMILES Parse Error"):
        table_from_smiles(["C("], {"y": [1]})
    with pytest.raises(TableError, match="line 1: "):
        table_from_smiles(["C("], strict=True)


def test_smiles_may_be_counted_once():
    table = td.molecules.table_from_smiles((s for s in ("C", "CC")), {"y": [1, 2]})
    assert table.smiles == ["C", "CC"]


def test_tables_from_data_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"smi": ["C", "CC", "CO"], "a": [1, pd.NA, 2.5], "b": [True, False, True]})
    table = td.molecules.table_from_smiles(frame["smi"], frame[["a", "b"]])
    assert table.target_columns == ["a", "b"]
    assert table.y.nan_to_num(9).tolist() == [[1, 1], [9, 0], [2.5, 1]]
    with pytest.raises(TypeError, match="of a data frame the column of them; got DataFrame"):
        td.molecules.table_from_smiles(frame[["smi"]])
    alone = td.molecules.table_from_smiles(frame["smi"], frame["a"])
    assert alone.y.nan_to_num(9).equal(table.y[:, :1].nan_to_num(9))


def test_targets_with_a_large_offset_keep_their_digits():
    energies = [-19444.0110, -19444.0109]
    table = td.molecules.table_from_smiles(["C", "CC"], {"E": energies})
    assert table.y[:, 0].tolist() == energies
    assert table.complexes.y.dtype == torch.float32
