"""``topodiff bench heterophily`` on the smallest data set, where there is a copy of it."""

import dataclasses
import io
import json
import tempfile

import pytest
from rich.console import Console
from typer.testing import CliRunner

from topodiff.cli.app import app
from topodiff.cli.bench import results_table
from topodiff.training import heterophily, heterophily_tuning
from topodiff.training.node_benchmark import Summary

runner = CliRunner()


@pytest.fixture
def bench(mirror, tmp_path, monkeypatch):
    fast = {"hidden_channels": 4, "num_layers": 2, "epochs": 2}
    bench = dataclasses.replace(heterophily.HETEROPHILY, settings=lambda dataset, model: dict(fast))
    monkeypatch.setattr(heterophily, "HETEROPHILY", bench)
    search = dataclasses.replace(heterophily_tuning.SEARCH, benchmark=bench)
    monkeypatch.setattr(heterophily_tuning, "SEARCH", search)
    out = tmp_path / "results.json"

    def run(*arguments):
        return runner.invoke(app, ["bench", "heterophily", "--out", str(out), *arguments])

    return run, out


def test_table_and_file(bench):
    run, out = bench
    arguments = ["--datasets", "texas", "cornell", "--models", "mlp", "gcn", "--splits", "2"]
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    groups = json.loads(out.read_text())
    assert [(g["dataset"], g["model"], len(g["results"])) for g in groups] == [
        ("cornell", "gcn", 2),
        ("cornell", "mlp", 2),
        ("texas", "gcn", 2),
        ("texas", "mlp", 2),
    ]
    assert "80.81 ± 4.75" in done.output
    before = out.read_text()
    assert run(*arguments).exit_code == 0
    assert out.read_text() == before
    done = run("--datasets", "texas", "--models", "mlp", "--splits", "1", "--seeds", "2")
    assert done.exit_code == 0
    assert "cornell" not in done.output
    assert len(json.loads(out.read_text())[3]["results"]) == 3


def test_tuning(bench):
    run, out = bench
    done = run("--datasets", "texas", "--models", "mlp", "--tune", "1")
    assert done.exit_code == 0, done.output
    assert "texas, mlp: validation" in done.output
    (group,) = json.loads(out.read_text())
    assert group["results"][0]["options"]["epochs"] == 2


@pytest.mark.usefixtures("bench")
def test_tuning_spares_finished_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["bench", "heterophily", "--datasets", "texas", "--models", "mlp"]
    for more in (["--splits", "1"], ["--tune", "1"], ["--splits", "1"]):
        done = runner.invoke(app, [*few, *more])
        assert done.exit_code == 0, done.output
    assert {p.name for p in tmp_path.glob("*.json")} == {
        "heterophily.json", "heterophily_tuning.json"
    }  # fmt: skip
    refused = runner.invoke(app, [*few, "--tune", "1", "--out", "heterophily.json"])
    assert refused.exit_code == 2
    assert "heterophily.json holds runs, these are trials of --tune" in refused.output


def test_files_that_cannot_be_written_are_refused_before_training(bench, monkeypatch):
    run, out = bench

    def full(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    done = run("--datasets", "texas", "--models", "mlp", "--splits", "1")
    assert done.exit_code == 2
    assert "cannot be written: No space left on device" in " ".join(done.output.split())
    assert not out.exists()


def test_names_are_whole_in_a_narrow_terminal():
    found = {
        ("chameleon_filtered", model): Summary(1, 2, 3, 4, 5.0)
        for model in ("identity-nsd", "identity-nsd-sum")
    }
    console = Console(width=80, file=io.StringIO())
    console.print(results_table(found, dict.fromkeys(found, (80.81, 4.75))))
    for pair in found:
        assert all(name in console.file.getvalue() for name in pair)
    assert "…" not in console.file.getvalue()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--threads", "3000000000"], "threads must be a whole number from 1 to 1024"),
        (["--datasets", "texa"], "did you mean texas?"),
        (["--models", "gcnn"], "did you mean gcn"),
        (["--splits", "0"], "splits must be a whole number >= 1, got 0"),
        (["--datasets", "texas", "--splits", "11"], "splits 0 to 9, got 10"),
        (["--datasets", "--splits", "1"], "'--datasets' requires an argument"),
        (["--datasets", "texas", "--models"], "'--models' requires an argument"),
        (["--out", "/nowhere/results.json"], "names a file in a folder that exists"),
    ],
)
def test_mistakes_end_with_one_line(bench, arguments, problem):
    run, _ = bench
    done = run("--models", "mlp", *arguments) if "--models" not in arguments else run(*arguments)
    assert done.exit_code == 2
    assert problem in done.output
    assert "Traceback" not in done.output
