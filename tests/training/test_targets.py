import math

import pytest
import torch
import torch.nn.functional as F
from small import samples

from topodiff.training import Samples, Targets

NAN = math.nan


def test_scale_comes_from_known_entries():
    y = torch.tensor([[1.0, 0.0], [3.0, 1.0], [NAN, NAN], [5.0, 1.0]])
    targets = Targets.fit(y, ["logS", "active"])
    assert targets.tasks == ("regression", "classification")
    assert targets.task == "mixed"
    assert targets.mean == (3.0, 0.0)
    assert targets.std == (2.0, 1.0)
    scaled = targets.scale(y)
    assert scaled[0].tolist() == [-1.0, 0.0]
    assert scaled[2].isnan().all()


def test_unscale_gives_units_and_probabilities():
    targets = Targets(("a", "b"), ("regression", "classification"), (3.0, 0.0), (2.0, 1.0))
    found = targets.unscale(torch.tensor([[0.5, 0.0], [-1.0, 2.0]]))
    expected = torch.tensor([[4.0, 0.5], [1.0, 1 / (1 + math.exp(-2))]])
    torch.testing.assert_close(found, expected.double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "regression"), [("l2", 0.09), ("l1", 0.3), ("huber", 0.5 * 0.09)])
def test_loss_is_the_mean_over_known_entries(kind, regression, dtype):
    targets = Targets(("a", "b"), ("regression", "classification"), (0.0, 0.0), (1.0, 1.0))
    outputs = torch.tensor([[0.3, 1.0], [9.0, 7.0]], dtype=dtype, requires_grad=True)
    y = torch.tensor([[0.0, 1.0], [NAN, NAN]], dtype=dtype)
    loss = targets.loss(outputs, targets.scale(y), kind)
    entropy = F.softplus(torch.tensor(-1.0)).item()
    assert loss.item() == pytest.approx((regression + entropy) / 2, rel=1e-6)
    loss.backward()
    assert outputs.grad[1].tolist() == [0.0, 0.0]
    assert outputs.grad[0].abs().min() > 0


def test_no_known_entry_gives_zero_and_no_gradient():
    targets = Targets(("a",), ("regression",), (0.0,), (1.0,))
    outputs = torch.ones(3, 1, requires_grad=True)
    loss = targets.loss(outputs, torch.full((3, 1), NAN))
    loss.backward()
    assert loss.item() == 0
    assert outputs.grad.abs().sum() == 0


def test_large_outputs_of_missing_targets_do_not_overflow():
    targets = Targets(("a",), ("regression",), (0.0,), (1.0,))
    outputs = torch.tensor([[1e30], [1.0]], requires_grad=True)
    loss = targets.loss(outputs, torch.tensor([[NAN], [0.0]]))
    loss.backward()
    assert loss.item() == 1
    assert outputs.grad.isfinite().all()


@pytest.mark.parametrize(
    ("column", "task", "message"),
    [
        ([2.0, 2.0, NAN], "auto", r"'p' is constant \(2\) among the 2 training rows"),
        ([1.0, 1.0, NAN], "classification", r"'p' is constant \(1\)"),
        ([NAN, NAN, NAN], "auto", "'p' has no value among the training rows"),
        ([0.0, 1.0, 2.0], "classification", "'p' is to be classified and needs 0 or 1, got 2"),
        (
            [0.0, 1.0, 2.0],
            "ranking",
            "task must be one of auto, .*; got 'ranking'",
        ),
    ],
)
def test_unusable_columns(column, task, message):
    with pytest.raises(ValueError, match=message):
        Targets.fit(torch.tensor(column)[:, None], ["p"], task)


def test_columns_are_classes_only_if_all_their_values_are():
    y = torch.tensor([[0.0], [1.0], [1.0]])
    assert Targets.fit(y, others=torch.tensor([[1.0], [torch.nan]])).tasks == ("classification",)
    counts = Targets.fit(y, others=torch.tensor([[2.0]]))
    assert counts.tasks == ("regression",)
    assert counts.mean == pytest.approx((2 / 3,))
    with pytest.raises(ValueError, match="needs 0 or 1, got 2"):
        Targets.fit(y, tasks="classification", others=torch.tensor([[2.0]]))


def test_two_other_values_are_a_regression_with_a_warning(recwarn):
    with pytest.warns(UserWarning, match="'p' holds but two values, 1 and 2, .* write 0 and 1"):
        found = Targets.fit(torch.tensor([[1.0], [2.0], [NAN]]), ["p"])
    assert found.tasks == ("regression",)
    Targets.fit(torch.tensor([[1.0], [2.0], [3.0]]))
    Targets.fit(torch.tensor([[1.0], [2.0]]), tasks="regression")
    assert not recwarn


def test_zeros_and_ones_can_be_a_regression():
    assert Targets.fit(torch.tensor([[0.0], [1.0]]), tasks="regression").tasks == ("regression",)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.float16, torch.bfloat16])
def test_targets_are_scaled_as_floats(kind):
    y = torch.tensor([[0.0], [1.0], [1.0]])
    targets = Targets.fit(y, tasks="regression")
    torch.testing.assert_close(targets.scale(y.to(kind)), targets.scale(y))
    data = samples(3)
    assert torch.equal(Samples(data.complexes, y.to(kind)).y, y.double())


def test_large_offsets_leave_small_differences():
    y = torch.tensor([[-19444.0110], [-19444.0109], [-19444.0105]], dtype=torch.float64)
    targets = Targets.fit(y)
    outputs = targets.scale(y).float()
    assert outputs.std().item() == pytest.approx(1)
    assert (targets.unscale(outputs) - y).abs().max() < 1e-9
    assert targets.loss(outputs, targets.scale(y), "huber") < 1e-12


def test_dict_round_trip():
    targets = Targets.fit(torch.randn(5, 2))
    assert Targets.from_dict(targets.to_dict()) == targets
