"""Models under the modes of torch: inference, then training; autocast."""

from __future__ import annotations

import contextlib

import pytest
import torch
from every_model import MODELS, complex_for

from topodiff.nn import NodeMLP

every_model = pytest.mark.parametrize("name", MODELS)


@every_model
def test_inference_does_not_spoil_training(name):
    torch.manual_seed(0)
    K, model = complex_for(name), MODELS[name]().eval()
    with torch.inference_mode():
        inferred = model(K)
    out = model(K)
    out.sum().backward()
    torch.testing.assert_close(inferred.clone(), out.detach())
    assert any(p.grad is not None for p in model.parameters())


@every_model
def test_a_transform_that_fails_does_not_spoil_what_comes_after(name):
    K, model = complex_for(name), MODELS[name]().eval()
    fresh = complex_for(name)
    parameters = dict(model.named_parameters())

    def loss(given):
        return torch.func.functional_call(model, given, (K,)).sum()

    with contextlib.suppress(RuntimeError):  # most kernels have no rules for transforms
        torch.func.grad(loss)(parameters)
    torch.testing.assert_close(model(K), model(fresh))


def test_inference_on_sparse_features_does_not_spoil_training():
    torch.manual_seed(0)
    K, model = complex_for("MLP"), NodeMLP(50, 6, 2)
    x = torch.zeros(12, 50)
    x[:, 3] = 1.0
    with torch.inference_mode():
        model(K, x)
    model(K, x).sum().backward()
    assert model.layers[0].weight.grad.any()


@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@every_model
def test_autocast(name, lower):
    torch.manual_seed(0)
    K, model = complex_for(name), MODELS[name]().eval()
    exact = model(K)
    with torch.autocast("cpu", lower):
        out = model(K)
    error = (out - exact).detach().abs().max() / exact.detach().abs().max()
    assert error < 0.03
    model.train()
    with torch.autocast("cpu", lower):
        loss = model(K).float().square().sum()
    loss.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
