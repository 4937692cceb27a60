"""The first linear map on sparse features, and dropout."""

from __future__ import annotations

import pytest
import torch

from topodiff.nn.dropout import Dropout
from topodiff.nn.feature_linear import FeatureLinear


def bags(n: int = 30, words: int = 50) -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    x = torch.rand(n, words, generator=g, dtype=torch.float64)
    return x * (x > 0.9)


def test_sparse_features_give_what_dense_ones_give():
    torch.manual_seed(0)
    layer, x = FeatureLinear(50, 6).double(), bags()
    out = layer(x)
    torch.testing.assert_close(out, x @ layer.weight + layer.bias)
    of_sparse = torch.autograd.grad(out.square().sum(), list(layer.parameters()))
    dense = x.clone().requires_grad_()
    of_dense = torch.autograd.grad(layer(dense).square().sum(), list(layer.parameters()))
    torch.testing.assert_close(of_sparse, of_dense)


def test_features_without_entries():
    layer = FeatureLinear(50, 6)
    torch.testing.assert_close(layer(torch.zeros(3, 50)), layer.bias.expand(3, 6))
    assert layer(torch.zeros(0, 50)).shape == (0, 6)


@pytest.mark.parametrize("sparse", [True, False])
def test_dropout_of_features_keeps_the_mean(sparse):
    torch.manual_seed(0)
    x = bags() if sparse else bags() + 1
    layer = FeatureLinear(50, 4, dropout=0.5).double()
    expected = layer.eval()(x)
    layer.train()
    draws = torch.stack([layer(x) for _ in range(400)])
    assert not torch.equal(draws[0], draws[1])
    error = (draws.mean(0) - expected).abs()
    assert bool((error < 6 * draws.std(0) / 20 + 1e-9).all())


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7276])
def test_dropout_has_the_law_that_it_says(p):
    torch.manual_seed(0)
    x = torch.ones(99_999)
    out = Dropout(p)(x)
    kept = out != 0
    assert abs(float(kept.float().mean()) - (1 - p)) < 0.01
    torch.testing.assert_close(
        out[kept], torch.full_like(out[kept], 1 / (1 - p)), rtol=1e-4, atol=0
    )
    pairs = kept[:-1] & kept[1:]
    assert abs(float(pairs.float().mean()) - (1 - p) ** 2) < 0.01
    assert Dropout(p).eval()(x) is x


def test_dropout_at_its_ends():
    x = torch.ones(10, 3)
    assert Dropout(0.0)(x) is x
    assert not Dropout(1.0)(x).any()
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="probability"):
            Dropout(p)


def test_many_rows_give_the_gradients_that_few_give():
    layer, x = FeatureLinear(5, 3).double(), bags(400, 5)
    whole = layer(x)  # so few columns that gradients are added to them row by row
    parts = torch.cat([layer(part.clone()) for part in x.split(40)])
    torch.testing.assert_close(whole, parts)
    seed = torch.randn_like(whole)
    gradients = [torch.autograd.grad(y, list(layer.parameters()), seed) for y in (whole, parts)]
    torch.testing.assert_close(*gradients)
