"""``topodiff info``: what a report of a problem should say."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch
from rich.console import Console
from rich.table import Table

import topodiff
from topodiff import kernels
from topodiff.molecules import cache

PACKAGES = ("torch", "numpy", "scipy", "rdkit", "gudhi", "networkx", "torchmetrics", "matplotlib")
KERNELS = ("reference", "cpu", "triton", "torch_scatter")


def info_command() -> None:
    """Print a table of versions, kernels and folders."""
    table = Table(show_header=False)
    table.add_column("what", no_wrap=True)
    table.add_column("value", overflow="fold")  # no part of a path is left out
    for name, value in facts():
        table.add_row(name, value)
    Console().print(table)


def facts() -> list[tuple[str, str]]:
    """(what, value), in order."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    found = [
        ("topodiff", topodiff.__version__),
        ("Python", f"{platform.python_version()} on {platform.platform()}"),
        *((name, _version(name)) for name in PACKAGES),
        ("kernels in use", kernels.active()),
    ]
    for name in KERNELS:
        reason = kernels.why_unavailable(name)
        found.append((f"kernels {name}", "available" if reason is None else f"no: {reason}"))
    return [
        *found,
        ("instruction set", _instruction_set()),
        ("threads", str(torch.get_num_threads())),
        ("CUDA device", device),
        ("cache", str(cache.folder())),
        ("data mirror", os.environ.get("TOPODIFF_MIRROR") or "none (TOPODIFF_MIRROR)"),
    ]


def _instruction_set() -> str:
    if kernels.why_unavailable("cpu") is not None:
        return "none: no compiled kernels"
    from topodiff.kernels import cpu

    return str(cpu.instruction_set())


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
