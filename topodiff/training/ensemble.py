"""Several models trained from different seeds: their mean predicts, their spread is uncertainty."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import rdkit
import torch
from torch import Tensor, nn

from topodiff import __version__
from topodiff.complexes.integers import whole_number
from topodiff.molecules.features import VERSION
from topodiff.nn.embedding import InChannels
from topodiff.training import checkpoint
from topodiff.training.config import MAX_SEED, FitConfig, check_names
from topodiff.training.features import FeatureScaler
from topodiff.training.fit import Fitted, fit
from topodiff.training.inference import predict, usable_device
from topodiff.training.metrics import evaluate
from topodiff.training.models import ModelConfig, build_model
from topodiff.training.run import Record
from topodiff.training.samples import Samples
from topodiff.training.targets import Targets

FILE = "predictor.ckpt"
_PARTS = ("config", "in_channels", "targets", "scaler", "members", "about")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of :func:`train_ensemble`.

    Args:
        model: which model.
        fit: how each member is trained; member k has the seed ``fit.seed + k``.
        members: number of models; one alone has no spread to tell its uncertainty.
        task: ``auto``, ``regression`` or ``classification``, for all targets.
        descriptors: whether molecules are also described as a whole, by RDKit's descriptors (see
            :mod:`topodiff.training.molecules`).
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    members: int = 3
    task: str = "auto"
    descriptors: bool = True

    def __post_init__(self) -> None:
        for name, kind in (("model", ModelConfig), ("fit", FitConfig)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} is a {kind.__name__}, got {getattr(self, name)!r}")
        whole_number("members", self.members, 1)
        # checked here: the first members would be trained before the last one's seed is seen
        whole_number("fit.seed + members - 1", self.fit.seed + self.members - 1, 0, MAX_SEED)
        check_names([self.task], ("auto", "regression", "classification"), "task")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TrainConfig:
        """Inverse of :meth:`to_dict`; ValueError for unknown names."""
        check_names(content, [f.name for f in dataclasses.fields(cls)], "setting")
        content = dict(content)
        for name, kind in (("model", ModelConfig), ("fit", FitConfig)):
            if name in content:
                content[name] = kind.from_dict(content[name])
        return cls(**content)


class Prediction(NamedTuple):
    """``mean`` (n, columns): values in units, or probabilities. ``std`` (n, columns): standard
    deviation between the members, NaN if there is one only."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True)
class Ensemble:
    """Trained models with all that a prediction takes: ``members`` trained as ``config`` says on
    complexes of ``in_channels``, for ``targets``; ``scaler`` of features of whole complexes;
    ``about`` is whatever the caller wants to keep with them (plain values); ``versions`` are those
    of topodiff, RDKit and the features of molecules in which they were trained."""

    config: TrainConfig
    in_channels: InChannels
    targets: Targets
    scaler: FeatureScaler | None
    members: Sequence[nn.Module]
    about: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(
        default_factory=lambda: {
            "topodiff": __version__,
            "rdkit": rdkit.__version__,
            "features": str(VERSION),
        }
    )

    def predict(self, samples: Samples) -> Prediction:
        """Mean and spread of the members on ``samples`` (their features not scaled), on the CPU;
        computed where the members are. TypeError for what is no :class:`Samples`."""
        if not isinstance(samples, Samples):
            raise TypeError(
                f"predict takes Samples, got {type(samples).__name__}: make them of complexes with "
                "Samples(topodiff.batch([...])), of a table with molecule_samples(table)"
            )
        scaled = scale_features(samples, self.scaler)
        each = torch.stack([self.targets.unscale(predict(m, scaled)) for m in self.members])
        spread = (
            each.std(0) if len(each) > 1 and len(samples) else torch.full_like(each[0], torch.nan)
        )
        return Prediction(each.mean(0), spread)

    def evaluate(self, samples: Samples) -> dict[str, dict]:
        """Metrics of the mean; see :func:`topodiff.training.metrics.evaluate`."""
        if samples.y is None:
            raise ValueError("these samples have no targets to compare with")
        return evaluate(self.targets, self.predict(samples).mean, samples.y)

    def save(self, folder: str | Path) -> None:
        """Write ``predictor.ckpt`` into ``folder``, atomically."""
        state = {
            "config": self.config.to_dict(),
            "in_channels": dict(self.in_channels),
            "targets": self.targets.to_dict(),
            "scaler": None if self.scaler is None else dataclasses.asdict(self.scaler),
            "members": [m.state_dict() for m in self.members],
            "about": dict(self.about),
            "versions": dict(self.versions),
        }
        checkpoint.save(Path(folder) / FILE, state)

    @classmethod
    def load(cls, folder: str | Path, device: torch.device | str = "cpu") -> Ensemble:
        """Read what :meth:`save` wrote, to predict on ``device``.

        Raises:
            ValueError: it is missing, damaged, something else or of a version of topodiff that
                does not fit, or there is no such device.
        """
        device = usable_device(device)
        path = Path(folder) / FILE
        if not path.is_file():
            raise ValueError(f"there is no trained model in {folder} ({path.name} is missing)")
        state = checkpoint.load(path)
        if not isinstance(state, dict) or not all(part in state for part in _PARTS):
            raise ValueError(f"{path} is no trained model, but another file of topodiff")
        try:
            ensemble = cls._from_state(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            before = dict(state.get("versions") or {}).get("topodiff", "another version")
            raise ValueError(
                f"{path}, a model of topodiff {before}, does not fit topodiff {__version__}: "
                + " ".join(str(error).split())
            ) from error
        for member in ensemble.members:
            member.to(device)
        return ensemble

    @classmethod
    def _from_state(cls, state: dict[str, Any]) -> Ensemble:
        config, scaler = TrainConfig.from_dict(state["config"]), state["scaler"]
        scaler = None if scaler is None else FeatureScaler(**scaler)
        targets = Targets.from_dict(state["targets"])
        members = []
        for weights in state["members"]:
            width = 0 if scaler is None else scaler.width
            model = build_model(config.model, state["in_channels"], len(targets), width)
            model.load_state_dict(weights)
            members.append(model.eval())
        about, versions = state["about"], state.get("versions", {})
        return cls(config, state["in_channels"], targets, scaler, members, about, versions)


def train_ensemble(
    train: Samples,
    valid: Samples,
    in_channels: InChannels,
    config: TrainConfig,
    *,
    targets: Targets | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[int, Record], None] | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Ensemble, list[Fitted]]:
    """Train ``config.members`` models on ``train``, each with its best epoch on ``valid``.

    Scales of targets and features come from ``train`` alone. Columns of zeros and ones, in both,
    are classified if ``config.task`` is ``auto``.

    Args:
        train, valid: samples with targets, features not scaled.
        in_channels: rank -> features of the cells, as for the models in :mod:`topodiff.nn`.
        config: settings.
        targets: made from ``train`` already, with names.
        folder: for checkpoints, in ``member_0``, ``member_1``, ...
        resume: go on from the checkpoints in ``folder``.
        on_epoch: called with the number of the member and the record of every epoch.
        device: on which to train; the members stay there. On ``cpu`` a seed gives the same bits in
            every run; on ``cuda`` it need not.

    Raises:
        ValueError, NonFiniteError: as :func:`topodiff.training.fit`, for constant targets, and
            for a device that is not there.
    """
    device = usable_device(device)
    if train.y is None:
        raise ValueError("the training samples have no targets")
    if targets is None:
        targets = Targets.fit(train.y, None, config.task, valid.y)
    scaler = (
        None if train.features is None else FeatureScaler.fit(train.features, train.feature_names)
    )
    train, valid = scale_features(train, scaler), scale_features(valid, scaler)
    done = []
    for k in range(config.members):
        settings = dataclasses.replace(config.fit, seed=config.fit.seed + k)
        checkpoint.seed_everything(settings.seed)
        width = 0 if scaler is None else scaler.width
        model = build_model(config.model, in_channels, len(targets), width).to(device)
        place = None if folder is None else Path(folder) / f"member_{k}"
        report = None if on_epoch is None else partial(on_epoch, k)
        done.append(
            fit(
                model,
                train,
                valid,
                targets,
                settings,
                folder=place,
                resume=resume,
                on_epoch=report,
            )
        )
    return Ensemble(config, in_channels, targets, scaler, [d.model for d in done]), done


def scale_features(samples: Samples, scaler: FeatureScaler | None) -> Samples:
    """``samples`` with scaled features, without any if none varied in training; ValueError where
    they have other ones than the models."""
    if (samples.features is None) != (scaler is None):
        what = "without" if scaler is None else "with"
        raise ValueError(f"the models were made for complexes {what} features as a whole")
    if scaler is None or samples.features is None:
        return samples
    features = scaler(samples.features, samples.feature_names) if scaler.width else None
    return dataclasses.replace(samples, features=features, feature_names=None)
