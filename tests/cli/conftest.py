import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from commands import FAST, SMILES, run, write


@pytest.fixture(autouse=True)
def small_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPODIFF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def table(tmp_path):
    parts = ["train"] * 44 + ["val"] * 8 + ["test"] * 8
    rows = [
        [f"m{i}", s, len(s) + s.count("O"), int("O" in s) if i % 5 else "", 7, parts[i]]
        for i, s in enumerate(SMILES)
    ]
    rows.insert(10, ["bad", "c1ccccc", 3, 0, 7, "train"])
    return write(
        tmp_path / "molecules.csv", ["id", "SMILES", "size", "oxygen", "same", "part"], rows
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of two targets, one of them with missing values."""
    folder = tmp_path_factory.mktemp("trained")
    rows = [[s, len(s), int("O" in s) if i % 5 else ""] for i, s in enumerate(SMILES)]
    path = write(folder / "table.csv", ["smiles", "size", "oxygen"], rows)
    done = run("train", path, "--out", folder / "out", "--target-columns", "size",
               "oxygen", *FAST)  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder / "out"
