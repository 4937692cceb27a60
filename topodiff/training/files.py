"""Files of bytes, text and JSON, which are whole or absent; locks of folders."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from topodiff.complexes.files import replacing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def write_bytes(path: str | Path, content: bytes) -> None:
    """Replace ``path`` by ``content``; see :func:`topodiff.complexes.files.replacing`."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # a full disk names no file


def write_text(path: str | Path, text: str) -> None:
    """:func:`write_bytes` of ``text`` in UTF-8."""
    write_bytes(path, text.encode())


def write_picture(path: str | Path, figure: Any) -> None:
    """:func:`write_bytes` of a figure of matplotlib as PNG."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    write_bytes(path, picture.getvalue())


def write_json(path: str | Path, content: Any) -> None:
    """:func:`write_bytes` of indented JSON; NaN and infinity are not JSON and become null."""
    text = json.dumps(_json_numbers(content), indent=2, allow_nan=False)
    write_text(path, text + "\n")


def _json_numbers(content: Any) -> Any:
    if isinstance(content, dict):
        return {k: _json_numbers(v) for k, v in content.items()}
    if isinstance(content, list | tuple):
        return [_json_numbers(v) for v in content]
    if isinstance(content, float) and content - content != 0:
        return None
    return content


def check_writable(path: str | Path) -> None:
    """ValueError where nothing can be written at ``path``, a file or folder that need not exist."""
    path = Path(path)
    nearest = next(p for p in (path, *path.absolute().parents) if p.is_dir())
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror} in {nearest}") from None


@contextmanager
def locked(folder: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Only one process at a time is inside, for this folder, which must exist.

    The lock is on the folder, as files in it are replaced, and goes with the process. There is none
    where the system or the file system has no locks.

    Raises:
        ValueError: another process is inside, unless ``wait``.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ValueError(
                f"another process writes into {folder}: wait for its end, or name another folder"
            ) from None
        except OSError:
            pass
        yield
    finally:
        with suppress(OSError):  # forked children hold the handle, too
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
