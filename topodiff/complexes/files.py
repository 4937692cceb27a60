"""Files that are whole or absent: written beside, flushed to disk, renamed."""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STALE = 3600  # seconds after which a temporary file is that of a killed process


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path in the same folder, to be written to. Without an error it takes the place
    of ``path``, or of what that links to, at the end: whoever reads meanwhile sees the old file or
    the new one. What killed processes left of earlier tries goes away.
    """
    path = Path(path).resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    _remove_stale(path)
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    for found in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):  # another process may remove it, too
            if time.time() - found.stat().st_mtime > STALE:
                found.unlink()
