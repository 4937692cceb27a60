"""Files that commands write: CSV of predictions, written atomically."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from topodiff.training import Prediction
from topodiff.training.files import check_writable, write_bytes
from topodiff.training.targets import Targets

MAX_THREADS = 1024  # torch starts as many as it is told to


def check_file(out: Path) -> None:
    """ValueError where a file ``out`` cannot be written; costs nothing."""
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ValueError(f"{out} cannot be written: --out names a file in a folder that exists")
    if out.exists() and not out.is_file():
        raise ValueError(f"{out} is no file: results are written to one, then it is renamed")
    check_writable(out.resolve())


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, with tabs where its name ends in .tsv, gzipped where it ends in .gz; bytes
    of the input that were not UTF-8 come out as they were."""
    name = path.name.lower()
    delimiter = "\t" if name.removesuffix(".gz").endswith(".tsv") else ","
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    content = text.getvalue().encode("utf-8", "surrogateescape")
    write_bytes(path, gzip.compress(content) if name.endswith(".gz") else content)


def number(value: float, scale: float) -> str:
    """Six significant digits, or more of what is large beside the ``scale`` on which values of its
    kind differ; an empty cell for what is not a number."""
    if not math.isfinite(value):
        return ""
    more = math.ceil(math.log10(max(abs(value) / scale, 1.0)))
    return f"{value:.{6 + more}g}"


def interleave(prediction: Prediction, targets: Targets) -> list[list[str]]:
    """Per row: prediction and spread of the first target, of the second, ..."""
    return [
        [number(v, scale) for *pair, scale in zip(m, s, targets.std, strict=True) for v in pair]
        for m, s in zip(prediction.mean.tolist(), prediction.std.tolist(), strict=True)
    ]


def prediction_columns(targets: Sequence[str]) -> list[str]:
    """Header that belongs to :func:`interleave`."""
    return [f"{name}_{what}" for name in targets for what in ("predicted", "std")]
