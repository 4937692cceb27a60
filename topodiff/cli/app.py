"""The commands and their options; the work is done by the modules beside this one."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from topodiff.cli.many import many_values

app = typer.Typer(
    name="topodiff",
    help="Learn on molecules as cell complexes: atoms, bonds and rings.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
bench = typer.Typer(help="Measure what the README claims.", no_args_is_help=True)
app.add_typer(bench, name="bench")
OUT = (
    "File of results; those in it are not done again. By default {0}.json, or {0}_tuning.json "
    "with --tune."
)


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of ASCII alone shows ? for the others
            stream.reconfigure(errors="replace")
    with warnings.catch_warnings():
        warnings.showwarning = _one_line_warning  # type: ignore[assignment]
        app()


def _one_line_warning(message: Warning | str, *_: object) -> None:
    _say(f"warning: {' '.join(str(message).split())}", "yellow")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Mistakes of the user end with one line and exit code 2, failed training with 1."""
    try:  # imports may fail, too: so NonFiniteError is caught as what it derives from
        yield
    except (ValueError, OSError, ImportError) as error:
        _fail(str(error), 2)
    except FloatingPointError as error:
        _fail(str(error), 1)


def _fail(message: str, code: int) -> None:
    _say(f"error: {message}", "red")
    raise typer.Exit(code) from None


def _say(text: str, style: str) -> None:
    Console(stderr=True, soft_wrap=True).print(text, style=style, markup=False, highlight=False)


@app.command(cls=many_values("--target-columns"))
def train(
    table: Annotated[Path, typer.Argument(help="CSV, TSV or SDF file in UTF-8, also gzipped.")],
    out: Annotated[Path, typer.Option(help="Folder for the model and its results.")],
    target_columns: Annotated[
        list[str],
        typer.Option(
            help="Columns to learn, one or several: of numbers, or of 0 and 1 or words like active "
            "and inactive for classes. One that begins with - as --target-columns=-NAME."
        ),
    ],
    smiles_column: Annotated[
        str | None, typer.Option(help="By default the column with smiles in its name.")
    ] = None,
    model: Annotated[str, typer.Option(help="cin, gine or mlp.")] = "cin",
    task: Annotated[str, typer.Option(help="auto, regression or classification.")] = "auto",
    split: Annotated[str, typer.Option(help="random, scaffold or given.")] = "random",
    split_column: Annotated[
        str | None, typer.Option(help="Column of train, val and test, for a given split.")
    ] = None,
    ensemble: Annotated[
        int, typer.Option(help="Number of models, each from its own seed: --seed, the next, ...")
    ] = 3,
    epochs: Annotated[int, typer.Option(help="Passes over the training molecules.")] = 30,
    seed: Annotated[int, typer.Option(help="Of the split and of the first model.")] = 0,
    hidden_channels: Annotated[int, typer.Option(help="Width of the model.")] = 64,
    num_layers: Annotated[int, typer.Option(help="Layers of the model.")] = 3,
    learning_rate: Annotated[float, typer.Option(help="At its highest.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(help="Molecules per step.")] = 64,
    max_ring_size: Annotated[int, typer.Option(help="Rings of more atoms are no cells.")] = 18,
    descriptors: Annotated[
        bool, typer.Option(help="Also describe molecules by RDKit's descriptors.")
    ] = True,
    threads: Annotated[
        int, typer.Option(help="Threads of torch. For small models and batches one is fastest.")
    ] = 1,
    device: Annotated[
        str,
        typer.Option(
            help="cpu, cuda or cuda:1, ... A seed gives the same result in every run on cpu only."
        ),
    ] = "cpu",
    strict: Annotated[bool, typer.Option(help="A bad row is an error.")] = False,
    num_workers: Annotated[int, typer.Option(help="Processes that read molecules.")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on with a run that was stopped.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace what is in the folder.")] = False,
) -> None:
    """Train an ensemble on a table of molecules."""
    with one_line_errors():
        from topodiff.cli.train import Settings, train_command
        from topodiff.training import FitConfig, ModelConfig, TrainConfig

        settings = Settings(
            table=str(table),
            smiles_column=smiles_column,
            target_columns=target_columns,
            split=split,
            split_column=split_column,
            strict=strict,
            threads=threads,
            device=device,
            max_ring_size=max_ring_size,
            training=TrainConfig(
                model=ModelConfig(model, hidden_channels, num_layers),
                fit=FitConfig(epochs, batch_size, learning_rate, seed=seed),
                members=ensemble,
                task=task,
                descriptors=descriptors,
            ),
        )
        train_command(settings, out, resume=resume, overwrite=overwrite, num_workers=num_workers)


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(help="Folder written by topodiff train.")],
    table: Annotated[Path, typer.Argument(help="CSV, TSV or SDF file in UTF-8, also gzipped.")],
    out: Annotated[Path, typer.Option(help="CSV file for the predictions; also .tsv, .gz.")],
    smiles_column: Annotated[
        str | None, typer.Option(help="By default the column with smiles in its name.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:1, ...")] = "cpu",
    strict: Annotated[bool, typer.Option(help="A bad row is an error.")] = False,
    num_workers: Annotated[int, typer.Option(help="Processes that read molecules.")] = 0,
) -> None:
    """Predict for every row of a table; rows, order and other columns are kept.

    NAME_predicted is a value, for a class the probability of 1 (or active); NAME_std is its spread.
    """
    with one_line_errors():
        from topodiff.cli.predict import predict_command

        predict_command(folder, table, out, smiles_column, device, strict, num_workers)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for predictions and plot.")] = Path("demo"),
) -> None:
    """Train on FreeSolv, predict held-out molecules, compare with baselines."""
    with one_line_errors():
        from topodiff.cli.demo import demo_command

        demo_command(out)


@app.command()
def info() -> None:
    """Versions, kernels, instruction set, threads, folders."""
    with one_line_errors():
        from topodiff.cli.info import info_command

        info_command()


@bench.command(cls=many_values("--datasets", "--models"))
def heterophily(
    datasets: Annotated[
        list[str] | None, typer.Option(help="One or several; eleven if omitted.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option(help="One or several; all if omitted.")
    ] = None,
    splits: Annotated[int, typer.Option(help="The first so many of the ten.")] = 10,
    seeds: Annotated[int, typer.Option(help="Runs per split.")] = 1,
    out: Annotated[Path | None, typer.Option(help=OUT.format("heterophily"))] = None,
    tune: Annotated[
        int, typer.Option(help="Instead try so many settings on validation vertices.")
    ] = 0,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
) -> None:
    """Classify vertices of heterophilic graphs: our numbers beside the published ones."""
    with one_line_errors():
        from topodiff.cli.bench import heterophily_command, tune_heterophily_command
        from topodiff.training.heterophily import DATASETS, MODELS

        datasets, models = datasets or [*DATASETS], models or [*MODELS]
        out = out or Path("heterophily_tuning.json" if tune else "heterophily.json")
        if tune:
            tune_heterophily_command(datasets, models, tune, out, threads)
        else:
            heterophily_command(datasets, models, splits, seeds, out, threads)


@bench.command(cls=many_values("--datasets", "--models", "--splits"))
def diffusion(
    datasets: Annotated[
        list[str] | None, typer.Option(help="One or several; six if omitted.")
    ] = None,
    models: Annotated[
        list[str] | None, typer.Option(help="One or several; all if omitted.")
    ] = None,
    splits: Annotated[
        list[str] | None, typer.Option(help="planetoid, fixed, random, geom; all if omitted.")
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(help="Seeds (planetoid, fixed: 5) or splits (others: 10) for each model."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help=OUT.format("diffusion"))] = None,
    tune: Annotated[
        int, typer.Option(help="Instead try so many settings of GraphCON on validation vertices.")
    ] = 0,
    threads: Annotated[int, typer.Option(help="Threads of torch.")] = 1,
) -> None:
    """Classify vertices by diffusion and oscillation: our numbers beside the published ones."""
    with one_line_errors():
        from topodiff.cli.bench import diffusion_command, tune_diffusion_command
        from topodiff.datasets.citations import NAMES
        from topodiff.training.diffusion import MODELS, SPLITS, WEB_PAGES
        from topodiff.training.diffusion_tuning import SPACE

        datasets, splits = datasets or [*NAMES, *WEB_PAGES], splits or [*SPLITS]
        models = models or [*(SPACE if tune else MODELS)]
        out = out or Path("diffusion_tuning.json" if tune else "diffusion.json")
        if tune:
            tune_diffusion_command(datasets, models, splits, tune, out, threads)
        else:
            diffusion_command(datasets, models, splits, runs, out, threads)
