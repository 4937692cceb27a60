"""CSV and TSV files as records with line numbers; damage stays in its record."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from topodiff.molecules.files import (
    NOT_UTF8,
    SHOWN,
    Record,
    Source,
    TableError,
    is_utf8,
    open_text,
    position,
)

MAX_LINES = 4_000  # of one record; a mol block of 999 atoms has 2,500, longer quotes never close
MAX_LINE = 2**20  # characters kept of one line
DELIMITERS = ",\t;"
_QUOTED = re.compile(rf'(?<![^{DELIMITERS}])"(?:[^"]|"")*"?')


def read_records(path: Path, delimiter: str | None = None) -> Iterator[Record]:
    """Records of a delimited file, the header first; blank lines are left out, but where there is
    one column and more comes below: there they are empty cells.

    The delimiter is the one of comma, tab and semicolon of which the first line that is not blank
    has most outside quotes.
    """
    header: Record | None = None
    blank: list[Record] = []
    with open_text(path) as stream:
        lines = _Lines(stream)
        while lines.more():
            if delimiter is None and lines.peek().strip():
                unquoted = _QUOTED.sub("", lines.peek())
                delimiter = max(DELIMITERS, key=unquoted.count)
            record = _next_record(lines, delimiter or DELIMITERS[0])
            if not (record.fields or record.problem):
                blank.append(record._replace(fields=[""]))
                continue
            if header is not None and len(header.fields) == 1:
                yield from blank
            blank.clear()
            header = header or record
            yield record


class _Lines:
    """Lines of a stream that can be taken back; of a long one the first MAX_LINE characters."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream
        self.ahead: deque[str] = deque()
        self.number = 0

    def more(self) -> bool:
        if not self.ahead and (line := self.stream.readline(MAX_LINE)):
            self.ahead.append(line)
            while _is_cut(line):
                line = self.stream.readline(MAX_LINE)
        return bool(self.ahead)

    def peek(self) -> str:
        return self.ahead[0]

    def take(self) -> str:
        self.more()
        self.number += 1
        return self.ahead.popleft()

    def give_back(self, lines: list[str]) -> None:
        self.ahead.extendleft(reversed(lines))
        self.number -= len(lines)


def _is_cut(line: str) -> bool:
    return len(line) == MAX_LINE and line[-1] not in "\r\n"


def _next_record(lines: _Lines, delimiter: str) -> Record:
    taken: list[str] = []

    def feed() -> Iterator[str]:
        while len(taken) < MAX_LINES and lines.more():
            taken.append(lines.take())
            if _is_cut(taken[-1]):
                raise csv.Error(f"line of more than {MAX_LINE} characters")
            yield taken[-1]

    start = lines.number + 1
    try:
        fields = next(csv.reader(feed(), delimiter=delimiter, strict=True), [])
        problem = None
    except csv.Error as error:
        lines.give_back(taken[1:])
        quote = len(taken) > 1 or "unexpected end" in str(error)
        problem = "a quote opens and never closes" if quote else str(error)
        taken = taken[:1]
        fields = taken[0].rstrip("\r\n").split(delimiter)
    return Record(start, fields, problem, "".join(taken).rstrip("\r\n")[: SHOWN + 1])


def read_header(path: Path) -> list[str]:
    """The names of the columns; nothing below them is read."""
    return _columns(read_records(path), path)


def _columns(records: Iterator[Record], path: Path) -> list[str]:
    header = next(records, None)
    if header is None:
        raise TableError(f"{path}: the file is empty")
    problem = header.problem or (None if all(map(is_utf8, header.fields)) else NOT_UTF8)
    if problem:
        raise TableError(f"{path}: line {header.line} (the header): {problem}")
    return [name.strip() for name in header.fields]


def read_delimited(path: Path, smiles_column: str | None) -> Source:
    """All rows of a file with a header; rows of another width carry a problem."""
    stream = read_records(path)
    columns = _columns(stream, path)
    records = list(stream)
    if not records:
        raise TableError(f"{path}: there is a header (columns {columns}) and no row below it")
    place = _find_smiles(columns, smiles_column, path)
    checked = [_check_width(record, columns) for record in records]
    smiles = ["" if r.problem else r.fields[place] for r in checked]
    return Source(columns, checked, smiles, columns[place])


def _check_width(record: Record, columns: list[str]) -> Record:
    if record.problem is None and len(record.fields) != len(columns):
        found, expected = len(record.fields), len(columns)
        return record._replace(problem=f"{found} fields where the header has {expected}")
    return record


def _find_smiles(columns: list[str], name: str | None, path: Path) -> int:
    if name is not None:
        return position(columns, name, path)
    exact = [i for i, c in enumerate(columns) if c.lower() == "smiles"]
    found = exact or [i for i, c in enumerate(columns) if "smiles" in c.lower()]
    if len(found) != 1:
        what = "several columns" if found else "no column"
        raise TableError(
            f"{path}: {what} with 'smiles' in the name; give smiles_column, one of {columns}"
        )
    return found[0]
