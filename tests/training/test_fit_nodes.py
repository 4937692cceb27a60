"""Fitting models of vertices: what is kept, what is reproducible, what is refused."""

import pytest
import torch
from torch import nn

from topodiff.complexes import CellComplex
from topodiff.nn import GCN, ContinuousModel, NodeMLP
from topodiff.training import NonFiniteError
from topodiff.training.nodes import (
    NodeFitConfig,
    evaluate_nodes,
    fit_nodes,
    node_metric,
    parameter_groups,
)

FAST = NodeFitConfig(epochs=40, patience=0, learning_rate=0.05)


@pytest.fixture
def data():
    """three clusters, joined at random; masks of thirds."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(3).repeat(20)
    x = torch.randn(60, 3, generator=generator) + 8 * torch.eye(3)[y]
    edges = torch.randint(60, (2, 90), generator=generator)
    K = CellComplex.from_edges(60, edges, self_loops="drop", x={0: x})
    part = torch.arange(60) // 3 % 3
    return K, y, part == 0, part == 1, part == 2


def fit(data, config=FAST, seed=0, **options):
    K, y, train, valid, _ = data
    torch.manual_seed(seed)
    return fit_nodes(NodeMLP(3, 8, 3, dropout=0.1), K, y, train, valid, config, **options)


def test_it_learns(data):
    K, y, _, valid, test = data
    fitted = fit(data)
    assert fitted.status == "finished"
    assert len(fitted.history) == 40
    assert fitted.valid > 0.9
    assert evaluate_nodes(fitted.model, K, y, test) > 0.9
    assert evaluate_nodes(fitted.model, K, y, valid) == fitted.valid
    assert not fitted.model.training


@pytest.mark.parametrize("select", ["loss", "metric"])
def test_the_first_best_epoch_is_kept(data, select):
    K, y, _, valid, _ = data
    fitted = fit(data, NodeFitConfig(epochs=60, patience=0, learning_rate=0.2, select=select))
    best = fitted.history[fitted.best_epoch - 1]
    if select == "loss":
        assert best["valid_loss"] == min(r["valid_loss"] for r in fitted.history)
    else:
        first = max(fitted.history, key=lambda r: r["valid"])
        assert fitted.best_epoch == first["epoch"]
    assert fitted.valid == best["valid"] == evaluate_nodes(fitted.model, K, y, valid)


def test_patience(data):
    fitted = fit(data, NodeFitConfig(epochs=500, patience=7, learning_rate=0.2))
    assert fitted.status == "early stop"
    assert len(fitted.history) == fitted.best_epoch + 7


def test_same_seed_same_bits(data):
    seen = []
    a, b = fit(data), fit(data, on_epoch=seen.append)
    assert a.history == b.history == seen
    for one, other in zip(a.model.parameters(), b.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert fit(data, NodeFitConfig(epochs=40, patience=0, learning_rate=0.05, seed=1)).history != (
        a.history
    )


def test_only_training_vertices_are_learnt_from(data):
    K, y, train, valid, test = data
    other = torch.where(train | valid, y, (y + 1) % 3)
    assert fit(data).history == fit((K, other, train, valid, test)).history
    unknown = torch.where(train | valid, y, -1)
    assert fit(data).history == fit((K, unknown, train, valid, test)).history


class Decayed(nn.Module):
    """No gradient but that of weight decay."""

    def __init__(self):
        super().__init__()
        self.learner = nn.Linear(3, 3)
        self.other = nn.Linear(3, 3)

    def forward(self, K):
        return 0 * (self.learner(K.x[0]) + self.other(K.x[0]))


def test_weight_decay_by_group(data):
    model = Decayed()
    config = NodeFitConfig(weight_decay=0.1, decays={"learner.weight": 0.3, "learner.bias": 0.0})
    groups = parameter_groups(model, config)
    found = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert found == {
        id(model.learner.weight): 0.3,
        id(model.learner.bias): 0.0,
        id(model.other.weight): 0.1,
        id(model.other.bias): 0.1,
    }
    with pytest.raises(ValueError, match="'sheaf' in its name"):
        parameter_groups(model, NodeFitConfig(decays={"sheaf": 0.1}))


def test_decay_is_that_of_adam(data):
    """Added to the gradient: the same as a penalty of half the square."""
    K, y, train, valid, _ = data
    torch.manual_seed(0)
    model = GCN(3, 4, 3, dropout=0.0)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    fit_nodes(model, K, y, train, valid, NodeFitConfig(epochs=1, weight_decay=0.1))
    twin = GCN(3, 4, 3, dropout=0.0)
    twin.load_state_dict(start)
    optimizer = torch.optim.Adam(twin.parameters(), lr=0.01)
    penalty = sum(p.square().sum() for p in twin.parameters()) * 0.1 / 2
    (nn.functional.cross_entropy(twin(K)[train], y[train]) + penalty).backward()
    optimizer.step()
    torch.testing.assert_close(model.state_dict(), twin.state_dict())


class Drift(ContinuousModel):
    """``x_i(t) = v_i t``, of class 1 where it is above a half."""

    def __init__(self):
        super().__init__(1, 1, 2, time=1.0, solver="euler", step_size=0.1)

    def encode(self, complex, x):
        return 0 * complex.x[0]

    def make_law(self, complex, x):
        return lambda t, z: complex.x[0]

    def decode(self, x):
        return torch.cat([torch.full_like(x, 0.5), x], -1) + 0 * self.decoder.bias


# 1 passes a half at t = 0.5, 0.4 at 1.25, 0.3 at 1.67; classes of the first two, and of the last
# two, agree with that between 0.5 and 1.25
SPEEDS, ENDS = (1.0, 0.4, 0.3, 1.0, 0.4), (0.3, 0.4, 1.0, 1.2, 2.0)
CLASSES = torch.tensor([1, 0, 1, 1, 0])


def drift(ends, classes=CLASSES, **options):
    K = CellComplex.from_edges(5, torch.tensor([[0], [1]]), x={0: torch.tensor(SPEEDS)[:, None]})
    train, valid = torch.tensor([[0, 0, 0, 1, 1], [1, 1, 0, 0, 0]]).bool()
    config = NodeFitConfig(epochs=2, ends=ends, **options)
    return K, fit_nodes(Drift(), K, classes, train, valid, config)


def test_the_diffusion_ends_where_it_is_best_on_validation_vertices():
    K, fitted = drift(ENDS, select="metric")
    # right are 1, 1, 2, 2, 1 of two; of several alike the first
    assert [r["valid"] for r in fitted.history] == [1.0, 1.0]
    assert [r["end"] for r in fitted.history] == [1.0, 1.0]
    assert fitted.model.end == 1.0
    assert fitted.model(K)[:, 1].tolist() == pytest.approx(SPEEDS)
    # vertex 2 is right at the last end alone, but it is in no mask
    assert evaluate_nodes(fitted.model, K, CLASSES, torch.arange(5) == 2) == 0
    other = torch.where(torch.arange(5) == 2, 1 - CLASSES, CLASSES)
    assert drift(ENDS, other, select="metric")[1].history == fitted.history
    # the loss, log(1 + exp(0.5 - t)) + log(1 + exp(0.4 t - 0.5)), is 1.119 at 1 and 1.056 at 2
    assert drift(ENDS, select="loss")[1].model.end == 2.0
    assert drift((0.3, 0.4), select="metric")[1].model.end == pytest.approx(0.3)
    assert drift(())[1].model.end is None


def test_ends_belong_to_models_in_continuous_time(data):
    with pytest.raises(TypeError, match="NodeMLP is not a model in continuous time"):
        fit(data, NodeFitConfig(ends=(1.0,)))


def test_metrics():
    outputs = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [0.0, -1.0]])
    y = torch.tensor([0, 1, 0, 0])
    assert node_metric("accuracy", outputs, y) == 0.5
    # class 1 outranks two of three
    assert node_metric("roc_auc", outputs, y) == pytest.approx(2 / 3)


def test_roc_auc(data):
    K, y, train, valid, _ = data
    two = (y == 1).long()
    fitted = fit_nodes(NodeMLP(3, 8, 2, dropout=0.1), K, two, train, valid, FAST, name="roc_auc")
    assert fitted.valid > 0.9
    with pytest.raises(ValueError, match="both, on the validation"):
        fit_nodes(NodeMLP(3, 8, 2), K, two, train, valid & (y == 1), FAST, name="roc_auc")
    with pytest.raises(ValueError, match="both, on the vertices of the mask"):
        evaluate_nodes(fitted.model, K, two, valid & (y == 1), "roc_auc")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_found_before_any_compute(data, bad):
    K, y, train, valid, _ = data
    x = K.x[0].clone()
    x[7, 1] = bad

    def never(K):
        raise AssertionError

    model = NodeMLP(3, 8, 3)
    model.forward = never
    with pytest.raises(ValueError, match="1 vertices are not finite, the first is vertex 7"):
        fit_nodes(model, K.replace(x={0: x}), y, train, valid)
    with pytest.raises(ValueError, match=r"x\[0\] is missing"):
        fit_nodes(model, K.replace(x={}), y, train, valid)


def test_mistakes(data):
    K, y, train, valid, _ = data
    model = NodeMLP(3, 8, 3)
    for arguments, problem in (
        ((K, y[:5], train, valid), r"y of 60 vertices has shape \(60,\), got \(5,\)"),
        ((K, y, train[None], valid), r"train of 60 vertices"),
        ((K, y, train.long(), valid), r"train is a mask"),
        ((K, y, train, valid & False), r"valid is a mask .* at least one"),
        ((K, y - 1, train, valid), r"y is negative at a vertex of train"),
    ):
        with pytest.raises(ValueError, match=problem):
            fit_nodes(model, *arguments)
    with pytest.raises(ValueError, match="metric must be one of"):
        fit_nodes(model, K, y, train, valid, name="f1")
    with pytest.raises(ValueError, match=r"y holds numbers of classes.*got torch.float32"):
        fit_nodes(model, K, y.float(), train, valid)


def test_more_classes_than_outputs(data):
    K, y, train, valid, _ = data
    for where in (train, valid):
        wrong = y + where.long()
        with pytest.raises(ValueError, match=r"classes up to 3.*\(60, 4\).*got \(60, 3\)"):
            fit_nodes(NodeMLP(3, 8, 3), K, wrong, train, valid)
        with pytest.raises(ValueError, match=r"classes up to 3.*got \(60, 3\)"):
            evaluate_nodes(NodeMLP(3, 8, 3), K, wrong, where)
    unseen = torch.where(train | valid, y, 7)
    fit_nodes(NodeMLP(3, 8, 3), K, unseen, train, valid, NodeFitConfig(epochs=1))


def test_classes_may_be_short_integers(data):
    K, y, train, valid, test = data
    same = fit((K, y.int(), train, valid, test))
    assert same.history == fit(data).history
    assert evaluate_nodes(same.model, K, y.int(), test) == evaluate_nodes(same.model, K, y, test)


def test_evaluation_checks_as_well(data):
    K, y, train, _, _ = data
    model = NodeMLP(3, 8, 3)
    for arguments, problem in (
        ((K, y, train & False), "the mask is a mask .* at least one"),
        ((K, y, torch.arange(60)), "the mask is a mask"),
        ((K, y, train[:10]), r"the mask of 60 vertices has shape"),
        ((K, y.double(), train), "whole numbers"),
        ((K, y, train, "f1"), "metric must be one of"),
    ):
        with pytest.raises(ValueError, match=problem):
            evaluate_nodes(model, *arguments)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"epochs": 0}, "epochs must be a whole number >= 1"),
        ({"select": "test"}, "select must be one of"),
        ({"learning_rate": float("nan")}, "not negative"),
        ({"learning_rate": float("inf")}, "not negative"),
        ({"decays": {"a": -1.0}}, "not negative"),
        ({"seed": 2**63}, "seed must be a whole number from 0 to"),
        ({"ends": (1.0, 1.0)}, "positive and rise"),
        ({"ends": (0.0, 1.0)}, "positive and rise"),
    ],
)
def test_settings_are_checked(options, problem):
    with pytest.raises(ValueError, match=problem):
        NodeFitConfig(**options)


def test_rates_are_numbers():
    with pytest.raises(TypeError, match="learning rate or weight decay is a number, got '1e-3'"):
        NodeFitConfig(learning_rate="1e-3")


def test_divergence_is_reported(data):
    K, y, train, valid, _ = data
    config = NodeFitConfig(epochs=50, learning_rate=1e30, weight_decay=0.0)
    with pytest.raises(NonFiniteError, match="lower the learning rate"):
        fit_nodes(NodeMLP(3, 8, 3, num_layers=3), K, y, train, valid, config)


def test_an_infinite_validation_loss_is_no_better_than_others(data):
    class Extreme(NodeMLP):
        def forward(self, complex):
            outputs = super().forward(complex)
            return outputs if self.training else 3e38 * torch.tensor([1.0, -1.0, 1.0]) + 0 * outputs

    K, y, train, valid, _ = data
    fitted = fit_nodes(Extreme(3, 8, 3), K, y, train, valid, FAST)
    assert (fitted.best_epoch, fitted.history[0]["valid_loss"]) == (1, float("inf"))
