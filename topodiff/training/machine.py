"""What a measurement ran on, for files of results."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from topodiff import kernels


def describe_run() -> dict[str, Any]:
    """Commit, command, threads, versions and processor."""
    return {
        "commit": _commit(),
        "command": _command(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "instruction_set": kernels.instruction_set(),
        "processor": _processor(),
        "python": platform.python_version(),
    }


def describe_device(device: torch.device) -> str:
    """``cpu``, or ``cuda:0 (NVIDIA H200)``."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def _command() -> str:
    program = Path(sys.argv[0])
    ours = program.name in ("topodiff", "__main__.py")
    start = ["topodiff"] if ours else ["python", sys.argv[0]]
    return shlex.join([*start, *sys.argv[1:]])


def _commit() -> str:
    root = Path(__file__).resolve().parents[2]
    top = _git("rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != root:
        return "unknown"  # installed, perhaps into a folder of somebody else's repository
    return _git("describe", "--always", "--dirty", "--abbrev=12") or "unknown"


def _git(*arguments: str) -> str:
    folder = Path(__file__).parent
    try:
        run = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, cwd=folder, check=False
        )
    except OSError:  # there is no git
        return ""
    return run.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
