"""The Python of the README runs."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
# what needs nothing but the library
COMPLETE = [code for code in SNIPPETS if "import torch" in code or "import networkx" in code]


def test_there_are_snippets():
    assert len(COMPLETE) >= 2


@pytest.mark.parametrize("code", COMPLETE, ids=range(len(COMPLETE)))
def test_snippet_runs(code):
    exec(compile(code, str(README), "exec"), {})
