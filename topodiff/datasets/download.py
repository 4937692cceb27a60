"""Files from the network or a mirror: checked, complete or absent, fetched anew if damaged."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from topodiff.molecules.cache import folder

TRIES = 3
TIMEOUT = 60  # seconds without a byte
BLOCK = 2**18


class DownloadError(OSError):
    """A file that could not be had; the message says from where, why and what to do."""


def mirror() -> Path | None:
    """The folder named by ``TOPODIFF_MIRROR``, which holds data sets in the library's own form."""
    path = os.environ.get("TOPODIFF_MIRROR")
    return Path(path) if path else None


def from_mirror(name: str, sha256: str | None = None) -> Path | None:
    """The file of that name in the mirror, or None if there is no mirror or not this file.

    Raises:
        DownloadError: if its checksum is not ``sha256``.
    """
    root = mirror()
    if root is None or not (root / name).is_file():
        return None
    if sha256 is not None and (found := checksum(root / name)) != sha256:
        raise DownloadError(f"{root / name} is damaged: sha256 is {found}, expected {sha256}")
    return root / name


def fetch(url: str, name: str, sha256: str | None = None, *, progress: bool = False) -> Path:
    """The cached copy of ``url``, downloaded if there is none or it is damaged.

    With ``sha256`` None the checksum is that of the first download, kept beside the file ("trust
    on first use"): later damage is found, a wrong first download is not.

    Args:
        url: where the file is.
        name: path of the file below ``datasets`` in the cache folder.
        sha256: expected checksum, in hexadecimal.
        progress: show a progress bar.

    Raises:
        DownloadError: after three tries, or if what is there has another checksum.
    """
    path = folder() / "datasets" / name
    note = path.with_name(f"{path.name}.sha256")
    expected = sha256 or (note.read_text().strip() if note.is_file() else None)
    if expected and path.is_file() and checksum(path) == expected:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    problem = ""
    for attempt in range(TRIES):
        time.sleep(attempt)
        try:
            found = _download(url, path, expected, progress)
        except (urllib.error.URLError, OSError) as error:
            problem = str(error)
            continue
        if sha256 is None:
            note.write_text(f"{found}\n")
        return path
    raise DownloadError(
        f"cannot get {url}: {problem}. Put the file at {path} yourself, or name a folder that "
        "holds the data sets in TOPODIFF_MIRROR"
    )


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()


def _download(url: str, path: Path, expected: str | None, progress: bool) -> str:
    """Write to a temporary name, check, rename; returns the checksum."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT) as reply:
            size = int(reply.headers.get("Content-Length") or 0)
            received = _copy(reply, file, size, progress, path.name)
        if size and received != size:
            raise OSError(f"{received} of {size} bytes arrived")
        found = checksum(Path(temporary))
        if expected and found != expected:
            raise OSError(f"the sha256 of what is there is {found}, expected {expected}")
        os.replace(temporary, path)
        return found
    finally:
        Path(temporary).unlink(missing_ok=True)


def _copy(reply, file, size: int, progress: bool, name: str) -> int:  # type: ignore[no-untyped-def]
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

    columns = (f"Downloading {name}", DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    received = 0
    with Progress(*columns, console=console, transient=True, disable=not progress) as bar:
        task = bar.add_task("", total=size or None)
        while block := reply.read(BLOCK):
            file.write(block)
            received += len(block)
            bar.update(task, completed=received)
    return received
