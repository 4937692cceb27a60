"""Classifying the vertices of one graph: the whole graph is one batch, masks say which count."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.kernels.checks import check_choice
from topodiff.nn import ContinuousModel
from topodiff.training import checkpoint
from topodiff.training.config import MAX_SEED, check_number
from topodiff.training.inference import device_of
from topodiff.training.metrics import metric
from topodiff.training.node_checks import check_classes, check_nodes, check_outputs
from topodiff.training.run import NonFiniteError, Record

SELECT = ("loss", "metric")
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "adamax": torch.optim.Adamax,
    "rmsprop": torch.optim.RMSprop,
}


@dataclass(frozen=True)
class NodeFitConfig:
    """Settings of :func:`fit_nodes`.

    Args:
        epochs: steps at most; every step sees the whole graph.
        patience: end after so many epochs without improvement on the validation vertices; 0 for
            never.
        optimizer: ``adam``, ``adamax`` or ``rmsprop``, otherwise at torch's defaults.
        learning_rate: of the optimiser.
        weight_decay: of the optimiser: added to the gradient, as in the published code of these
            models.
        decays: weight decay of the parameters whose name contains a text, in place of
            ``weight_decay``: ``{"learner": 1e-3}``.
        select: what the best epoch is best in on the validation vertices: ``loss`` or ``metric``.
        ends: where the diffusion of a :class:`topodiff.nn.ContinuousModel` may end, in units of its
            T: every epoch ends where it is best on the validation vertices (of several alike, the
            earliest), as published for GRAND. Empty: at T.
        seed: of dropout.
    """

    epochs: int = 1000
    patience: int = 200
    learning_rate: float = 0.01
    weight_decay: float = 5e-4
    decays: Mapping[str, float] = field(default_factory=dict)
    optimizer: str = "adam"
    select: str = "loss"
    ends: Sequence[float] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("select", self.select, SELECT)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        for name, least in (("epochs", 1), ("patience", 0)):
            whole_number(name, getattr(self, name), least)
        whole_number("seed", self.seed, 0, MAX_SEED)
        for value in (self.learning_rate, self.weight_decay, *self.decays.values()):
            if not 0 <= check_number("a learning rate or weight decay", value) < math.inf:
                raise ValueError(
                    f"learning rate and weight decays are finite and not negative, got {value}"
                )
        if any(not 0 < a < b for a, b in pairwise([*self.ends, math.inf])):
            raise ValueError(f"ends are positive and rise, got {[*self.ends]}")


@dataclass(frozen=True)
class NodeFitted:
    """What :func:`fit_nodes` returns: ``model`` carries the weights of the best epoch and ends
    where that did, ``history`` has a record per epoch (train_loss, valid_loss, valid; end, where
    there is a choice), ``valid`` is the metric on the validation vertices in the best epoch,
    ``status`` is ``finished`` or ``early stop``."""

    model: nn.Module
    history: list[Record]
    best_epoch: int
    valid: float
    status: str


def fit_nodes(
    model: nn.Module,
    complex: CellComplex,
    y: Tensor,
    train: Tensor,
    valid: Tensor,
    config: NodeFitConfig | None = None,
    *,
    name: str = "accuracy",
    on_epoch: Callable[[Record], None] | None = None,
) -> NodeFitted:
    """Train ``model(complex) -> (n_0, classes)`` with cross entropy, and the regularisers of a
    :class:`topodiff.nn.ContinuousModel`; keep the best epoch's weights.

    Training runs on the device of the model. All random generators are seeded.

    Args:
        model: trained in place.
        complex: with features ``x[0]``.
        y: (n_0,) classes, whole numbers; those outside the masks do not matter.
        train, valid: (n_0,) bool.
        config: settings.
        name: the metric, ``accuracy`` or ``roc_auc`` (two classes).
        on_epoch: is given every record of the history when it is complete.

    Raises:
        TypeError: ``ends`` for a model that is not one in continuous time.
        ValueError: features that are missing or not finite, masks or classes that do not fit, also
            the outputs of the model, a metric that the validation vertices do not define.
        NonFiniteError: a loss that is not finite.
    """
    config = config or NodeFitConfig()
    check_nodes(complex, y, {"train": train, "valid": valid}, name)
    check_classes(y[valid], name, "the validation vertices")
    if config.ends and not isinstance(model, ContinuousModel):
        raise TypeError(f"{type(model).__name__} is not a model in continuous time: it has no ends")
    checkpoint.seed_everything(config.seed)
    device = device_of(model)
    complex = complex if complex.device == device else complex.to(device)
    classes = int(y[train | valid].max()) + 1
    y, train, valid = (
        y.long().to(device),
        *(mask.nonzero().flatten().to(device) for mask in (train, valid)),
    )
    if isinstance(model, ContinuousModel):
        model.end = None  # that of an earlier fit
    groups = parameter_groups(model, config)
    optimizer = OPTIMIZERS[config.optimizer](groups, lr=config.learning_rate)
    history: list[Record] = []
    best: Record = {"epoch": 0, "score": math.inf}
    status = "finished"
    for epoch in range(1, config.epochs + 1):
        record = {
            "epoch": epoch,
            "train_loss": _step(model, complex, y, train, optimizer, epoch, classes),
            **_validate(model, complex, y, valid, name, config),
        }
        history.append(record)
        if on_epoch:
            on_epoch(record)
        score = _score(record, config)
        if epoch == 1 or score < best["score"]:  # even the first loss may be infinite
            weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
            best = {**record, "score": score, "model": weights}
        elif config.patience and epoch - best["epoch"] >= config.patience:
            status = "early stop"
            break
    model.load_state_dict(best["model"])
    if isinstance(model, ContinuousModel) and config.ends:
        model.end = best["end"] * model.time
    model.eval()
    return NodeFitted(model, history, best["epoch"], best["valid"], status)


@torch.no_grad()
def evaluate_nodes(
    model: nn.Module, complex: CellComplex, y: Tensor, mask: Tensor, name: str = "accuracy"
) -> float:
    """The metric on the vertices of ``mask``, in evaluation mode.

    Raises:
        ValueError: as :func:`fit_nodes`.
    """
    check_nodes(complex, y, {"the mask": mask}, name)
    check_classes(y[mask], name, "the vertices of the mask")
    device, training = device_of(model), model.training
    complex = complex if complex.device == device else complex.to(device)
    where = mask.nonzero().flatten().to(device)
    model.eval()
    outputs = model(complex)
    model.train(training)
    y = y.long().to(device)[where]
    check_outputs(outputs, complex.num_cells(0), int(y.max()) + 1)
    found = _measure(outputs.index_select(0, where), y, name)
    return float(found["valid"])


def node_metric(name: str, outputs: Tensor, y: Tensor) -> float:
    """``accuracy``, or ``roc_auc`` of class 1 for two classes, from outputs (n, classes)."""
    if name == "accuracy":
        return float((outputs.argmax(1) == y).double().mean())
    return metric(name, outputs.softmax(1)[:, 1], y)


def parameter_groups(model: nn.Module, config: NodeFitConfig) -> list[dict[str, Any]]:
    """Groups of parameters for an optimiser, with the weight decays of ``config``.

    Raises:
        ValueError: a text of ``config.decays`` that is in no name.
    """
    groups: dict[str, list[nn.Parameter]] = {text: [] for text in ("", *config.decays)}
    for name, parameter in model.named_parameters():
        text = next((text for text in config.decays if text in name), "")
        groups[text].append(parameter)
    if unused := [text for text, found in groups.items() if text and not found]:
        raise ValueError(f"no parameter of the model has {unused[0]!r} in its name")
    decays = {"": config.weight_decay, **config.decays}
    return [{"params": p, "weight_decay": decays[text]} for text, p in groups.items() if p]


def _step(
    model: nn.Module,
    complex: CellComplex,
    y: Tensor,
    train: Tensor,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    classes: int,
) -> float:
    model.train()
    optimizer.zero_grad()
    outputs = model(complex)
    check_outputs(outputs, len(y), classes)
    loss = F.cross_entropy(outputs.index_select(0, train), y[train])
    if isinstance(model, ContinuousModel) and model.penalty is not None:
        loss = loss + model.penalty
    if not torch.isfinite(loss):
        raise NonFiniteError(
            f"the loss is {loss.item()} in epoch {epoch}; lower the learning rate "
            f"({optimizer.param_groups[0]['lr']:g}) or scale the features"
        )
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def _validate(
    model: nn.Module,
    complex: CellComplex,
    y: Tensor,
    where: Tensor,
    name: str,
    config: NodeFitConfig,
) -> Record:
    """The metrics on the vertices ``where``; with a choice of ends, at the best of them."""
    model.eval()
    if not (isinstance(model, ContinuousModel) and config.ends):
        return _measure(model(complex).index_select(0, where), y[where], name)
    times = [model.time * end for end in config.ends]
    outputs = model.trajectory(complex, times, rows=where)
    found = [
        {**_measure(output, y[where], name), "end": end}
        for end, output in zip(config.ends, outputs, strict=True)
    ]
    return min(found, key=partial(_score, config=config))


def _measure(outputs: Tensor, y: Tensor, name: str) -> Record:
    if not outputs.isfinite().all():
        raise NonFiniteError("outputs of the model are not finite: lower the learning rate")
    return {
        "valid_loss": F.cross_entropy(outputs, y).item(),
        "valid": node_metric(name, outputs, y),
    }


def _score(record: Record, config: NodeFitConfig) -> float:
    """What is least in the best epoch."""
    return float(record["valid_loss"] if config.select == "loss" else -record["valid"])
