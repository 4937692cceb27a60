"""From a table of molecules to a trained ensemble, and from there to predictions.

What the models are given: the featurised ring complex of each molecule, and by default RDKit's
descriptors of the molecule as a whole (logP and polar surface by group contributions, counts of
groups, shape indices, ...; none of them is a measured value), scaled by the training set.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rdkit
import torch

from topodiff.complexes.integers import whole_numbers
from topodiff.molecules import LiftSettings, MoleculeTable, feature_set
from topodiff.molecules.descriptors import NAMES, descriptors
from topodiff.molecules.features import VERSION
from topodiff.molecules.splits import Split
from topodiff.training.ensemble import Ensemble, Prediction, TrainConfig, train_ensemble
from topodiff.training.fit import Fitted
from topodiff.training.inference import usable_device
from topodiff.training.run import Record
from topodiff.training.samples import Samples
from topodiff.training.selection import selecting_metric
from topodiff.training.targets import Targets


def molecule_samples(
    table: MoleculeTable, with_descriptors: bool = True, num_workers: int = 0
) -> Samples:
    """The molecules of ``table`` as samples."""
    features = descriptors(table.smiles, num_workers) if with_descriptors else None
    lines = [table.lines[row] for row in table.row_numbers]
    return Samples(table.complexes, table.y, features, lines, NAMES if with_descriptors else None)


def train_molecules(
    table: MoleculeTable,
    split: Split,
    config: TrainConfig,
    *,
    samples: Samples | None = None,
    targets: Targets | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[int, Record], None] | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Ensemble, list[Fitted]]:
    """Train on ``split.train``, choose epochs on ``split.val``; ``split.test`` is not touched.

    Args:
        table: read with target columns. The ensemble remembers how it was lifted.
        split: numbers of the molecules in each part, also as arrays or tensors.
        config, folder, resume, on_epoch, device: as for
            :func:`~topodiff.training.train_ensemble`.
        samples, targets: of the table, where :func:`molecule_samples` and
            :func:`check_trainable` were called already.

    Raises:
        ValueError: no targets, an empty or overlapping split, a constant target, samples with
            descriptors where ``config`` wants none or without them where it wants them, or
            another run's checkpoints, a device that is not there; before any training.
    """
    device = usable_device(device)
    split = _plain(split)
    targets = check_trainable(table, split, config) if targets is None else targets
    if samples is not None and (samples.features is not None) != config.descriptors:
        raise ValueError(
            f"the settings have descriptors={config.descriptors}, which the samples were not made "
            f"with: molecule_samples(table, {config.descriptors})"
        )
    if samples is not None and len(samples) != len(table):
        raise ValueError(f"{len(samples)} samples are not those of a table of {len(table)}")
    samples = molecule_samples(table, config.descriptors) if samples is None else samples
    ensemble, fitted = train_ensemble(
        samples.select(split.train),
        samples.select(split.val),
        feature_set(table.settings.features).in_channels,
        config,
        targets=targets,
        folder=folder,
        resume=resume,
        on_epoch=on_epoch,
        device=device,
    )
    return dataclasses.replace(ensemble, about=dataclasses.asdict(table.settings)), fitted


def predict_molecules(ensemble: Ensemble, table: MoleculeTable, num_workers: int = 0) -> Prediction:
    """Mean and spread for the molecules of ``table``, in its order.

    Warns where the models take descriptors, which another version of RDKit may compute otherwise.

    Raises:
        TypeError: for what is no table.
        ValueError: the table was not lifted as the one that the ensemble was trained on, or a
            descriptor of then is not in this version of RDKit.
    """
    if not isinstance(table, MoleculeTable):
        raise TypeError(
            f"predict_molecules takes a table, got {type(table).__name__}: make one with "
            "read_table, or with table_from_smiles of a list"
        )
    lifted, wanted = dataclasses.asdict(table.settings), reading_settings(ensemble)
    wrong = [f"{name}={value!r}" for name, value in wanted.items() if lifted[name] != value]
    if wrong:
        raise ValueError(f"the models know molecules read with {', '.join(wrong)}: read these so")
    _check_descriptors(ensemble)
    return ensemble.predict(molecule_samples(table, ensemble.config.descriptors, num_workers))


def reading_settings(ensemble: Ensemble) -> dict[str, Any]:
    """How :func:`topodiff.read_table` has to read molecules for these models; ValueError where
    this version cannot."""
    if (before := ensemble.versions.get("features", "1")) != str(VERSION):
        raise ValueError(
            f"the models know features of molecules in version {before}, and this topodiff has "
            f"version {VERSION}: train them anew"
        )
    known = [field.name for field in dataclasses.fields(LiftSettings)]
    if strange := [name for name in ensemble.about if name not in known]:
        raise ValueError(
            f"the models know molecules read with {strange[0]}={ensemble.about[strange[0]]!r}, "
            "which this version of topodiff does not know"
        )
    return dict(ensemble.about)


def _check_descriptors(ensemble: Ensemble) -> None:
    """ValueError where RDKit lacks one, before any is computed; a warning for another RDKit."""
    if ensemble.scaler is None:
        return
    before = ensemble.versions.get("rdkit", "another version")
    if missing := [name for name in ensemble.scaler.names or () if name not in NAMES]:
        raise ValueError(
            f"the models were trained with RDKit {before} on the descriptor {missing[0]!r}, which "
            f"RDKit {rdkit.__version__} does not have: install rdkit=={before}"
        )
    if before != rdkit.__version__:
        warnings.warn(
            f"the models were trained on descriptors of RDKit {before}, and RDKit "
            f"{rdkit.__version__} may compute others: install rdkit=={before} for the same "
            "predictions",
            stacklevel=3,
        )


def check_trainable(table: MoleculeTable, split: Split, config: TrainConfig) -> Targets:
    """The targets; ValueError where :func:`train_molecules` could not go ahead; costs nothing."""
    if table.y is None:
        raise ValueError("the table has no targets: read it with target_columns")
    split = _plain(split)
    for name in ("train", "val"):
        if not getattr(split, name):
            raise ValueError(
                f"the {name} part of the split of {len(table)} molecules is empty: take another "
                "split, or more molecules (ten at least for a random one)"
            )
    for name, part in split._asdict().items():
        if len(set(part)) < len(part):
            raise ValueError(f"a molecule is twice in the {name} part of the split")
    numbers = [*split.train, *split.val, *split.test]
    if len(set(numbers)) < len(numbers):
        raise ValueError("a molecule is in two parts of the split")
    if min(numbers) < 0 or max(numbers) >= len(table):
        raise ValueError(f"the split names molecules beyond the {len(table)} of the table")
    others = table.y[[*split.val, *split.test]]
    targets = Targets.fit(table.y[split.train], table.target_columns, config.task, others)
    selecting_metric(config.fit.metric, targets, table.y[split.val])
    return targets


def _plain(split: Split) -> Split:
    """Its parts as lists, whatever held the numbers."""
    parts = split._asdict().items()
    numbers = (whole_numbers(f"molecules of the {name} part", part) for name, part in parts)
    return Split(*(part.flatten().tolist() for part in numbers))
