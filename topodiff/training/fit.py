"""The fit loop.

It is our own and not Lightning's: resuming bit-identically after a kill at any moment needs the
random states, the order of batches, the best weights and the history in one checkpoint written at
one place, and that is most of what a loop is; the rest is a page that anyone can read.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from topodiff.training.config import FitConfig
from topodiff.training.files import check_writable, locked
from topodiff.training.metrics import HIGHER_IS_BETTER
from topodiff.training.run import Record, Run
from topodiff.training.samples import Samples
from topodiff.training.targets import Targets


@dataclass(frozen=True)
class Fitted:
    """What :func:`fit` returns.

    ``model`` carries the weights of the best epoch, ``history`` one record per epoch, ``score`` is
    the best value of the selecting metric, ``status`` is ``finished`` (all epochs), ``early stop``
    (no improvement for ``patience`` epochs) or ``lowest rate`` (plateau schedule).
    """

    model: nn.Module
    history: list[Record]
    best_epoch: int
    score: float
    metric: str
    status: str


def fit(
    model: nn.Module,
    train: Samples,
    valid: Samples,
    targets: Targets,
    config: FitConfig,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    on_epoch: Callable[[Record], None] | None = None,
) -> Fitted:
    """Train ``model`` and keep the weights of the epoch that is best on ``valid``.

    The model is called with the complexes of a batch, and with their features as second argument
    where the samples have them, and returns (batch, columns) outputs; see :class:`Targets` for
    their meaning. Training runs on the device of the model. All random generators are seeded.

    Args:
        model: trained in place.
        train, valid: samples with targets.
        targets: columns with the scales of the training set.
        config: settings.
        folder: where to write a checkpoint after every epoch, made if there is none; no
            checkpoints are written if omitted.
        resume: go on from the checkpoint in ``folder``, if there is one; the result is the same,
            bit for bit, as without the interruption (on CPU with the same number of threads).
        on_epoch: is given every record of the history when it is complete, earlier ones first.

    Raises:
        ValueError: samples without targets, a metric that the validation set does not define,
            a folder that cannot be written to or that another process writes into, or a checkpoint
            of another run.
        NonFiniteError: a loss or gradient that is not finite.
    """
    for name, samples in (("training", train), ("validation", valid)):
        if len(samples) == 0 or samples.y is None:
            raise ValueError(f"the {name} set needs at least one complex and targets")
    run = Run(model, train, valid, targets, config, None if folder is None else Path(folder))
    with ExitStack() as stack:
        if run.folder is not None:
            _make_folder(run.folder)
            stack.enter_context(locked(run.folder))
        _train(run, resume, on_epoch)
    model.load_state_dict(run.best["model"])
    model.eval()
    score = run.best["score"] * (-1 if run.metric in HIGHER_IS_BETTER else 1)
    return Fitted(model, run.history, run.best["epoch"], score, run.metric, run.status)


def _train(run: Run, resume: bool, on_epoch: Callable[[Record], None] | None) -> None:
    if resume:
        run.resume()
    for record in run.history:
        if on_epoch:
            on_epoch(record)
    while not run.status:
        record = run.epoch()
        if on_epoch:
            on_epoch(record)


def _make_folder(folder: Path) -> None:
    check_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder} is no folder for checkpoints: {error.strerror}") from None
