"""Lifting of many SMILES: from the cache, in this process or in workers, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.molecules import cache as disk
from topodiff.molecules.arrays import LiftedArrays
from topodiff.molecules.lift import Lifted, lift_all
from topodiff.molecules.settings import LiftSettings
from topodiff.molecules.workers import map_in_workers

CHUNK = 256  # molecules handed to a worker at a time
LONG = 5_000  # molecules that take a second or more: worth a progress bar
DIED = "the worker process that read it died (out of memory?)"


class LiftedMany(NamedTuple):
    """The union of all good molecules, and (position, reason) of all others."""

    complexes: CellComplex
    failures: list[tuple[int, str]]


def lift_many(
    smiles: Sequence[str],
    settings: LiftSettings,
    *,
    num_workers: int = 0,
    cache: bool = True,
    progress: bool | None = None,
) -> LiftedMany:
    """Lift SMILES, in order; the result does not depend on ``num_workers`` or ``cache``.

    A molecule whose worker is killed is a failure, and nothing is then kept in the cache.
    """
    whole_number("num_workers", num_workers, 0)
    key = disk.key_of(smiles, settings) if cache and len(smiles) >= disk.WORTH_KEEPING else None
    if key is not None and (found := disk.read(key, len(smiles))) is not None:
        return LiftedMany(*found)
    chunks = [list(smiles[i : i + CHUNK]) for i in range(0, len(smiles), CHUNK)]
    parts: list[LiftedArrays] = []
    failures: list[tuple[int, str]] = []
    with _progress_bar(len(smiles), progress) as advance:
        for i, lifted in enumerate(_lift_chunks(chunks, settings, num_workers)):
            parts.append(lifted.arrays)
            failures += [(i * CHUNK + k, reason) for k, reason in lifted.failures]
            advance(len(chunks[i]))
    complexes = LiftedArrays.concatenate(parts).to_complex(settings.features)
    if key is not None and all(reason != DIED for _, reason in failures):
        disk.write(key, complexes, failures)
    return LiftedMany(complexes, failures)


def _lift_chunks(
    chunks: list[list[str]], settings: LiftSettings, num_workers: int
) -> Iterator[Lifted]:
    if num_workers == 0 or len(chunks) < 2:
        return (lift_all(chunk, settings) for chunk in chunks)
    return map_in_workers(_lift_chunk, chunks, settings, num_workers, _died, _concatenate)


def _lift_chunk(chunk: list[str], settings: LiftSettings) -> Lifted:
    return lift_all(chunk, settings)


def _died(_: str, settings: LiftSettings) -> Lifted:
    return lift_all([], settings)._replace(failures=[(0, DIED)])


def _concatenate(first: Lifted, second: Lifted, offset: int) -> Lifted:
    later = [(offset + k, reason) for k, reason in second.failures]
    arrays = LiftedArrays.concatenate([first.arrays, second.arrays])
    return Lifted(arrays, first.failures + later)


@contextmanager
def _progress_bar(total: int, show: bool | None) -> Iterator[Any]:
    if show is None:
        show = total >= LONG and sys.stderr.isatty()
    if not show:
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("Lifting molecules", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)
