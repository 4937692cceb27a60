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


def device_of(model: nn.Module) -> torch.device:
    """Where the parameters are."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))
