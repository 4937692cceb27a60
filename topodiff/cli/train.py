"""``topodiff train``: read, split, train, evaluate, write the folder."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from rich.text import Text

from topodiff import plotting
from topodiff.cli.progress import training_progress
from topodiff.cli.tables import MAX_THREADS, interleave, prediction_columns, write_csv
from topodiff.complexes.integers import whole_number
from topodiff.molecules import MoleculeTable, column_split, random_split, read_table, scaffold_split
from topodiff.molecules.splits import Split
from topodiff.training import (
    Ensemble,
    Samples,
    TrainConfig,
    check_trainable,
    molecule_samples,
    train_molecules,
)
from topodiff.training.config import check_names
from topodiff.training.ensemble import FILE
from topodiff.training.files import check_writable, locked, write_json, write_picture
from topodiff.training.fit import Fitted
from topodiff.training.inference import device_of, usable_device
from topodiff.training.machine import describe_device
from topodiff.training.targets import REGRESSION

CONFIG = "config.json"
SPLITS = ("random", "scaffold", "given")
RESULTS = ("metrics.json", "test_predictions.csv", "failures.csv", "parity.png", FILE)


@dataclass(frozen=True)
class Settings:
    """What is asked of a run; saved as config.json."""

    table: str
    smiles_column: str | None
    target_columns: list[str]
    split: str
    split_column: str | None
    strict: bool
    max_ring_size: int
    threads: int
    device: str
    training: TrainConfig

    def __post_init__(self) -> None:
        check_names([self.split], SPLITS, "split")
        if (self.split == "given") != (self.split_column is not None):
            raise ValueError("a split column belongs to --split given, and --split given needs one")
        whole_number("threads", self.threads, 1, MAX_THREADS)
        usable_device(self.device)
        if len(set(self.target_columns)) < len(self.target_columns):
            raise ValueError(f"a target column is given twice: {', '.join(self.target_columns)}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)


def train_command(
    settings: Settings, out: Path, *, resume: bool, overwrite: bool, num_workers: int
) -> None:
    """Do what ``settings`` say and write everything into ``out``, which is left alone until the
    table, the split and the targets are known to be usable."""
    console = Console()
    torch.set_num_threads(settings.threads)
    _check_folder(out, settings, resume, overwrite)
    table = read_table(
        settings.table,
        settings.smiles_column,
        settings.target_columns,
        strict=settings.strict,
        max_ring_size=settings.max_ring_size,
        num_workers=num_workers,
    )
    console.print(table.summary(), markup=False, highlight=False)
    split = _split(table, settings)
    config = settings.training
    targets = check_trainable(table, split, config)
    samples = molecule_samples(table, config.descriptors, num_workers)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        if not (resume and (out / CONFIG).exists()):
            _claim(out, settings, table)
        try:
            with training_progress(config, console) as on_epoch:
                ensemble, fitted = train_molecules(
                    table,
                    split,
                    config,
                    samples=samples,
                    targets=targets,
                    folder=out,
                    resume=resume,
                    on_epoch=on_epoch,
                    device=settings.device,
                )
        except KeyboardInterrupt:
            said = f"stopped: the same command with --resume goes on in {out}"
            console.print(said, markup=False, highlight=False)
            raise
        ensemble.save(out)
        _report(ensemble, fitted, samples, table, split, out, console)


def _check_folder(out: Path, settings: Settings, resume: bool, overwrite: bool) -> None:
    """Say why ``out`` cannot be used, if it cannot."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; --out names a folder")
    check_writable(out)
    if out.is_dir():
        with locked(out):  # better said now than after the table is read
            pass
    if out.is_dir() and any(not _is_left_over(path) for path in out.iterdir()):
        if resume:
            _check_resumable(out, settings)
        elif not overwrite:
            raise ValueError(f"{out} is not empty: give --resume, --overwrite or another --out")
        table = Path(settings.table).resolve()
        if not resume and {table, *table.parents} & {path.resolve() for path in _own(out)}:
            raise ValueError(f"--overwrite would delete the table itself ({table}): move it")


def _is_left_over(path: Path) -> bool:
    """Of a run that was killed while it wrote its first file."""
    return path.name.startswith(".") and path.name.endswith(".tmp")


def _own(out: Path) -> list[Path]:
    """What a run writes into its folder."""
    members = [p for p in out.glob("member_*") if re.fullmatch(r"member_\d+", p.name)]
    return [*(out / name for name in (CONFIG, *RESULTS)), *(p for p in members if p.is_dir())]


def _claim(out: Path, settings: Settings, table: MoleculeTable) -> None:
    """Empty ``out`` of what an earlier run left there; write what is known before training."""
    for path in _own(out):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    write_json(out / CONFIG, settings.to_dict())
    _write_failures(out / "failures.csv", table)


def _check_resumable(out: Path, settings: Settings) -> None:
    if not (out / CONFIG).is_file():
        raise ValueError(f"{out} holds no run to resume ({CONFIG} is missing)")
    try:
        before = json.loads((out / CONFIG).read_text())
    except ValueError as error:
        raise ValueError(f"{out / CONFIG} is damaged ({error}): give --overwrite") from None
    wanted = json.loads(json.dumps(settings.to_dict()))
    if isinstance(before, dict):
        before["table"] = wanted["table"]  # of which the checkpoints know the content
    changes = [
        f"{name} was {old} and is {new}"
        for name, (old, new) in sorted(_differences(before, wanted).items())
    ]
    if changes:
        raise ValueError(f"the run in {out} had other settings: {'; '.join(changes)}")


def _differences(before: Any, now: Any, name: str = "") -> dict[str, tuple[Any, Any]]:
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return {} if before == now else {name: (before, now)}
    found: dict[str, tuple[Any, Any]] = {}
    for key in {*before, *now}:
        found |= _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    return found


def _split(table: MoleculeTable, settings: Settings) -> Split:
    if settings.split == "given":
        lines = [table.lines[row] for row in table.row_numbers]
        return column_split(table.column(str(settings.split_column)), lines)
    if settings.split == "scaffold":
        return scaffold_split(table.smiles)
    return random_split(len(table), seed=settings.training.fit.seed)


def _write_failures(path: Path, table: MoleculeTable) -> None:
    rows = [(f.line, f.reason, f.content) for f in table.failures]
    write_csv(path, ("line", "reason", "content"), rows)


def _report(
    ensemble: Ensemble,
    fitted: list[Fitted],
    samples: Samples,
    table: MoleculeTable,
    split: Split,
    out: Path,
    console: Console,
) -> None:
    metrics: dict[str, Any] = {
        "molecules": {"train": len(split.train), "val": len(split.val), "test": len(split.test)},
        "failed_rows": len(table.failures),
        "device": describe_device(device_of(ensemble.members[0])),
        "members": [
            {"best_epoch": f.best_epoch, "epochs": len(f.history), f.metric: f.score,
             "status": f.status}
            for f in fitted
        ],
        "val": ensemble.evaluate(samples.select(split.val)),
    }  # fmt: skip
    tested = samples.select(split.test)
    if split.test:
        metrics["test"] = ensemble.evaluate(tested)
    write_json(out / "metrics.json", metrics)
    _write_failures(out / "failures.csv", table)  # of a resumed run, they may be others than before
    if split.test:
        _write_test_predictions(ensemble, tested, table, split.test, out)
    console.print(_metrics_table(metrics))
    console.print(f"model and results are in {out}", markup=False, highlight=False)


def _write_test_predictions(
    ensemble: Ensemble, samples: Samples, table: MoleculeTable, test: list[int], out: Path
) -> None:
    prediction = ensemble.predict(samples)
    measured = torch.full_like(prediction.mean, math.nan) if samples.y is None else samples.y
    names = ensemble.targets.names
    given = [table.column(name) for name in names]
    rows = [
        [table.lines[table.row_numbers[i]], table.smiles[i], *(c[i] for c in given), *values]
        for i, values in zip(test, interleave(prediction, ensemble.targets), strict=True)
    ]
    header = ["line", "smiles", *names, *prediction_columns(names)]
    write_csv(out / "test_predictions.csv", header, rows)
    drawn = [t for t, task in enumerate(ensemble.targets.tasks) if task == REGRESSION]
    drawn = [t for t in drawn if measured[:, t].isfinite().any()]
    if not drawn or not plotting.available():
        return
    try:
        figure = plotting.parity_plot(
            [names[t] for t in drawn],
            prediction.mean[:, drawn],
            measured[:, drawn],
            prediction.std[:, drawn],
        )
        write_picture(out / "parity.png", figure)
    except Exception as error:  # whatever matplotlib says: the results are there without it
        warnings.warn(f"parity.png could not be drawn: {error}", stacklevel=2)


def _metrics_table(metrics: dict[str, Any]) -> Table:
    shown = Table("target", "part")
    rows: dict[tuple[str, str], dict[str, float]] = {
        (name, part): values
        for part in ("val", "test")
        for name, values in metrics.get(part, {}).get("columns", {}).items()
    }
    kinds = list(dict.fromkeys(kind for values in rows.values() for kind in values))
    for kind in kinds:
        shown.add_column(kind, justify="right")
    for (name, part), values in sorted(rows.items()):
        cells = [values.get(kind, math.nan) for kind in kinds]
        shown.add_row(Text(name), part, *("-" if math.isnan(v) else f"{v:.4g}" for v in cells))
    return shown
