"""The state of a training run: one epoch after the other, to disk and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from topodiff.training import checkpoint
from topodiff.training.config import FitConfig
from topodiff.training.inference import call, device_of, predict
from topodiff.training.metrics import HIGHER_IS_BETTER, evaluate
from topodiff.training.samples import Samples
from topodiff.training.schedule import Schedule
from topodiff.training.selection import selecting_metric
from topodiff.training.targets import Targets

Record = dict[str, Any]


class NonFiniteError(FloatingPointError):
    """A loss or gradient that is not a number; says where it was born."""


class Run:
    """Everything that changes while a model is trained."""

    def __init__(
        self,
        model: nn.Module,
        train: Samples,
        valid: Samples,
        targets: Targets,
        config: FitConfig,
        folder: Path | None,
    ) -> None:
        checkpoint.seed_everything(config.seed)
        self.config, self.targets, self.folder = config, targets, folder
        self.signature = {
            "config": config.to_dict(),
            "targets": targets.to_dict(),
            "model": str(model),
            "training set": train.digest(),
            "validation set": valid.digest(),
        }
        device = device_of(model)
        self.train, self.valid = train.to(device), valid.to(device)
        self.valid_y = _targets_of(valid)
        self.metric = selecting_metric(config.metric, targets, self.valid_y)
        self.model = model
        self.average = (
            AveragedModel(model, avg_fn=self._move, use_buffers=True) if config.average else None
        )
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,  # one call for all parameters: a tenth of the time of small models
        )
        self.num_batches = -(-len(train) // config.batch_size)
        self.schedule = Schedule(config, self.optimizer, self.num_batches)
        self.order = torch.Generator().manual_seed(config.seed)
        self.history: list[Record] = []
        self.best: Record = {"epoch": 0, "score": math.inf, "model": _copy(model.state_dict())}
        self.status = ""

    # -- one epoch -------------------------------------------------------------------------------

    def epoch(self) -> Record:
        """Train one epoch, validate, take note, write a checkpoint."""
        number = len(self.history) + 1
        self.model.train()
        total = torch.zeros((), dtype=torch.float64)
        for b, batch in enumerate(self._batches(), 1):
            total += self._step(batch, f"epoch {number}, batch {b} of {self.num_batches}")
        record = {
            "epoch": number,
            "learning_rate": self.schedule.rate,
            "train_loss": float(total / self.num_batches),
            **self._validate(),
        }
        self.history.append(record)
        self._select(record)
        if self.folder is not None:
            checkpoint.save_newest(self.folder, self.state_dict())
        return record

    def _batches(self) -> Iterator[Samples]:
        # parts of equal size to one: no batch of a single complex is left over at the end
        shuffled = torch.randperm(len(self.train), generator=self.order)
        for part in shuffled.tensor_split(self.num_batches):
            yield self.train.select(part.to(self.train.complexes.device))

    def _step(self, batch: Samples, place: str) -> float:
        self.schedule.before_step()
        scaled = self.targets.scale(_targets_of(batch))
        losses = self.targets.losses(call(self.model, batch), scaled, self.config.loss)
        loss = losses.sum() / scaled.isfinite().sum().clamp(min=1)
        if not torch.isfinite(loss):
            raise NonFiniteError(
                f"the loss is {loss.item()} in {place}, from {_where(batch, losses)}; lower the "
                f"learning rate ({self.config.learning_rate:g}) or look at these complexes"
            )
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip or math.inf)
        if not torch.isfinite(norm):
            raise NonFiniteError(
                f"the gradient is {norm.item()} while the loss is {loss.item():g} in {place}, "
                f"{_where(batch)}"
            )
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return loss.item()

    def _move(self, average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        if not current.is_floating_point():
            return current
        # the first steps average over what there is, not over the initial weights
        n = float(count)
        return average.lerp(current, 1 - min(self.config.average, (1 + n) / (10 + n)))

    @property
    def judged(self) -> nn.Module:
        """The model that is validated and kept: the moving average, or the model itself."""
        return self.model if self.average is None else self.average.module

    def _validate(self) -> Record:
        outputs = predict(self.judged, self.valid)
        if not outputs.isfinite().all():
            raise NonFiniteError(
                f"the prediction is not finite after epoch {len(self.history) + 1}, "
                f"for validation {_where(self.valid, outputs)}"
            )
        loss = self.targets.loss(outputs, self.targets.scale(self.valid_y), self.config.loss)
        found = evaluate(self.targets, self.targets.unscale(outputs), self.valid_y)["mean"]
        return {"valid_loss": float(loss), "valid": found}

    def _select(self, record: Record) -> None:
        value = record["valid_loss"] if self.metric == "loss" else record["valid"][self.metric]
        score = -value if self.metric in HIGHER_IS_BETTER else value
        self.schedule.after_epoch(score)
        number = record["epoch"]
        if score < self.best["score"]:
            weights = _copy(self.judged.state_dict())
            self.best = {"epoch": number, "score": score, "model": weights}
        if number >= self.config.epochs:
            self.status = "finished"
        elif self.config.patience and number - self.best["epoch"] >= self.config.patience:
            self.status = "early stop"
        elif self.schedule.finished:
            self.status = "lowest rate"

    # -- stopping and going on -------------------------------------------------------------------

    def state_dict(self) -> Record:
        """Everything that the rest of the training depends on."""
        return {
            "signature": self.signature,
            "model": self.model.state_dict(),
            "average": {} if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "order": self.order.get_state(),
            "rng": checkpoint.rng_state(),
            "history": self.history,
            "best": self.best,
            "status": self.status,
        }

    def resume(self) -> None:
        """Load the newest checkpoint, if there is one."""
        if self.folder is None:
            raise ValueError("resume=True needs the folder of the checkpoints")
        state = checkpoint.load_newest(self.folder, device_of(self.model))
        if state is None:
            return
        if "signature" not in state:
            raise ValueError(f"the newest checkpoint in {self.folder} is not that of a run")
        _check_same_run(self.folder, state["signature"], self.signature)
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.order.set_state(state["order"].cpu())
        checkpoint.set_rng_state(state["rng"])
        self.history, self.best, self.status = state["history"], state["best"], state["status"]


def _check_same_run(folder: Path, old: Record, new: Record) -> None:
    changes = []
    for name in new:
        if isinstance(new[name], dict) and old.get(name) != new[name]:
            keys = [k for k in new[name] if old[name].get(k) != new[name][k]]
            changes += [f"{k} was {old[name].get(k)!r} and is {new[name][k]!r}" for k in keys]
        elif old.get(name) != new[name]:
            changes.append(f"the {name} is another one")
    if changes:
        raise ValueError(
            f"the checkpoint in {folder} belongs to another run: {'; '.join(changes)}. "
            "Resume with the settings and data of before, or start afresh in another folder"
        )


def _targets_of(samples: Samples) -> Tensor:
    if samples.y is None:
        raise ValueError("these samples have no targets")
    return samples.y


def _copy(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v.detach().clone() for k, v in state.items()}


def _where(samples: Samples, values: Tensor | None = None) -> str:
    """Names the samples, of those with values that are not finite where values are given."""
    which = list(range(len(samples)))
    if values is not None:
        which = (~values.isfinite()).any(1).nonzero().flatten().tolist() or which
    what = "complex" if samples.lines is None else "line"
    numbers = which if samples.lines is None else [samples.lines[i] for i in which]
    return f"{what} " + ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
