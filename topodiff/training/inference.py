"""Calling a model on samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from topodiff.training.samples import Samples


@torch.no_grad()
def predict(model: nn.Module, samples: Samples, batch_size: int = 512) -> Tensor:
    """Outputs of ``model`` (n, columns) in evaluation mode, on the CPU; ``Targets.unscale`` gives
    them their meaning."""
    device, training = device_of(model), model.training
    model.eval()
    parts = [
        call(model, samples.select(part).to(device)).cpu()
        for part in torch.arange(len(samples)).split(batch_size)
    ]
    model.train(training)
    return torch.cat(parts)


def call(model: nn.Module, samples: Samples) -> Tensor:
    """``model(complexes)``, or ``model(complexes, features)`` where there are features."""
    extra = () if samples.features is None else (samples.features,)
    outputs: Tensor = model(samples.complexes, *extra)
    return outputs


def usable_device(name: torch.device | str) -> torch.device:
    """The device of that name; ValueError where it is none of ours (cpu, cuda, cuda:1, ...) or is
    not there."""
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"device is cpu, cuda or cuda:NUMBER, got {str(name)!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        there = f"{count} of them here" if count else "none that torch can use here"
        raise ValueError(f"there is no device {str(name)!r} ({there}): take cpu")
    return device


def device_of(model: nn.Module) -> torch.device:
    """Where the parameters are."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))
