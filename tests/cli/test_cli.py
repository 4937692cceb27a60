"""The commands, from a file of 60 molecules to predictions."""

import inspect
import json
import os
import re
from pathlib import Path

import pytest
import torch
from commands import SMILES, one_line, one_line_and_more, read, run, train, write
from rdkit import Chem

from topodiff.cli import app
from topodiff.molecules import LiftSettings
from topodiff.training import Ensemble, TrainConfig


def test_train_writes_everything(table, tmp_path):
    out = tmp_path / "out"
    done = train(table, out)
    assert done.exit_code == 0, done.output
    assert "60 of 61 rows are usable, 1 failed" in done.output
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["device"] == "cpu"
    assert metrics["molecules"] == {"train": 48, "val": 6, "test": 6}
    assert [m["epochs"] for m in metrics["members"]] == [3, 3]
    tested = read(out / "test_predictions.csv")
    errors = [float(r["size"]) - float(r["size_predicted"]) for r in tested]
    rmse = (sum(e * e for e in errors) / len(errors)) ** 0.5
    assert metrics["test"]["mean"]["rmse"] == pytest.approx(rmse, rel=1e-4)
    assert all(float(r["size_std"]) > 0 for r in tested)
    assert read(out / "failures.csv") == [
        {"line": "12", "reason": read(out / "failures.csv")[0]["reason"],
         "content": "bad,c1ccccc,3,0,7,train"}
    ]  # fmt: skip
    assert "unclosed ring" in read(out / "failures.csv")[0]["reason"]
    assert (out / "parity.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "config.json").read_text())["training"]["members"] == 2


def test_predict_keeps_rows_columns_and_order(trained, tmp_path):
    rows = [
        ["x,1", "CCO", "a"],
        ["2", "not a molecule", "b"],
        ["3", "c1ccccc1O", ""],
        ["4", "", "d"],
    ]
    new = write(tmp_path / "new.csv", ["id", "smiles", "note"], rows)
    out = tmp_path / "predictions.csv"
    done = run("predict", trained, new, "--out", out)
    assert done.exit_code == 0, done.output
    found = read(out)
    assert [[r["id"], r["smiles"], r["note"]] for r in found] == rows
    assert list(found[0])[3:] == [
        "size_predicted", "size_std", "oxygen_predicted", "oxygen_std", "failure"
    ]  # fmt: skip
    assert [bool(r["failure"]) for r in found] == [False, True, False, True]
    assert [bool(r["size_predicted"]) for r in found] == [True, False, True, False]
    assert 0 < float(found[0]["oxygen_predicted"]) < 1
    assert float(found[0]["size_std"]) > 0


def test_failed_rows_are_written_also_where_there_are_no_others(trained, tmp_path):
    new = write(tmp_path / "new.csv", ["smiles"], [["C1CC"]])
    out = tmp_path / "predictions.csv"
    done = run("predict", trained, new, "--out", out)
    assert done.exit_code == 0, done.output
    [row] = read(out)
    assert "unclosed ring" in row["failure"]
    assert row["size_predicted"] == ""
    assert "0 of 1 rows are usable, 1 failed" in done.output
    strict = run("predict", trained, new, "--out", tmp_path / "strict.csv", "--strict")
    assert strict.exit_code == 2


def test_molecules_of_an_sdf_stand_beside_their_predictions(trained, tmp_path):
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    new = tmp_path / "new.sdf"
    new.write_text(f"{block}$$$$\n")
    assert run("predict", trained, new, "--out", tmp_path / "p.csv").exit_code == 0
    assert [row["smiles"] for row in read(tmp_path / "p.csv")] == ["CCO"]


def test_words_for_classes(tmp_path):
    rows = [[s, "Active" if "O" in s else "inactive"] for s in SMILES]
    path = write(tmp_path / "t.csv", ["smiles", "assay"], rows)
    done = train(path, tmp_path / "out", "--no-descriptors", target="assay")
    assert done.exit_code == 0, done.output
    assert Ensemble.load(tmp_path / "out").targets.tasks == ("classification",)


def test_predictions_do_not_depend_on_the_company(trained, tmp_path):
    values = []
    for name, smiles in (("one", ["CCO"]), ("many", ["CCO", *SMILES])):
        new = write(tmp_path / f"{name}.csv", ["smiles"], [[s] for s in smiles])
        assert run("predict", trained, new, "--out", tmp_path / f"{name}.out").exit_code == 0
        values.append(float(read(tmp_path / f"{name}.out")[0]["size_predicted"]))
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_saved_ensemble_predicts_the_same(trained, tmp_path):
    ensemble = Ensemble.load(trained)
    ensemble.save(tmp_path)
    again = Ensemble.load(tmp_path)
    for a, b in zip(ensemble.members, again.members, strict=True):
        for name, weight in a.state_dict().items():
            assert torch.equal(weight, b.state_dict()[name])
    assert ensemble.targets == again.targets
    assert ensemble.config == again.config


@pytest.mark.parametrize("model", ["gine", "mlp"])
def test_other_models_and_splits(table, tmp_path, model):
    options = ["--model", model, "--no-descriptors", "--split", "scaffold"]
    assert train(table, tmp_path / "scaffold", *options).exit_code == 0
    options[4:] = ["given", "--split-column", "part"]
    done = train(table, tmp_path / "given", *options, target="oxygen")
    assert done.exit_code == 0, done.output
    metrics = json.loads((tmp_path / "given" / "metrics.json").read_text())
    assert metrics["molecules"] == {"train": 44, "val": 8, "test": 8}
    assert set(metrics["test"]["mean"]) == {"roc_auc", "average_precision"}


def test_resume_and_overwrite(table, tmp_path):
    out = tmp_path / "out"
    assert train(table, out).exit_code == 0
    first = (out / "predictor.ckpt").read_bytes()
    refused = train(table, out)
    assert refused.exit_code == 2
    assert "is not empty: give --resume, --overwrite or another --out" in one_line(refused)
    (out / "predictor.ckpt").unlink()
    assert train(table, out, "--resume").exit_code == 0
    assert (out / "predictor.ckpt").read_bytes() == first
    changed = train(table, out, "--resume", "--learning-rate", "0.5")
    assert "had other settings: training.fit.learning_rate was 0.001 and is 0.5" in one_line(
        changed
    )
    moved = table.rename(tmp_path / "moved.csv")
    assert train(moved, out, "--resume").exit_code == 0
    (out / "mine.txt").write_text("keep me")
    assert train(moved, out, "--overwrite", "--seed", "1").exit_code == 0
    assert (out / "mine.txt").exists()
    assert (out / "predictor.ckpt").read_bytes() != first


def test_predictions_go_where_a_link_leads(trained, table, tmp_path):
    real, link, pipe = (tmp_path / name for name in ("real.csv", "link.csv", "pipe"))
    real.write_text("old")
    link.symlink_to(real)
    assert run("predict", trained, table, "--out", link).exit_code == 0
    assert link.is_symlink()
    assert len(read(real)) == 61
    os.mkfifo(pipe)
    assert "is no file" in one_line(run("predict", trained, table, "--out", pipe))


def test_a_count_among_the_tested_is_no_class(tmp_path):
    parts = ["train"] * 44 + ["val"] * 8 + ["test"] * 8
    rows = [[s, int("O" in s), part] for s, part in zip(SMILES, parts, strict=True)]
    rows[-1][1] = 2
    path = write(tmp_path / "counts.csv", ["smiles", "n [/L]", "part"], rows)
    given = ["--split", "given", "--split-column", "part"]
    out = tmp_path / "out"
    done = train(path, out, *given, target="n [/L]")
    assert done.exit_code == 0, done.output
    assert "n [/L]" in done.output
    assert set(json.loads((out / "metrics.json").read_text())["test"]["mean"]) == {
        "rmse", "mae", "r2",
    }  # fmt: skip
    refused = train(path, out, *given, "--overwrite", "--task", "classification", target="n [/L]")
    assert "needs 0 or 1, got 2" in one_line(refused)


def test_options_have_the_defaults_of_the_settings():
    # the command has them in writing, as its --help would else wait for torch
    options = {name: p.default for name, p in inspect.signature(app.train).parameters.items()}
    config = TrainConfig()
    assert (config.fit.epochs, config.members) == (30, 3)
    found = {
        "model": config.model.name,
        "ensemble": config.members,
        "max_ring_size": LiftSettings().max_ring_size,
        **{name: getattr(config, name) for name in ("task", "descriptors")},
        **{name: getattr(config.model, name) for name in ("hidden_channels", "num_layers")},
        **{n: getattr(config.fit, n) for n in ("epochs", "batch_size", "learning_rate", "seed")},
    }
    assert {name: options[name] for name in found} == found


def test_usage_puts_the_table_before_what_takes_several_values():
    usage = " ".join(run("train", "--help").output.split())
    assert re.search(r"Usage: \S+ train .*table.* \[OPTIONS\]", usage)


def test_mistakes_are_one_line(table, tmp_path):
    out = tmp_path / "out"
    assert "no such file" in one_line(train(tmp_path / "none.csv", out))
    missing = one_line(train(table, out, target="sizes"))
    assert "there is no column 'sizes' (did you mean 'size'?)" in missing
    assert "'oxygen'" in missing
    assert "'size'" in missing
    assert "target 'same' is constant (7)" in one_line(train(table, out, target="same"))
    assert "there is no model 'cinn'; did you mean cin?" in one_line(
        train(table, out, "--model", "cinn")
    )
    assert "there is no split 'randm'; did you mean random?" in one_line(
        train(table, out, "--split", "randm")
    )
    assert "--split given needs one" in one_line(train(table, out, "--split", "given"))
    assert "epochs must be a whole number >= 1, got 0" in one_line(
        train(table, out, "--epochs", "0")
    )
    assert "got 'gpu'" in one_line(train(table, out, "--device", "gpu"))
    assert "given twice" in one_line(train(table, out, "--target-columns", "size"))
    assert "needs 0 or 1" in one_line(train(table, out, "--task", "classification"))
    assert "unclosed ring" in one_line_and_more(train(table, out, "--strict"))
    assert not out.exists(), "nothing is written before everything is known to be usable"


def test_no_molecule_at_all(tmp_path):
    table = write(tmp_path / "bad.csv", ["smiles", "y"], [["nonsense", 1], ["(", 2]])
    assert "no row is usable, 2 of 2 as SMILES Parse Error" in one_line_and_more(
        train(table, tmp_path / "o", target="y")
    )


def test_too_few_molecules(tmp_path):
    table = write(tmp_path / "few.csv", ["smiles", "y"], [["C", 1], ["CC", 2]])
    assert "the val part of the split of 2 molecules is empty" in one_line(
        train(table, tmp_path / "o", target="y")
    )


def test_unusable_folders(table, trained, tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert "is a file; --out names a folder" in one_line(train(table, file))
    if Path("/proc").is_dir():  # where even root cannot write
        assert re.search(r"cannot be written: .* in /proc", one_line(train(table, "/proc/a/b")))
    out = tmp_path / "p.csv"
    assert "there is no folder" in one_line(run("predict", tmp_path / "no", table, "--out", out))
    refused = run("predict", trained, table, "--out", out, "--device", "tpu")
    assert "device is cpu, cuda or cuda:NUMBER, got 'tpu'" in one_line(refused)
    assert "there is no trained model in" in one_line(run("predict", tmp_path, table, "--out", out))
    nowhere = tmp_path / "no" / "p.csv"
    assert "cannot be written" in one_line(run("predict", trained, table, "--out", nowhere))
    assert "is the table itself" in one_line(run("predict", trained, table, "--out", table))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("x")
    assert "holds no run to resume" in one_line(train(table, foreign, "--resume"))


def test_columns_of_the_prediction_are_not_overwritten(trained, tmp_path):
    new = write(tmp_path / "new.csv", ["smiles", "size_std"], [["CCO", "1"]])
    refused = run("predict", trained, new, "--out", tmp_path / "p.csv")
    assert "has a column 'size_std' already: rename it" in one_line(refused)


def test_info_names_kernels_and_folders(tmp_path, monkeypatch):
    cache = "/a/rather/long/path/of/a/folder" * 4
    monkeypatch.setenv("TOPODIFF_CACHE", cache)
    done = run("info")
    assert cache in "".join(re.findall(r"[\w/]+", done.output.partition("cache")[2]))
    assert done.exit_code == 0
    for word in (
        "kernels triton",
        "kernels in use",
        "kernels cpu",
        "instruction set",
        "threads",
        "data mirror",
    ):
        assert word in done.output
