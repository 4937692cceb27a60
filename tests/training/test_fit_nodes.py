"""Fitting models of vertices: what is kept, what is reproducible, what is refused."""

import pytest
import torch
from torch import nn

from topodiff.complexes import CellComplex
from topodiff.nn import GCN, NodeMLP
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
    with pytest.raises(ValueError, match="metric is one of"):
        fit_nodes(model, K, y, train, valid, name="f1")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"epochs": 0}, "epochs is at least 1"),
        ({"select": "test"}, "select is one of"),
        ({"learning_rate": float("nan")}, "not negative"),
        ({"decays": {"a": -1.0}}, "not negative"),
    ],
)
def test_settings_are_checked(options, problem):
    with pytest.raises(ValueError, match=problem):
        NodeFitConfig(**options)


def test_divergence_is_reported(data):
    K, y, train, valid, _ = data
    config = NodeFitConfig(epochs=50, learning_rate=1e30, weight_decay=0.0)
    with pytest.raises(NonFiniteError, match="lower the learning rate"):
        fit_nodes(NodeMLP(3, 8, 3, num_layers=3), K, y, train, valid, config)
