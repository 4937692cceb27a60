"""Files from the network or a mirror: checked, complete or absent, fetched anew if damaged."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import os
import re
import time
import urllib.request
import zipfile
import zlib
from pathlib import Path

from topodiff.complexes.files import replacing
from topodiff.molecules.cache import folder

TRIES = 3
TIMEOUT = 60  # seconds without a byte
BLOCK = 2**18
REMEDY = "delete it, and its .sha256 if there is one, and it is fetched again"


class DownloadError(OSError):
    """A file that could not be had; the message says from where, why and what to do."""


def mirror() -> Path | None:
    """The folder named by ``TOPODIFF_MIRROR``, which holds data sets in the library's own form.

    Raises:
        DownloadError: there is no such folder.
    """
    path = os.environ.get("TOPODIFF_MIRROR")
    if path and not Path(path).is_dir():
        raise DownloadError(
            f"TOPODIFF_MIRROR names {path}, which is no folder: correct or unset it"
        )
    return Path(path) if path else None


def from_mirror(name: str, sha256: str | None = None) -> Path | None:
    """The file of that name in the mirror, or None if there is no mirror or not this file.

    Raises:
        DownloadError: if its checksum is not ``sha256``, or the mirror is no folder.
    """
    root = mirror()
    if root is None or not (root / name).is_file():
        return None
    if sha256 is not None and (found := checksum(root / name)) != sha256:
        raise DownloadError(
            f"{root / name} is damaged (sha256 is {found}, expected {sha256}): replace it, or "
            "unset TOPODIFF_MIRROR"
        )
    return root / name


def fetch(url: str, name: str, sha256: str | None = None, *, progress: bool = False) -> Path:
    """The cached copy of ``url``, downloaded if there is none or it is damaged.

    With ``sha256`` None the checksum is that of the first file, downloaded or put there by hand,
    kept in NAME.sha256 beside it ("trust on first use"): later damage is found, a wrong first file
    only if it is empty, a web page or an archive that cannot be read.

    Args:
        url: where the file is.
        name: path of the file below ``datasets`` in the cache folder.
        sha256: expected checksum, in hexadecimal.
        progress: show a progress bar.

    Raises:
        DownloadError: after three tries, if what is there has another checksum, or if the cache
            cannot be read or written.
    """
    path = folder() / "datasets" / name
    note = path.with_name(f"{path.name}.sha256")
    try:
        expected = sha256.lower() if sha256 else _read_note(note)
        if path.is_file() and expected in (None, checksum(path)):
            if sha256 is None and (
                problem := problem_of(path, path.suffix, thorough=expected is None)
            ):
                raise DownloadError(f"{path} is {problem}: {REMEDY}")
            if expected is None:
                note.write_text(f"{checksum(path)}\n")
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"cannot use the cached copy of {url}: {error}") from None
    found = _try_to_download(url, path, expected, progress)
    if sha256 is None:
        note.write_text(f"{found}\n")
    return path


def _read_note(note: Path) -> str | None:
    """The checksum in a note; None where there is none or only a part of one."""
    text = note.read_bytes().strip().decode("ascii", "replace") if note.is_file() else ""
    return text if re.fullmatch("[0-9a-f]{64}", text) else None


def _try_to_download(url: str, path: Path, expected: str | None, progress: bool) -> str:
    problem = ""
    for attempt in range(TRIES):
        time.sleep(attempt)
        try:
            return _download(url, path, expected, progress)
        except (OSError, http.client.HTTPException) as error:  # also of a reply that breaks off
            problem = " ".join(str(error).split()) or type(error).__name__
    note = path.with_name(f"{path.name}.sha256")
    also = f" (and delete {note.name} beside it)" if note.is_file() else ""
    raise DownloadError(
        f"cannot get {url}: {problem}. Put the file at {path} yourself{also}, or name a folder "
        "that holds the data sets in TOPODIFF_MIRROR"
    )


def problem_of(path: Path, suffix: str, *, thorough: bool) -> str | None:
    """Why a file of which no checksum is known cannot be a data set; None if it may be one.

    ``suffix``, of the name that it has or is to have, says what it should be.
    ``thorough`` also reads archives to their end.
    """
    with path.open("rb") as file:
        start = file.read(512).lstrip().lower()
    if not start:
        return "empty"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not a data set"
    try:
        if suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                if thorough and archive.testzip() is not None:
                    return "a damaged archive"
        if suffix == ".gz":
            with gzip.open(path) as stream:
                while stream.read(BLOCK) and thorough:
                    pass
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError):
        return "a damaged archive"
    return None


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()


def _download(url: str, path: Path, expected: str | None, progress: bool) -> str:
    """Replace ``path`` by what arrives, if it is sound; returns the checksum."""
    with replacing(path) as temporary:
        with temporary.open("wb") as file, urllib.request.urlopen(url, timeout=TIMEOUT) as reply:
            length = reply.headers.get("Content-Length") or ""
            size = int(length) if length.isdecimal() else 0
            received = _copy(reply, file, size, progress, path.name)
        if size and received != size:
            raise OSError(f"{received} of {size} bytes arrived")
        found = checksum(temporary)
        if expected and found != expected:
            raise OSError(f"the sha256 of what is there is {found}, expected {expected}")
        if not expected and (problem := problem_of(temporary, path.suffix, thorough=True)):
            raise OSError(f"what is there is {problem}")
    return found


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
