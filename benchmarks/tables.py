"""Write the tables of README.md and docs/benchmarks.md from the files in benchmarks/results.

    python benchmarks/tables.py [--check]

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` and is made from
results/NAME.json by the function of that name in tables_accuracy.py or tables_speed.py; without
such a file it stays as it is. ``--check`` writes nothing and fails if a page is not up to date.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tables_accuracy
import tables_speed
from tables_layout import read

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
SECTION = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """``text`` with every table made anew."""

    def section(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        results = read(name)
        if results is None:
            return match.group()
        module = tables_accuracy if hasattr(tables_accuracy, name) else tables_speed
        make: Callable[[Any], str] = getattr(module, name)
        return f"{start}{make(results)}\n{end}"

    return SECTION.sub(section, text)


def main() -> None:
    """Write or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for page in PAGES:
        before = page.read_text()
        after = fill(before)
        if check and before != after:
            sys.exit(f"{page.name} is not up to date: make tables")
        if before != after:
            page.write_text(after)


if __name__ == "__main__":
    main()
