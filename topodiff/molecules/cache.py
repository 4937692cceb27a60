"""Lifted molecules on disk, keyed by content, settings and versions.

Two files per entry, the complex and the failures, and each carries a checksum. Both appear under
their names complete or not at all; a damaged or half-written entry is built anew. The folder is
``TOPODIFF_CACHE`` or ~/.cache/topodiff, for a user without a home one for temporary files; it may
be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import rdkit

from topodiff.complexes import CellComplex
from topodiff.complexes.files import replacing
from topodiff.molecules.features import VERSION
from topodiff.molecules.settings import LiftSettings

WORTH_KEEPING = 256  # molecules; fewer are lifted faster than looked up

Failures = list[tuple[int, str]]


def folder() -> Path:
    """The cache folder (it need not exist)."""
    if chosen := os.environ.get("TOPODIFF_CACHE"):
        return Path(chosen)
    try:
        return Path.home() / ".cache" / "topodiff"
    except RuntimeError:
        place = Path(tempfile.gettempdir()) / "topodiff"
        warnings.warn(f"no home folder: the cache is {place}; set TOPODIFF_CACHE", stacklevel=2)
        return place


def key_of(smiles: Sequence[str], settings: LiftSettings) -> str:
    """Digest of everything on which the lifted arrays depend."""
    about = {"features": VERSION, "rdkit": rdkit.__version__, **asdict(settings)}
    text = json.dumps([about, list(smiles)], sort_keys=True)
    return _digest(text)[:40]


def read(key: str, count: int) -> tuple[CellComplex, Failures] | None:
    """The entry for ``count`` molecules, or None if there is none or it is damaged."""
    complex_path, failures_path = _paths(key)
    try:
        failures = _failures_from_text(failures_path.read_text())
        complexes = CellComplex.load(complex_path)
    except (OSError, ValueError, TypeError):
        return None
    sound = complexes.num_complexes + len(failures) == count
    return (complexes, failures) if sound else None


def write(key: str, complexes: CellComplex, failures: Failures) -> None:
    """Keep an entry; a folder that cannot be written to is a warning, not an error."""
    complex_path, failures_path = _paths(key)
    try:
        complex_path.parent.mkdir(parents=True, exist_ok=True)
        complexes.save(complex_path)
        with replacing(failures_path) as temporary:
            temporary.write_text(_failures_to_text(failures))
    except OSError as error:
        warnings.warn(f"the cache {folder()} cannot be written: {error}", stacklevel=2)


def _failures_to_text(failures: Failures) -> str:
    """A line of JSON below its digest."""
    line = json.dumps(failures)
    return f"{_digest(line)}\n{line}"


def _failures_from_text(text: str) -> Failures:
    """Inverse of :func:`_failures_to_text`; ValueError for a damaged text, which is not parsed."""
    digest, _, line = text.partition("\n")
    if digest != _digest(line):
        raise ValueError("the failures do not match their digest")
    return [(i, reason) for i, reason in json.loads(line)]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _paths(key: str) -> tuple[Path, Path]:
    base = folder() / "molecules"
    return base / f"{key}.safetensors", base / f"{key}.failures"
