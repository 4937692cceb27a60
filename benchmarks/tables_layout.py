"""What all tables of benchmarks share."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import read_results

RESULTS = Path(__file__).parent / "results"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first stand to the right."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def mean_and_std(values: Sequence[float]) -> str:
    """``0.512 +- 0.010 (5)``: mean, standard deviation (ddof 1) and number of runs."""
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread} ({len(values)})"


def command(run: dict[str, Any]) -> str:
    """What was run, and on what."""
    return f"`{run['command']}` on {run['processor']}, {run['instruction_set']}."


def read(name: str) -> Any:
    """The results of that name, or None."""
    return read_results(RESULTS / f"{name}.json", None)
