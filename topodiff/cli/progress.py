"""Progress of training in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from topodiff.training import TrainConfig
from topodiff.training.run import Record


@contextmanager
def training_progress(
    config: TrainConfig, console: Console
) -> Iterator[Callable[[int, Record], None]]:
    """A bar over all epochs of all members, with the newest validation metrics beside it."""
    columns = (
        TextColumn("model {task.fields[member]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=config.fit.epochs * config.members, member=1, note="")

        def on_epoch(member: int, record: Record) -> None:
            note = ", ".join(f"{name} {value:.3f}" for name, value in record["valid"].items())
            done = member * config.fit.epochs + record["epoch"]
            bar.update(task, completed=done, member=member + 1, note=note)

        yield on_epoch
