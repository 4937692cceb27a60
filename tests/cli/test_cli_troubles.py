"""The commands where something is odd: names, folders, versions, terminals."""

import io
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from commands import FAST, SMILES, one_line, run, train, write

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
