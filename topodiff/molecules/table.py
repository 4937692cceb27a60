"""Tables of molecules: what could be read as one batched complex, all else as reported failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.molecules.delimited import read_delimited, read_header
from topodiff.molecules.files import (
    NOT_UTF8,
    SHOWN,
    Record,
    Source,
    TableError,
    is_utf8,
    position,
)
from topodiff.molecules.lifting_many import lift_many
from topodiff.molecules.sdf import read_properties, read_sdf
from topodiff.molecules.settings import LiftSettings
from topodiff.molecules.target_cells import CLASSES, holds_classes, target_number


class Failure(NamedTuple):
    """A row that gave no molecule: its line in the file, how it begins there, why, and which row
    it is."""

    line: int
    content: str
    reason: str
    row: int

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}: {self.content!r}"


@dataclass
class MoleculeTable:
    """Molecules of a file. Molecule i is complex i of ``complexes`` and row ``row_numbers[i]``.

    Attributes:
        complexes: batched complex, one per good row; take parts of it with ``select``.
        y: (n, tasks) float64 targets, NaN where missing; None without target columns.
            ``complexes.y`` are the same in float32, as losses of models take them.
        smiles: (n) SMILES, as in the file (of an SDF: as RDKit writes them).
        columns, rows: header and all rows of the file, good and bad, in order, as text. Of an SDF:
            the titles of its mol blocks where there are any, its properties, SMILES.
        row_numbers: (n) numbers of the good rows.
        lines: line of the file on which each row starts.
        failures: the bad rows.
        smiles_column, target_columns: names; None for an SDF.
        settings: how the molecules were lifted.
    """

    complexes: CellComplex
    y: Tensor | None
    smiles: list[str]
    columns: list[str]
    rows: list[list[str]]
    row_numbers: list[int]
    lines: list[int]
    failures: list[Failure]
    smiles_column: str | None
    target_columns: list[str] = field(default_factory=list)
    settings: LiftSettings = field(default_factory=LiftSettings)

    def __len__(self) -> int:
        return len(self.smiles)

    def column(self, name: str) -> list[str]:
        """The cells of a column for the good rows, in the order of the molecules."""
        place = position(self.columns, name, "table")
        return [self.rows[r][place] for r in self.row_numbers]

    def summary(self, limit: int = 10) -> str:
        """How many rows were read, and the first failures, a line each."""
        total = len(self.rows)
        lines = [f"{len(self)} of {total} rows are usable, {len(self.failures)} failed"]
        lines += [f"  {failure}" for failure in self.failures[:limit]]
        if len(self.failures) > limit:
            lines.append(f"  ... and {len(self.failures) - limit} more")
        return "\n".join(lines)


def read_table(
    path: str | Path,
    smiles_column: str | None = None,
    target_columns: Sequence[str] | str | None = None,
    *,
    strict: bool = False,
    num_workers: int = 0,
    cache: bool = True,
    progress: bool | None = None,
    **settings: object,
) -> MoleculeTable:
    """Read molecules from a CSV, TSV or SDF file, also gzipped, in UTF-8.

    Args:
        path: ``.sdf`` and ``.sdf.gz`` are read as SDF, everything else as delimited text.
        smiles_column: by default the only column whose name contains "smiles".
        target_columns: columns (SDF: properties) of numbers, or of the words active/inactive,
            positive/negative, true/false and yes/no, in any case, for the classes 1 and 0; empty
            cells are missing targets.
        strict: raise if any row is bad, with the same report.
        num_workers: processes that lift; 0 lifts in this one.
        cache: keep the lifted molecules on disk, see :mod:`topodiff.molecules.cache`.
        progress: show a progress bar; by default on a terminal, for work of more than a second.
        settings: rings, max_ring_size, max_rings, features, explicit_hydrogens, as for
            ``from_smiles``.

    Raises:
        TableError: (a ValueError) if the file is empty, damaged or not UTF-8, if columns are
            missing or ambiguous, if no row is usable where there are target columns; with
            ``strict`` for any bad row.
    """
    path = Path(path)
    options = LiftSettings(**settings)  # type: ignore[arg-type]
    wanted = [target_columns] if isinstance(target_columns, str) else list(target_columns or ())
    sdf = _is_sdf(path)
    if sdf and smiles_column is not None:
        raise ValueError(f"{path}: an SDF has no SMILES column; leave out {smiles_column!r}")
    source = read_sdf(path) if sdf else read_delimited(path, smiles_column)
    table = _lift_rows(source, path, wanted, options, num_workers, cache, progress)
    _refuse(table, strict, path)
    return table


def column_names(path: str | Path) -> list[str]:
    """The columns that :func:`read_table` will find in a delimited file, the properties in an SDF;
    no molecule is read."""
    path = Path(path)
    return read_properties(path) if _is_sdf(path) else read_header(path)


def _is_sdf(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith((".sdf", ".sd"))


def table_from_smiles(
    smiles: Iterable[str],
    targets: Mapping[str, Sequence[float | str | None]] | None = None,
    *,
    strict: bool = False,
    num_workers: int = 0,
    cache: bool = True,
    progress: bool | None = None,
    **settings: object,
) -> MoleculeTable:
    """The table of molecules that are in memory already, as :func:`read_table` of a file of them.

    Args:
        smiles: one molecule each; those that are none are in ``failures``, lines count from 1.
        targets: name -> a value for each molecule: a number, a word for a class, or None, NaN or
            NA where it is missing. Also a data frame of pandas.
        strict, num_workers, cache, progress, settings: as for :func:`read_table`.

    Raises:
        TypeError: if ``smiles`` are not strings, or ``targets`` are no columns of values.
        ValueError: if a target has not as many values; otherwise as :func:`read_table`.
    """
    texts, columns = _texts(smiles), _columns({} if targets is None else targets)
    for name, cells in columns.items():
        if len(cells) != len(texts):
            raise ValueError(f"{len(texts)} SMILES and {len(cells)} values of {name!r}")
    rows = [list(row) for row in zip(texts, *columns.values(), strict=True)]
    records = [Record(i, row, None, ",".join(row)[: SHOWN + 1]) for i, row in enumerate(rows, 1)]
    source = Source(["smiles", *columns], records, texts, "smiles")
    options = LiftSettings(**settings)  # type: ignore[arg-type]
    table = _lift_rows(source, "targets", [*columns], options, num_workers, cache, progress)
    _refuse(table, strict, "table_from_smiles")
    return table


def _texts(smiles: Iterable[str]) -> list[str]:
    one = isinstance(smiles, str) or not isinstance(smiles, Iterable)
    texts = [] if one else list(smiles)
    frame = getattr(smiles, "ndim", 1) != 1  # it would give the names of its columns
    if one or frame or not all(isinstance(text, str) for text in texts):
        raise TypeError(
            "table_from_smiles takes a sequence of SMILES strings, of a data frame the column of "
            f"them; got {type(smiles).__name__}"
        )
    return texts


def _columns(targets: Any) -> dict[str, list[str]]:
    if hasattr(targets, "to_frame"):  # one column of pandas
        targets = targets.to_frame()
    if not hasattr(targets, "items"):
        kind = type(targets).__name__
        raise TypeError(f"targets are columns of values by name, {{'logS': [...]}}; got {kind}")
    return {str(name): [_cell(value) for value in values] for name, values in targets.items()}


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None or type(value).__name__ == "NAType":  # of pandas, which need not be there
        return ""
    try:
        return repr(float(value))
    except (TypeError, ValueError, RuntimeError):
        kind = type(value).__name__
        raise TypeError(f"a target is a number, a word for a class or None, got {kind}") from None


def _lift_rows(
    source: Source,
    where: object,
    wanted: list[str],
    settings: LiftSettings,
    num_workers: int,
    cache: bool,
    progress: bool | None,
) -> MoleculeTable:
    places = [position(source.columns, name, where) for name in wanted]
    sound_fields = [record.fields for record in source.records if not record.problem]
    classes = [holds_classes(fields[i] for fields in sound_fields) for i in places]
    problems: dict[int, str] = {}
    targets: dict[int, list[float]] = {}
    for row in range(len(source.records)):
        try:
            targets[row] = _targets(source, row, places, classes)
        except ValueError as error:
            problems[row] = str(error)
    sound = list(targets)
    lifted = lift_many(
        [source.smiles[row] for row in sound],
        settings,
        num_workers=num_workers,
        cache=cache,
        progress=progress,
    )
    problems |= {sound[i]: reason for i, reason in lifted.failures}
    good = [row for row in sound if row not in problems]
    y = torch.tensor([targets[row] for row in good], dtype=torch.float64) if wanted else None
    y = None if y is None else y.reshape(len(good), len(wanted))
    return MoleculeTable(
        complexes=lifted.complexes.replace(y=None if y is None else y.float()),
        y=y,
        smiles=[source.smiles[row].strip() for row in good],
        columns=source.columns,
        rows=[record.fields for record in source.records],
        row_numbers=good,
        lines=[record.line for record in source.records],
        failures=[_failure(source, row, problems[row]) for row in sorted(problems)],
        smiles_column=source.smiles_column,
        target_columns=wanted,
        settings=settings,
    )


def _targets(source: Source, row: int, places: list[int], classes: list[bool]) -> list[float]:
    """ValueError where there is something wrong with the row."""
    record = source.records[row]
    if record.problem:
        raise ValueError(record.problem)
    cells = [record.fields[i] for i in places]
    if not all(map(is_utf8, [source.smiles[row], *cells])):
        raise ValueError(NOT_UTF8)
    names = (source.columns[i] for i in places)
    return [target_number(*cell) for cell in zip(cells, names, classes, strict=True)]


def _failure(source: Source, row: int, reason: str) -> Failure:
    record = source.records[row]
    content = record.text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    content = content if len(content) <= SHOWN else f"{content[:SHOWN]}..."
    return Failure(record.line, content, reason, row)


def _refuse(table: MoleculeTable, strict: bool, where: object) -> None:
    """TableError for any bad row where ``strict``, and for targets of which none can be used."""
    if strict and table.failures:
        raise TableError(f"{where}: {table.summary()}")
    if len(table) or not (table.target_columns and table.failures):
        return
    kinds = Counter(failure.reason.partition(":")[0] for failure in table.failures)
    kind, count = kinds.most_common(1)[0]
    hint = f"; classes are 0 and 1, or {'/'.join(CLASSES)}" if kind.startswith("target") else ""
    raise TableError(
        f"{where}: no row is usable, {count} of {len(table.rows)} as {kind}{hint}\n"
        + table.summary()
    )
