"""Lifted molecules on disk, keyed by content, settings and versions.

Two files per entry: the complex, and a note with its checksum and the failures, written last. Both
appear under their names complete or not at all. What does not match its checksum is built anew.
The folder is ``TOPODIFF_CACHE`` or ~/.cache/topodiff; it may be deleted at any time.
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
from topodiff.molecules.features import VERSION
from topodiff.molecules.settings import LiftSettings

WORTH_KEEPING = 256  # molecules; fewer are lifted faster than looked up

Failures = list[tuple[int, str]]


def folder() -> Path:
    """The cache folder (it need not exist)."""
    return Path(os.environ.get("TOPODIFF_CACHE") or Path.home() / ".cache" / "topodiff")


def key_of(smiles: Sequence[str], settings: LiftSettings) -> str:
    """Digest of everything on which the lifted arrays depend."""
    about = {"features": VERSION, "rdkit": rdkit.__version__, **asdict(settings)}
    text = json.dumps([about, list(smiles)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def read(key: str) -> tuple[CellComplex, Failures] | None:
    """The entry, or None if there is none or it is damaged."""
    complex_path, note_path = _paths(key)
    try:
        note = json.loads(note_path.read_text())
        if note["checksum"] != _checksum(complex_path):
            raise ValueError("checksum")
        failures = [(int(i), str(reason)) for i, reason in note["failures"]]
        return CellComplex.load(complex_path), failures
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(key: str, complexes: CellComplex, failures: Failures) -> None:
    """Keep an entry; a folder that cannot be written to is a warning, not an error."""
    complex_path, note_path = _paths(key)
    try:
        complex_path.parent.mkdir(parents=True, exist_ok=True)
        complexes.save(complex_path)
        note = {"checksum": _checksum(complex_path), "failures": failures}
        with tempfile.NamedTemporaryFile("w", dir=note_path.parent, delete=False) as file:
            json.dump(note, file)
        os.replace(file.name, note_path)
    except OSError as error:
        warnings.warn(f"the cache {folder()} cannot be written: {error}", stacklevel=2)


def _paths(key: str) -> tuple[Path, Path]:
    base = folder() / "molecules"
    return base / f"{key}.safetensors", base / f"{key}.json"


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()
