"""Text files of molecules: opening them, and what a reader of any format hands on."""

from __future__ import annotations

import difflib
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

SHOWN = 200  # characters of a row in the report of its failure
NOT_UTF8 = "bytes that are not UTF-8 (save the file as UTF-8)"


class Record(NamedTuple):
    """One row: where it starts, its fields, what is wrong with it (None: nothing), and the first
    characters of its text, one more than are shown."""

    line: int
    fields: list[str]
    problem: str | None
    text: str


_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # how .xlsx, .zip and .xls files begin


class TableError(ValueError):
    """A file that cannot be used as a whole; the message names the file and the line or column."""


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Text of a plain or gzipped UTF-8 file; bytes that are not UTF-8 become lone surrogates.

    Raises:
        TableError: if the file is missing, empty, of another encoding or kind, or damaged.
    """
    if not path.is_file():
        raise TableError(f"{path}: {'a folder, no file' if path.is_dir() else 'no such file'}")
    with path.open("rb") as raw:
        start = raw.peek(4)
        stream: IO[bytes] = raw
        if start[:2] == b"\x1f\x8b":
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw))
        try:
            start = stream.peek(4)[:4]  # type: ignore[attr-defined]
            if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise TableError(f"{path}: line 1 is UTF-16; save the file as UTF-8")
            if start in _WORKBOOKS:
                raise TableError(
                    f"{path}: an Excel workbook or zip archive; save the table as CSV in UTF-8"
                )
            if not start:
                raise TableError(f"{path}: the file is empty")
            yield io.TextIOWrapper(
                stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
            )
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TableError(f"{path}: damaged gzip file ({error})") from None


class Source(NamedTuple):
    """Rows of a file before chemistry, with one SMILES each (empty where the row has a problem)."""

    columns: list[str]
    records: list[Record]
    smiles: list[str]
    smiles_column: str | None


def is_utf8(text: str) -> bool:
    """Whether all of a text read by :func:`open_text` was UTF-8."""
    return text.isascii() or not any("\udc80" <= c <= "\udcff" for c in text)


def position(columns: list[str], name: str, where: object) -> int:
    """Place of the only column of that name; TableError lists the columns there are."""
    if (count := columns.count(name)) != 1:
        problem = "there is no column" if count == 0 else f"{count} columns are named"
        near = difflib.get_close_matches(name, columns, n=3) if count == 0 else []
        hint = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise TableError(f"{where}: {problem} {name!r}{hint}; the columns are {columns}")
    return columns.index(name)
