"""The Python of the README runs."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_there_are_snippets():
    assert len(SNIPPETS) == 3


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files that are named in the README, in the current folder."""
    rows = [f"{'C' * n}{end},{n}" for n in range(1, 9) for end in ("O", "N", "Cl")]
    (tmp_path / "molecules.csv").write_text("\n".join(["smiles,logS", *rows]))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("code", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippet_runs(code):
    exec(compile(code, str(README), "exec"), {})
