"""ZINC-12k by examples/zinc_cin.py, with its result kept in benchmarks/results/zinc.json.

    python benchmarks/zinc.py --hidden 48 --layers 2 --out build/zinc-small

All arguments are the example's. A stopped run goes on when the command is given again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from machine import describe_run, read_results

from topodiff.training.files import write_json

HERE = Path(__file__).parent


def main() -> None:
    """Run the example, then add its result to those of other sizes and seeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--out", type=Path, required=True, help="where checkpoints go")
    options, arguments = parser.parse_known_args()
    results = HERE / "results" / "zinc.json"
    others = read_results(results, [])
    example = [sys.executable, HERE.parent / "examples" / "zinc_cin.py", "--out", options.out]
    if subprocess.run([*example, *arguments]).returncode:
        sys.exit("the example failed, see above: nothing was added")
    record = json.loads((options.out / "result.json").read_text())
    same = (record["model"], record["config"])
    others = [r for r in others if (r["model"], r["config"]) != same]
    write_json(results, [*others, {**record, "run": describe_run()}])


if __name__ == "__main__":
    main()
