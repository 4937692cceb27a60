"""What a measurement ran on, for the files in benchmarks/results."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from pathlib import Path

import torch

from topodiff import kernels


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return run.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def describe_run() -> dict:
    return {
        "commit": _commit(),
        "command": shlex.join(["python", *sys.argv]),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "instruction_set": kernels.instruction_set(),
        "processor": _processor(),
        "python": platform.python_version(),
    }
