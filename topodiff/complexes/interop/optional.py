"""Packages that the library works with but does not need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def optional_import(module: str, extra: str) -> ModuleType:
    """Import ``module`` now.

    Raises:
        ImportError: naming the extra that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"this needs {module} ({error}); install it with: pip install 'topodiff[{extra}]'"
        ) from error
