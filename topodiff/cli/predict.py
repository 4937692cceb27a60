"""``topodiff predict``: the rows of a table with predictions beside them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from rich.console import Console

from topodiff.cli.tables import check_file, interleave, prediction_columns, write_csv
from topodiff.molecules import MoleculeTable, read_table
from topodiff.molecules.table import column_names
from topodiff.training import Ensemble, predict_molecules
from topodiff.training.molecules import reading_settings

FAILURE = "failure"


def predict_command(
    folder: Path,
    table_path: Path,
    out: Path,
    smiles_column: str | None,
    device: str,
    strict: bool,
    num_workers: int,
) -> None:
    """Write the rows of ``table_path``, in order, with predictions or the reason for none."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    check_file(out)
    if out.exists() and out.samefile(table_path):
        raise ValueError(f"--out is the table itself ({out}): give another name")
    ensemble = Ensemble.load(folder, device)
    _kept(column_names(table_path), ensemble.targets.names)
    table = read_table(
        table_path,
        smiles_column,
        strict=strict,
        num_workers=num_workers,
        **reading_settings(ensemble),
    )
    write_predictions(out, table, ensemble, num_workers)
    console = Console()
    console.print(table.summary(), markup=False, highlight=False)
    console.print(f"predictions are in {out}", markup=False, highlight=False)


def write_predictions(
    out: Path, table: MoleculeTable, ensemble: Ensemble, num_workers: int
) -> None:
    """All rows of the table; ``failure`` is empty where there is a prediction."""
    new = [*prediction_columns(ensemble.targets.names), FAILURE]
    kept = _kept(table.columns, ensemble.targets.names)
    prediction = predict_molecules(ensemble, table, num_workers)
    values = dict(zip(table.row_numbers, interleave(prediction, ensemble.targets), strict=True))
    reasons = {f.row: f.reason for f in table.failures}
    empty = [""] * (len(new) - 1)
    rows = [
        [*_fit(cells, kept), *values.get(row, empty), reasons.get(row, "")]
        for row, cells in enumerate(table.rows)
    ]
    write_csv(out, [*_fit(table.columns, kept), *new], rows)


def _kept(columns: Sequence[str], targets: Sequence[str]) -> list[int]:
    """Places of all columns but the failures of another model, beside its predictions; ValueError
    where one has the name of a new one."""
    new = [*prediction_columns(targets), FAILURE]
    kept = [
        place
        for place, (before, name) in enumerate(pairwise(["", *columns]))
        if not (name == FAILURE and before.endswith("_std"))
    ]
    if taken := [columns[place] for place in kept if columns[place] in new]:
        raise ValueError(f"the table has a column {taken[0]!r} already: rename it")
    return kept


def _fit(cells: Sequence[str], kept: Sequence[int]) -> list[str]:
    """The cells that are kept; a failed row may have too few or too many."""
    return [cells[place] if place < len(cells) else "" for place in kept]
