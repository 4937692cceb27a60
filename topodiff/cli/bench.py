"""``topodiff bench``: runs with progress, and the table beside published numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from topodiff.cli.tables import MAX_THREADS, check_file
from topodiff.complexes.integers import whole_number
from topodiff.training import diffusion, diffusion_tuning, heterophily, heterophily_tuning
from topodiff.training.node_benchmark import Key, NodeBenchmark, Summary, summarize
from topodiff.training.results import RUNS, TRIALS, ResultsFile
from topodiff.training.run import Record
from topodiff.training.tuning import Search, best_trial

Advance = Callable[[str, str], None]


def heterophily_command(
    datasets: Sequence[str], models: Sequence[str], splits: int, seeds: int, out: Path, threads: int
) -> None:
    """Do all runs that are not in ``out`` and print the table."""
    _at_least_one(splits=splits, seeds=seeds)
    bench = heterophily.HETEROPHILY
    keys = bench.plan(datasets, models, range(splits), range(seeds))
    _run_and_print(bench, keys, out, threads)


def diffusion_command(
    datasets: Sequence[str],
    models: Sequence[str],
    splits: Sequence[str],
    runs: int | None,
    out: Path,
    threads: int,
) -> None:
    """As :func:`heterophily_command`, for models in continuous time."""
    _at_least_one(**({} if runs is None else {"runs": runs}))
    keys = diffusion.plan(datasets, models, splits, runs)
    _run_and_print(diffusion.DIFFUSION, keys, out, threads)


def _run_and_print(bench: NodeBenchmark, keys: Sequence[Key], out: Path, threads: int) -> None:
    whole_number("threads", threads, 1, MAX_THREADS)
    _check_out(out, RUNS)
    torch.set_num_threads(threads)
    console = Console()
    with _progress(len(keys), console) as advance:
        current = iter(keys)

        def on_epoch(record: Record) -> None:
            advance("", _note(record))

        advance(_name(next(current)), "")
        for _ in bench.run_all(keys, out, on_epoch):
            advance(_name(next(current, keys[-1])), "done")
    done = {(key.dataset, key.model): None for key in keys}
    found = summarize(ResultsFile(out).groups())
    console.print(results_table({pair: found[pair] for pair in done}, bench.published))
    console.print(f"results are in {out}", markup=False, highlight=False)


def tune_heterophily_command(
    datasets: Sequence[str], models: Sequence[str], trials: int, out: Path, threads: int
) -> None:
    """Search for settings in place of :func:`heterophily_command`."""
    keys = heterophily.HETEROPHILY.plan(datasets, models, [0], [0])
    _tune_and_print(heterophily_tuning.SEARCH, keys, trials, out, threads)


def tune_diffusion_command(
    datasets: Sequence[str], models: Sequence[str], splits: Sequence[str], trials: int, out: Path,
    threads: int,
) -> None:  # fmt: skip
    """Search for settings in place of :func:`diffusion_command`."""
    keys = diffusion.plan(datasets, models, splits, 1)
    _tune_and_print(diffusion_tuning.SEARCH, keys, trials, out, threads)


def _tune_and_print(
    search: Search, keys: Sequence[Key], trials: int, out: Path, threads: int
) -> None:
    """Random search on validation vertices; prints the best settings of every pair."""
    _at_least_one(trials=trials)
    whole_number("threads", threads, 1, MAX_THREADS)
    pairs = [(key.dataset, key.model) for key in keys]
    for _, model in pairs:
        search.space(model)
    _check_out(out, TRIALS)
    torch.set_num_threads(threads)
    console = Console()
    with _progress(len(pairs) * trials, console) as advance:
        for dataset, model in pairs:
            for trial in range(trials):
                advance(f"{dataset}, {model}, trial {trial}", "")
                search.tune(dataset, model, trial, out, lambda r: advance("", _note(r)))
                advance("", "done")
    for dataset, model in pairs:
        found = best_trial(dataset, model, out)
        console.print(f"{dataset}, {model}: validation {100 * found['valid']:.2f} % with")
        console.print(f"  {found['options']}", markup=False, highlight=False, soft_wrap=True)


def results_table(
    found: Mapping[tuple[str, str], Summary],
    published: Mapping[tuple[str, str], tuple[float, float | None]],
) -> Table:
    """Test metrics in percent beside the published ones, a row for each data set and model."""
    title = "percent, mean ± standard deviation"
    # narrow, as it has to fit into 80 columns; where it does not, numbers are broken, not names
    table = Table(
        title=title, box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    for name in ("data set", "model"):
        table.add_column(name, no_wrap=True)
    for name in ("test", "published", "val", "runs", "CPU s"):
        table.add_column(name, justify="right", overflow="fold")
    for (dataset, model), ours in found.items():
        mean, std = published.get((dataset, model), (None, None))
        theirs = [f"{number:.2f}" for number in (mean, std) if number is not None]
        table.add_row(
            dataset,
            model,
            f"{ours.mean:.2f}" + (f" ± {ours.std:.2f}" if ours.runs > 1 else ""),
            " ± ".join(theirs),
            f"{ours.valid:.2f}",
            str(ours.runs),
            f"{ours.seconds:.1f}",
        )
    return table


@contextmanager
def _progress(total: int, console: Console) -> Iterator[Advance]:
    """``advance(run, note)``: names the run in hand unless empty; the note "done" ends one."""
    run, note = (TextColumn(f"{{task.fields[{name}]}}") for name in ("run", "note"))
    columns = (run, BarColumn(), MofNCompleteColumn(), note)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total, run="", note="")

        def advance(run: str, note: str) -> None:
            done = note == "done"
            bar.update(task, advance=int(done), note="" if done else note)
            if run:
                bar.update(task, run=run)

        yield advance


def _note(record: Record) -> str:
    return f"epoch {record['epoch']}, validation {record['valid']:.3f}"


def _name(key: Key) -> str:
    return f"{key.dataset}, {key.model}, split {key.split}, seed {key.seed}"


def _at_least_one(**numbers: int) -> None:
    for name, value in numbers.items():
        whole_number(name, value, 1)


def _check_out(out: Path, kind: str) -> None:
    check_file(out)
    ResultsFile(out, kind).groups()
