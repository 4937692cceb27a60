"""Tables of molecules: what is read, what is reported, what is refused; and noise of all kinds."""

import gzip
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

import topodiff as td
from topodiff.molecules import TableError, read_table
from topodiff.molecules.delimited import read_records

GOOD = "smiles,logS,name\nCCO,-0.5,ethanol\nc1ccccc1,,benzene\nC,1e-3,methane\n"


def test_columns_targets_and_rows(write):
    table = read_table(write(GOOD), target_columns=["logS"])
    assert table.smiles == ["CCO", "c1ccccc1", "C"]
    assert table.complexes.num_complexes == len(table) == 3
    assert table.y.nan_to_num(9).tolist() == [[-0.5], [9], [1e-3]]
    assert torch.equal(table.complexes.y.nan_to_num(9), table.y.float().nan_to_num(9))
    assert table.columns == ["smiles", "logS", "name"]
    assert table.rows[1] == ["c1ccccc1", "", "benzene"]
    assert table.column("name") == ["ethanol", "benzene", "methane"]
    assert table.lines == [2, 3, 4]
    assert table.row_numbers == [0, 1, 2]
    assert not table.failures
    assert table.complexes[0].equals(td.from_smiles("CCO").replace(y=table.y[:1].float()))


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace(",", "\t"),
        GOOD.replace(",", ";"),
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\n\n"),
        "\n\n" + GOOD.replace(",", ";"),
        GOOD.replace("ethanol", '"ethanol, a ""drink"""'),
        GOOD.rstrip("\n"),
        gzip.compress(GOOD.encode()),
    ],
    ids=[
        "tab",
        "semicolon",
        "bom",
        "crlf",
        "blank lines",
        "blank first",
        "quotes",
        "no last newline",
        "gzip",
    ],
)
def test_dialects(write, content):
    table = read_table(write(content), target_columns="logS")
    assert table.smiles == ["CCO", "c1ccccc1", "C"]
    assert table.y[:, 0].nan_to_num(9).tolist() == pytest.approx([-0.5, 9, 1e-3])


BAD_ROWS = [
    ("C(,1", "SMILES Parse Error"),
    ("C(C)(C)(C)(C)C,1", "valence"),
    (",1", "empty SMILES"),
    ("   ,1", "empty SMILES"),
    ("C,many", "target 'y' is not a finite number: 'many'"),
    ("C,inf", "not a finite number"),
    ("C,1_000", "not a finite number"),
    ("C,0x10", "not a finite number"),
    ("C,1e39", "too large for float32"),
    ("C", "1 fields where the header has 2"),
    ("C,1,2", "3 fields where the header has 2"),
    (f"{'C' * 200_000},1", "field larger than"),
    (f"{'C' * 110_000},1", "110000 characters"),
    (f"C,{'1,' * 2_000_000}CCC", "line of more than 1048576 characters"),
    (f'C,"{"1," * 2_000_000}', "line of more than 1048576 characters"),
    ('"C,1', "never closes"),
    (b"C\xff,1", "not UTF-8"),
    ("Cé,1", "printable ASCII"),
    ("C\0C,1", "printable ASCII"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS, ids=[r for _, r in BAD_ROWS])
def test_a_bad_row_is_reported_with_its_line_and_stops_nothing(write, row, reason):
    row = row if isinstance(row, bytes) else row.encode()
    path = write(b"smiles,y\nCC,1\n" + row + b"\nCCC,2\n\nCCCC,NaN\n")
    table = read_table(path, target_columns="y")
    assert table.smiles == ["CC", "CCC", "CCCC"]
    assert table.y[:2, 0].tolist() == [1, 2]
    assert math.isnan(table.y[2, 0])
    [failure] = table.failures
    assert failure.line == 3
    assert failure.row == 1
    assert reason in failure.reason
    assert failure.content.startswith(row.decode(errors="backslashreplace")[:3])
    assert len(failure.content) < 300
    assert table.lines == [2, 3, 4, 6]
    assert table.row_numbers == [0, 2, 3]
    assert len(table.rows) == 4
    with pytest.raises(TableError, match="line 3: "):
        read_table(path, target_columns="y", strict=True)


BAD_FILES = [
    (b"", "the file is empty"),
    (b"\n\n", "the file is empty"),
    (b"smiles,y\n", "no row below"),
    (b"a,b\nC,1\n", r"no column with 'smiles'.*\['a', 'b'\]"),
    (b"smiles,smiles\nC,C\n", "several columns with 'smiles'"),
    (b"smiles,z\nC,1\n", r"no column 'y'; the columns are \['smiles', 'z'\]"),
    (b"smiles,y,y\nC,1,2\n", "2 columns are named 'y'"),
    (b"smiles,y\nC(,1\n", "no row is usable, 1 of 1 as SMILES Parse Error"),
    (b"smiles;y\nC;1,5\nC;2,5\nC(;2,5\n", "usable, 3 of 3 as target 'y' is not a finite number; "),
    (b"PK\x03\x04" + bytes(99), "an Excel workbook or zip archive; save the table as CSV"),
    (b"\xd0\xcf\x11\xe0" + bytes(99), "an Excel workbook"),
    ("smiles,y\nC,1\n".encode("utf-16"), "line 1 is UTF-16"),
    (b"smiles,y,\xb5\nC,1,2\n", "line 1 .the header.: bytes that are not UTF-8 .save"),
    (b"smiles,y\n\xb5,1\n", "1 of 1 as bytes that are not UTF-8 .save the file as UTF-8.\n"),
    (b'"smiles,y\nC,1\n', "line 1 .the header.: a quote opens and never closes"),
    (gzip.compress(GOOD.encode() * 1000)[:-20], "damaged gzip"),
    (gzip.compress(b""), "the file is empty"),
    (b"\x1f\x8bgarbage that is not gzip", "damaged gzip"),
]


@pytest.mark.parametrize(("content", "message"), BAD_FILES, ids=[m[:25] for _, m in BAD_FILES])
def test_a_file_that_cannot_be_used_says_why(write, content, message):
    with pytest.raises(TableError, match=message):
        read_table(write(content), target_columns="y")


def test_missing_file(tmp_path):
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(TableError, match="a folder, no file"):
        read_table(tmp_path)


def test_without_targets_a_table_may_have_failures_only(write):
    table = read_table(write("smiles\nC1CC\n"))
    assert len(table) == len(table.complexes) == 0
    assert "unclosed ring" in table.failures[0].reason


@pytest.mark.parametrize(
    "words",
    [("active", "inactive"), ("True", "False"), ("YES", "no"), ("positive", "Negative"), "10"],
)
def test_words_for_classes(write, words):
    cells = [words[0], words[1], "", words[1], " " + words[0]]
    path = write("smiles;y\n" + "".join(f"C;{cell}\n" for cell in cells))
    table = read_table(path, target_columns="y")
    assert not table.failures
    assert table.y[:, 0].nan_to_num(9).tolist() == [1, 0, 9, 0, 1]


def test_words_belong_to_columns_of_classes(write):
    table = read_table(write("smiles,y\nC,2.5\nC,no\nC,1\n"), target_columns="y")
    assert table.y.tolist() == [[2.5], [1]]
    assert "not a finite number: 'no' (the column holds other numbers" in table.failures[0].reason
    table = read_table(write("smiles,y\nC,yes\nC,perhaps\nC,0\n"), target_columns="y")
    assert table.y.tolist() == [[1], [0]]
    assert "'y' is not a class: 'perhaps'" in table.failures[0].reason


def test_failures_show_the_row_as_it_stands_in_the_file(write):
    path = write('smiles;y;note\nCCO;1,5;"a; b"\nC;1;\n"C;2\n')
    table = read_table(path, target_columns="y")
    assert [f.content for f in table.failures] == ['CCO;1,5;"a; b"', '"C;2']
    assert table.failures[0].reason.endswith(
        "'1,5' (decimals are written with a point, thousands without a comma)"
    )


def test_columns_by_name(write):
    path = write("mol,canonical_SMILES,t 1,t 2\nx,C,1,2\ny,CC,,3\n")
    table = read_table(path, target_columns=["t 2", "t 1"])
    assert table.smiles_column == "canonical_SMILES"
    assert table.y.shape == (2, 2)
    assert table.y[0].tolist() == [2, 1]
    assert read_table(path, "canonical_SMILES").y is None
    with pytest.raises(TableError, match="no column 'SMILES'"):
        read_table(path, "SMILES")


def test_an_open_quote_costs_one_row(write):
    rows = [f"{'C' * (i % 7 + 1)},{i}" for i in range(500)]
    rows[3] = '"' + rows[3]
    table = read_table(write("smiles,y\n" + "\n".join(rows)), target_columns="y")
    assert len(table) == 499
    assert [f.line for f in table.failures] == [5]


def test_blank_lines_are_empty_cells_of_a_single_column(write):
    table = read_table(write("\nsmiles\nC\n\n\nCC\n\n\n"))
    assert table.rows == [["C"], [""], [""], ["CC"]]
    assert [(f.line, f.reason) for f in table.failures] == [
        (4, "empty SMILES"),
        (5, "empty SMILES"),
    ]


def test_bytes_that_are_not_utf8_matter_where_they_are_read(write):
    path = write("smiles,y,note\nC,1,für\nCC,ü,\nC,2,ü\n".encode("latin-1"))
    table = read_table(path, target_columns="y")
    assert [f.line for f in table.failures] == [3]
    assert "not UTF-8 (save the file as UTF-8)" in table.failures[0].reason
    assert table.column("note")[0].encode(errors="surrogateescape") == b"f\xfcr"


def test_a_quoted_field_may_hold_line_breaks(write):
    table = read_table(write('smiles,note\nC,"a\nb"\nCC,c\n'))
    assert table.column("note") == ["a\nb", "c"]
    assert table.lines == [2, 4]


def test_a_cell_may_hold_a_mol_block(write):
    ring = Chem.MolFromSmiles(f"C1{'C' * 997}C1")
    block = Chem.MolToMolBlock(ring).replace("M  END", "M  CHG  1   1   0\n" * 125 + "M  END")
    table = read_table(write(f'smiles,block\nC,"{block}"\nCC,\n'))
    assert table.column("block") == [block, ""]


def test_quotes_that_never_close_cost_a_row_each(write):
    rows = ['"C,1', *["CC,2"] * 5000] * 10
    records = list(read_records(write("\n".join(rows))))
    assert [r.line for r in records] == [*range(1, len(rows) + 1)]
    bad = [r for r in records if r.problem]
    assert [r.line for r in bad] == [*range(1, len(rows), 5001)]
    assert "never closes" in bad[0].problem


def test_delimiters_inside_quotes_do_not_count(write):
    table = read_table(write('smiles,"logS (mol/L; pH 7; 25 C)"\nC,1\n'))
    assert table.columns == ["smiles", "logS (mol/L; pH 7; 25 C)"]
    assert read_table(write('smiles;"a,""b"",c"\nC;1\n')).columns == ["smiles", 'a,"b",c']
    assert read_table(write('smiles;1" a;2" b,c\nC;1;2\n')).columns == ["smiles", '1" a', '2" b,c']


ROWS_AND_FAILURES = {
    "esol": (1128, 0), "freesolv": (642, 0), "bbbp": (2050, 11), "clintox": (1484, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS_AND_FAILURES)
def test_real_tables(mirror, name):
    table = read_table(mirror / "molecules" / f"{name}.csv.gz", cache=False)
    assert (len(table.rows), len(table.failures)) == ROWS_AND_FAILURES[name]
    table.complexes.validate()
    assert len(table) == table.complexes.num_complexes == len(table.smiles)


noise = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.lists(
        st.sampled_from(
            ["C", "c1ccccc1", "C(", "1", "-2.5e3", "nan", "inf", '"', "\t", ";", "\r\n", "\n", ",",
             "smiles", "y", "\0", "é", "x" * 70_000]
        ),
        max_size=40,
    ).map(lambda parts: ",".join(parts).encode()),
)  # fmt: skip


@given(noise, st.sampled_from([b"", b"smiles,y\nCC,1\n", b"smiles\n"]), st.booleans(), st.data())
def test_noise_is_read_reported_or_refused(tmp_path_factory, content, head, zipped, data):
    content = head + content
    if zipped:
        content = gzip.compress(content)
        content = content[: data.draw(st.integers(0, len(content)))]
    name = data.draw(st.sampled_from(["t.csv", "t.tsv.gz", "t.sdf"]))
    path = tmp_path_factory.mktemp("noise") / name
    path.write_bytes(content)
    try:
        table = read_table(path, target_columns=data.draw(st.sampled_from([None, "y"])))
    except TableError as error:
        refusal = str(error)
    else:
        refusal = None
    if refusal is not None:
        assert str(path) in refusal
        return
    assert len(table) + len(table.failures) == len(table.rows) == len(table.lines)
    assert sorted(table.row_numbers + [f.row for f in table.failures]) == list(
        range(len(table.rows))
    )
    assert table.y is None or not table.y.isinf().any()
    assert all(f.reason and f.line >= 1 for f in table.failures)
    table.complexes.validate()
