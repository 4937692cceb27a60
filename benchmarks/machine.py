"""What a measurement ran on, and what was measured before, for the files in benchmarks/results."""

import json
import sys
from pathlib import Path
from typing import Any

from topodiff.training.machine import describe_run

__all__ = ["describe_run", "read_results"]


def read_results(path: Path, otherwise: Any) -> Any:
    """What the file holds, ``otherwise`` where there is none; one that is damaged ends the run."""
    if not path.is_file():
        return otherwise
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        sys.exit(f"{path} is damaged ({error}): restore or remove it")
