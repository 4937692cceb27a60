"""``topodiff demo``: hydration free energies from FreeSolv, in a minute or two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from topodiff import plotting
from topodiff.cli.progress import training_progress
from topodiff.cli.tables import interleave, prediction_columns, write_csv
from topodiff.datasets.molecules import freesolv_demo
from topodiff.molecules import MoleculeTable, random_split
from topodiff.training import (
    Ensemble,
    ModelConfig,
    Prediction,
    TrainConfig,
    metric,
    predict_molecules,
    train_molecules,
)
from topodiff.training.files import write_picture
from topodiff.training.targets import Targets

CIN = TrainConfig()
MLP = replace(CIN, model=ModelConfig("mlp"), descriptors=False)


def demo_command(out: Path) -> None:
    """Train CIN and an MLP on fingerprints, compare them with the mean on held-out molecules."""
    console = Console()
    torch.set_num_threads(1)  # small batches: a second thread costs more than it gives
    out.mkdir(parents=True, exist_ok=True)
    table = freesolv_demo()
    console.print(f"FreeSolv: {len(table)} measured hydration free energies in kcal/mol")
    split = random_split(len(table), seed=0)
    y = table.y
    assert y is not None
    measured = y[split.test]
    errors = {"mean of the training molecules": _mean_error(y[split.train], measured)}
    for name, config in (("MLP on fingerprints", MLP), ("CIN on rings as cells", CIN)):
        with training_progress(config, console) as on_epoch:
            ensemble, _ = train_molecules(table, split, config, on_epoch=on_epoch)
        prediction = _predict(ensemble, table, split.test)
        errors[name] = _errors(prediction.mean, measured)
    _write(out, table, split.test, measured, prediction, ensemble.targets)
    shown = Table("test molecules: " + str(len(split.test)), "RMSE", "MAE")
    for name, (rmse, mae) in errors.items():
        shown.add_row(name, f"{rmse:.2f}", f"{mae:.2f}")
    console.print(shown)
    console.print(f"predictions and plot are in {out}", markup=False, highlight=False)


def _predict(ensemble: Ensemble, table: MoleculeTable, which: list[int]) -> Prediction:
    prediction = predict_molecules(ensemble, table)
    return Prediction(prediction.mean[which], prediction.std[which])


def _errors(predicted: Tensor, measured: Tensor) -> tuple[float, float]:
    pair = predicted.flatten(), measured.flatten()
    return metric("rmse", *pair), metric("mae", *pair)


def _mean_error(train: Tensor, measured: Tensor) -> tuple[float, float]:
    return _errors(torch.full_like(measured, float(train.mean())), measured)


def _write(
    out: Path, table: MoleculeTable, test: list[int], measured: Tensor, prediction: Prediction,
    targets: Targets,
) -> None:  # fmt: skip
    [given] = [table.column(name) for name in targets.names]
    rows = [
        [table.smiles[i], given[i], *values]
        for i, values in zip(test, interleave(prediction, targets), strict=True)
    ]
    header = ["smiles", *targets.names, *prediction_columns(targets.names)]
    write_csv(out / "predictions.csv", header, rows)
    if plotting.available():
        names = ["hydration free energy (kcal/mol)"]
        figure = plotting.parity_plot(names, prediction.mean, measured, prediction.std)
        write_picture(out / "parity.png", figure)
