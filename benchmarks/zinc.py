"""ZINC-12k by examples/zinc_cin.py, with its result kept in benchmarks/results/zinc.json.

    python benchmarks/zinc.py --hidden 48 --layers 2 --out build/zinc-small

All arguments are the example's. A stopped run goes on when the command is given again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from machine import describe_run

from topodiff.training.files import write_json

HERE = Path(__file__).parent


def main() -> None:
    """Run the example, then add its result to those of other sizes and seeds."""
    arguments = sys.argv[1:]
    if "--out" not in arguments:
        sys.exit("say where checkpoints go: --out FOLDER")
    out = Path(arguments[arguments.index("--out") + 1])
    example = HERE.parent / "examples" / "zinc_cin.py"
    subprocess.run([sys.executable, str(example), *arguments], check=True)
    record = json.loads((out / "result.json").read_text())
    results = HERE / "results" / "zinc.json"
    others = json.loads(results.read_text()) if results.exists() else []
    same = (record["model"], record["config"])
    others = [r for r in others if (r["model"], r["config"]) != same]
    write_json(results, [*others, {**record, "run": describe_run()}])


if __name__ == "__main__":
    main()
