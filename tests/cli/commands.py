"""Commands on small tables of molecules, for tests."""

import csv

from typer.testing import CliRunner

from topodiff.cli.app import app

SMILES = [
    stem + tail
    for stem in ("C", "CC", "CCC", "c1ccccc1", "C1CCCCC1", "CC(C)", "c1ccncc1", "C1CC1")
    for tail in ("O", "N", "C", "Cl", "C(=O)O", "OC", "C#N", "CBr")
][:60]
FAST = ["--epochs", "3", "--ensemble", "2", "--hidden-channels", "8", "--num-layers", "1"]
runner = CliRunner()


def run(*arguments):
    return runner.invoke(app, [str(a) for a in arguments])


def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def train(table, out, *options, target="size"):
    return run("train", table, "--out", out, "--target-columns", target, *FAST, *options)


def one_line(result):
    """The error, which must be one line without a traceback."""
    assert result.exit_code == 2, result.output
    lines = [line for line in result.output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.output
    return errors[0]


def one_line_and_more(result):
    """An error that lists the failed rows below its first line."""
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    return result.output
