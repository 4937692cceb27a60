"""The commands where something is odd: names, folders, versions, terminals."""

import gzip
import io
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
from commands import FAST, SMILES, one_line, read, run, train, write
from rdkit import Chem

from topodiff import plotting
from topodiff.cli.app import main
from topodiff.training import Ensemble
from topodiff.training.files import locked


def test_names_of_targets_are_no_mathematics(tmp_path):
    name = "US$_{ per kg$"
    table = write(tmp_path / "t.csv", ["smiles", name], [[s, len(s)] for s in SMILES])
    out = tmp_path / "out"
    done = train(table, out, "--no-descriptors", target=name)
    assert done.exit_code == 0, done.output
    assert (out / "metrics.json").exists()
    assert (out / "parity.png").exists()


def test_a_target_that_begins_with_a_dash(tmp_path):
    table = write(tmp_path / "t.csv", ["smiles", "-logS"], [[s, len(s)] for s in SMILES])
    options = ["--no-descriptors", *FAST]
    done = run("train", table, "--out", tmp_path / "out", "--target-columns=-logS", *options)
    assert done.exit_code == 0, done.output


def test_a_picture_that_fails_is_a_warning(table, tmp_path, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("no such font")

    monkeypatch.setattr(plotting, "parity_plot", fail)
    with pytest.warns(UserWarning, match=r"parity.png could not be drawn: no such font"):
        done = train(table, tmp_path / "out", "--no-descriptors")
    assert done.exit_code == 0
    assert (tmp_path / "out" / "metrics.json").exists()


def test_what_is_resumed_is_not_touched_if_refused(table, tmp_path):
    out = tmp_path / "out"
    assert train(table, out, "--no-descriptors").exit_code == 0
    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    write(table, ["SMILES", "size"], [[s, len(s)] for s in ["(", ")", *SMILES[3:]]])
    refused = train(table, out, "--no-descriptors", "--resume")
    assert "the training set is another one" in one_line(refused)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before


def test_what_is_interrupted_says_how_it_goes_on(table, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("topodiff.cli.train.train_molecules", interrupted)
        stopped = train(table, out, "--no-descriptors")
    assert stopped.exit_code == 130
    assert "the same command with --resume goes on in" in " ".join(stopped.output.split())
    assert train(table, out, "--no-descriptors", "--resume").exit_code == 0


def test_one_process_in_a_folder(table, tmp_path):
    out = tmp_path / "out"
    assert train(table, out, "--no-descriptors").exit_code == 0
    before = (out / "predictor.ckpt").read_bytes()
    with locked(out):
        for option in ("--resume", "--overwrite"):
            refused = one_line(train(table, out, "--no-descriptors", option))
            assert "another process writes into" in refused
    assert (out / "predictor.ckpt").read_bytes() == before
    assert train(table, out, "--no-descriptors", "--resume").exit_code == 0


def test_a_typo_in_the_split_names_its_line(table, tmp_path):
    table.write_text(table.read_text().replace("7,test", "7,tset", 1))
    given = ["--split", "given", "--split-column", "part"]
    # 44 and 8 molecules, a bad one and the header stand before
    assert "line 55 has the split 'tset'" in one_line(train(table, tmp_path / "out", *given))


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"aromatic": True}, "read with aromatic=True, which this version"),
        ({"max_ring_size": 18}, None),  # of settings that came later, those of now are taken
    ],
)
def test_models_of_other_versions(trained, table, tmp_path, about, message):
    replace(Ensemble.load(trained), about=about).save(tmp_path)
    done = run("predict", tmp_path, table, "--out", tmp_path / "p.csv")
    if message is None:
        assert done.exit_code == 0, done.output
    else:
        assert message in one_line(done)


def test_kernels_that_there_are_not():
    environment = {**os.environ, "TOPODIFF_KERNELS": "fortran"}
    command = [sys.executable, "-m", "topodiff", "info"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "'fortran'" in done.stderr
    assert "Traceback" not in done.stderr


def test_terminals_of_ascii_alone(monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr("topodiff.cli.app.app", lambda: print("±"))
    main()
    screen.flush()
    assert screen.buffer.getvalue() == b"?\n"


def test_warnings_are_one_line(monkeypatch, capsys):
    monkeypatch.setattr("topodiff.cli.app.app", lambda: warnings.warn("a\n  b", stacklevel=1))
    before = warnings.showwarning
    main()
    assert capsys.readouterr().err == "warning: a b\n"
    assert warnings.showwarning is before


def test_two_values_are_warned_of_once(tmp_path, recwarn):
    rows = [[s, 1 + (len(s) > 3)] for s in SMILES]
    table = write(tmp_path / "t.csv", ["smiles", "grade"], rows)
    warnings.simplefilter("always")
    done = train(table, tmp_path / "out", "--no-descriptors", target="grade")
    assert done.exit_code == 0, done.output
    assert [str(w.message)[:35] for w in recwarn] == ["target 'grade' holds but two values"]


@pytest.mark.parametrize("name", ["p.tsv", "p.csv.gz", "p.tsv.gz"])
def test_predictions_are_written_as_the_name_of_the_file_says(trained, tmp_path, name):
    table = write(tmp_path / "t.csv", ["smiles", "note"], [["CCO", "a, b"]])
    out = tmp_path / name
    assert run("predict", trained, table, "--out", out).exit_code == 0
    content = gzip.decompress(out.read_bytes()) if name.endswith(".gz") else out.read_bytes()
    header, row, _ = content.decode().split("\n")
    assert header.split("\t" if ".tsv" in name else ",")[:3] == ["smiles", "note", "size_predicted"]
    assert row.startswith("CCO\ta, b\t" if ".tsv" in name else 'CCO,"a, b",')


def test_two_models_one_after_another(trained, tmp_path, monkeypatch):
    ensemble = Ensemble.load(trained)
    names = tuple(f"{name} too" for name in ensemble.targets.names)
    replace(ensemble, targets=replace(ensemble.targets, names=names)).save(tmp_path)
    table = write(tmp_path / "t.csv", ["smiles"], [["CCO"], ["C1CC"]])
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    assert run("predict", trained, table, "--out", first).exit_code == 0
    done = run("predict", tmp_path, first, "--out", second)
    assert done.exit_code == 0, done.output
    good, bad = read(second)
    assert [*good][-5:] == [f"{n}_{w}" for n in names for w in ("predicted", "std")] + ["failure"]
    assert [*good].count("failure") == 1
    assert good["size_predicted"]
    assert good["size too_predicted"] == good["size_predicted"]
    assert "unclosed ring" in bad["failure"]
    monkeypatch.setattr("topodiff.cli.predict.read_table", None)  # refused before it is read
    assert "has a column 'size_predicted' already" in one_line(
        run("predict", trained, first, "--out", second)
    )
    own = write(tmp_path / "own.csv", ["smiles", "failure"], [["C", "cracks"]])
    assert "has a column 'failure' already" in one_line(
        run("predict", trained, own, "--out", second)
    )
    sdf = tmp_path / "own.sdf"
    sdf.write_text(f"{Chem.MolToMolBlock(Chem.MolFromSmiles('C'))}>  <failure>\n1\n\n$$$$\n")
    assert "has a column 'failure' already" in one_line(
        run("predict", trained, sdf, "--out", second)
    )


def test_cells_are_written_with_their_digits(tmp_path):
    rows = [[s, f"{-19444 + len(s) / 1000:.4f}"] for s in SMILES]
    table = write(tmp_path / "t.csv", ["smiles", "E"], rows)
    done = train(table, tmp_path / "out", "--no-descriptors", target="E")
    assert done.exit_code == 0, done.output
    tested = read(tmp_path / "out" / "test_predictions.csv")
    assert {row["E"] for row in tested} <= {row[1] for row in rows}
    assert len({row["E_predicted"] for row in tested}) == len(tested)
    assert all(len(row["E_predicted"]) > len("-19444.001") for row in tested)
    assert all(float(row["E_std"]) > 0 for row in tested)


def test_resuming_what_was_killed_at_its_first_file(table, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".config.json.123.tmp").write_text("{")
    assert train(table, out, "--resume").exit_code == 0


def test_overwriting_spares_what_is_not_of_a_run(table, tmp_path):
    out = tmp_path / "out"
    assert train(table, out).exit_code == 0
    notes = out / "member_notes"
    notes.mkdir()
    (notes / "thesis.txt").write_text("keep me")
    (out / "member_1.csv").write_text("keep me")
    assert train(table, out, "--overwrite").exit_code == 0
    assert (notes / "thesis.txt").exists()
    assert (out / "member_1.csv").exists()
    within = out / "failures.csv"
    within.write_bytes(table.read_bytes())
    assert "would delete the table itself" in one_line(train(within, out, "--overwrite"))
    assert within.read_bytes() == table.read_bytes()


def test_damaged_model(trained, table, tmp_path):
    content = bytearray((trained / "predictor.ckpt").read_bytes())
    content[-50] ^= 1
    (tmp_path / "predictor.ckpt").write_bytes(content)
    refused = run("predict", tmp_path, table, "--out", tmp_path / "p.csv")
    assert "predictor.ckpt is damaged" in one_line(refused)
    assert not (tmp_path / "p.csv").exists()
