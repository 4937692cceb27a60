"""Against the formulas by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from topodiff.training import Targets, evaluate, metric
from topodiff.training.selection import selecting_metric

NAN = math.nan
numbers = st.lists(
    st.tuples(st.floats(-100, 100, width=32), st.floats(-100, 100, width=32)),
    min_size=3,
    max_size=20,
)


@given(numbers)
def test_errors_by_hand(pairs):
    p, t = (torch.tensor(c, dtype=torch.float64) for c in zip(*pairs, strict=True))
    assert metric("rmse", p, t) == pytest.approx(math.sqrt(((p - t) ** 2).mean()), abs=1e-9)
    assert metric("mae", p, t) == pytest.approx((p - t).abs().mean().item(), abs=1e-9)


def test_r2_by_hand():
    t = torch.tensor([1.0, 2.0, 4.0, NAN])
    p = torch.tensor([1.5, 2.0, 3.0, 9.0])
    residual, total = 0.25 + 1.0, sum((v - 7 / 3) ** 2 for v in (1, 2, 4))
    assert metric("r2", p, t) == pytest.approx(1 - residual / total)


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_r2_knows_no_units(scale, offset):
    g = torch.Generator().manual_seed(0)
    y, p = torch.randn(2, 50, generator=g, dtype=torch.float64)
    expected = metric("r2", p, y)
    assert expected < 0.5
    assert metric("r2", (p + offset) * scale, (y + offset) * scale) == pytest.approx(expected)


def test_what_is_no_class_and_what_is_no_metric():
    with pytest.raises(ValueError, match=r"roc_auc takes classes 0 and 1, got 0\.5"):
        metric("roc_auc", torch.rand(3), torch.tensor([0.0, 1.0, 0.5]))
    with pytest.raises(ValueError, match="no metric 'auc'"):
        metric("auc", torch.rand(2), torch.tensor([0.0, 1.0]))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_roc_auc_is_the_share_of_ordered_pairs(pairs):
    p = torch.tensor([a / 5 for a, _ in pairs])
    t = torch.tensor([float(b) for _, b in pairs])
    positive, negative = p[t == 1], p[t == 0]
    found = metric("roc_auc", p, t)
    if len(positive) == 0 or len(negative) == 0:
        assert math.isnan(found)
    else:
        difference = positive[:, None] - negative[None]
        expected = ((difference > 0).double() + 0.5 * (difference == 0).double()).mean().item()
        assert found == pytest.approx(expected, abs=1e-6)


def test_average_precision_by_hand():
    p = torch.tensor([0.9, 0.8, 0.7, 0.6])
    t = torch.tensor([1.0, 0.0, 1.0, 0.0])
    # recall rises by 1/2 at ranks 1 (precision 1) and 3 (precision 2/3)
    assert metric("average_precision", p, t) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_columns_with_one_class_are_left_out_of_the_mean():
    targets = Targets(("a", "b"), ("classification",) * 2, (0.0, 0.0), (1.0, 1.0))
    p = torch.tensor([[0.9, 0.1], [0.2, 0.5], [0.4, 0.5]])
    y = torch.tensor([[1.0, 1.0], [0.0, 1.0], [NAN, NAN]])
    found = evaluate(targets, p, y)
    assert found["columns"]["a"]["roc_auc"] == 1
    assert math.isnan(found["columns"]["b"]["roc_auc"])
    assert found["mean"]["roc_auc"] == 1


def test_errors_in_different_units_have_no_mean():
    targets = Targets(("a", "b"), ("regression",) * 2, (0.0, 0.0), (1.0, 1.0))
    y = torch.tensor([[1.0, 100.0], [2.0, 300.0]])
    found = evaluate(targets, y + torch.tensor([1.0, 10.0]), y)
    assert found["columns"]["b"]["rmse"] == pytest.approx(10)
    assert set(found["mean"]) == {"r2"}
    with pytest.raises(ValueError, match=r"rmse of a, b is not defined .* or in different units"):
        selecting_metric("rmse", targets, y)
    assert selecting_metric("auto", targets, y) == "loss"


def test_mixed_columns_have_their_own_metrics():
    targets = Targets(("a", "mean"), ("regression", "classification"), (0.0, 0.0), (1.0, 1.0))
    y = torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    found = evaluate(targets, torch.tensor([[1.0, 0.2], [2.0, 0.9]]), y)
    assert found["columns"]["a"] == {"rmse": 0, "mae": 0, "r2": 1}
    assert found["columns"]["mean"]["roc_auc"] == 0
    assert found["mean"] == found["columns"]["a"] | found["columns"]["mean"]
