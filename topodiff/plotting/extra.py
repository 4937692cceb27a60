"""Matplotlib, which is imported when something is drawn; pyplot and its global state never are."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Any

from topodiff.complexes.interop.optional import optional_import


def available() -> bool:
    """Whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def matplotlib(module: str) -> ModuleType:
    """``matplotlib.<module>``.

    Raises:
        ImportError: naming the extra that installs it.
    """
    return optional_import(f"matplotlib.{module}", "plot")


def new_figure(width: float, height: float) -> Any:
    """An empty figure of this size in inches."""
    return matplotlib("figure").Figure(figsize=(width, height), layout="constrained")
