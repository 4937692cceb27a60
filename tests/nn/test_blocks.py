"""Normalisation, split linear maps, readout."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from topodiff.nn import MLP, NormActivation, Readout
from topodiff.nn.linear import SplitLinear
from topodiff.nn.model import concat_layers


@pytest.mark.parametrize("activation", ["identity", "relu", "elu", "silu", "tanh"])
def test_batch_norm_equals_pytorch(activation):
    torch.manual_seed(0)
    ours, theirs = NormActivation(5, "batch", activation).double(), nn.BatchNorm1d(5).double()
    act = {"identity": nn.Identity(), "relu": nn.ReLU(), "elu": nn.ELU(), "silu": nn.SiLU(),
           "tanh": nn.Tanh()}[activation]  # fmt: skip
    with torch.no_grad():
        for module in (ours, theirs):
            module.weight.copy_(torch.linspace(-1, 2, 5))
            module.bias.copy_(torch.linspace(2, -1, 5))
    for training in (True, True, False):
        ours.train(training), theirs.train(training)
        x = (torch.randn(9, 5, dtype=torch.float64) * 3 + 1).requires_grad_()
        a, b = ours(x), act(theirs(x))
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
        g = torch.randn_like(a)
        a = torch.autograd.grad(a, [x, ours.weight, ours.bias], g)
        b = torch.autograd.grad(b, [x, theirs.weight, theirs.bias], g)
        for p, q in zip(a, b, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)


@pytest.mark.parametrize("rows", [0, 1])
def test_batch_norm_of_fewer_than_two_rows_uses_what_it_has_seen(rows):
    norm = NormActivation(3, "batch", "identity").double()
    norm(torch.randn(50, 3, dtype=torch.float64) * 2 + 1)
    seen = norm.running_mean.clone()
    x = torch.randn(rows, 3, dtype=torch.float64, requires_grad=True)
    out = norm(x)
    norm.eval()
    torch.testing.assert_close(out, norm(x))
    assert torch.equal(norm.running_mean, seen)
    out.sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("rows", [1, 9])
def test_batches_before_the_gradient_do_not_spoil_it(rows):
    norm = NormActivation(3, "batch", "identity")
    first, second = torch.randn(rows, 3), torch.randn(5, 3)
    norm.train(rows == 1)
    before = norm(first)
    norm.train()
    norm(second)
    before.sum().backward()
    torch.testing.assert_close(norm.weight.grad, (first / (1 + norm.eps) ** 0.5).sum(0))


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_networks_side_by_side_are_the_networks_one_by_one(norm):
    torch.manual_seed(0)
    both = MLP(4, 6, norm, groups=2).double()
    x = torch.randn(9, 8, dtype=torch.float64)
    parts = []
    for group, part in enumerate(x.chunk(2, 1)):
        alone = MLP(4, 6, norm).double()
        state = both.state_dict()
        alone.load_state_dict(
            {k: v.chunk(2)[group].reshape(alone.state_dict()[k].shape) for k, v in state.items()}
        )
        parts.append(alone(part).value())
    torch.testing.assert_close(both(x).value(), torch.cat(parts, 1))


def test_split_linear_is_a_linear_map_of_the_concatenation():
    torch.manual_seed(0)
    split, whole = SplitLinear(50), nn.Linear(100, 50)
    x, c = torch.randn(2, 6, 50)
    whole.load_state_dict({"weight": torch.cat(list(split.weight), 1), "bias": split.bias})
    torch.testing.assert_close(sum(split(x, c)), whole(torch.cat([x, c], 1)))
    for parameter in split.parameters():  # drawn from the same range
        assert 0.09 < float(parameter.detach().abs().max()) <= 0.1


@pytest.mark.parametrize("pool", ["sum", "mean"])
@pytest.mark.parametrize("final", ["sum", "mean"])
def test_readout_written_out(molecules, pool, final):
    torch.manual_seed(0)
    readout = Readout(4, 6, 2, max_rank=2, readout=pool, final_readout=final).double()
    h = [torch.randn(n, 4, dtype=torch.float64) for n in molecules.shape]
    rows = []
    for b in range(molecules.num_complexes):
        ranks = []
        for r, linear in enumerate(readout.ranks):
            cells = h[r][molecules.membership(r) == b]
            pooled = torch.zeros(4, dtype=torch.float64)  # a rank without cells
            if len(cells):
                pooled = getattr(cells, pool)(0)
            ranks.append(linear(pooled).relu())
        rows.append(readout.out(getattr(torch.stack(ranks), final)(0)))
    torch.testing.assert_close(readout(molecules, h), torch.stack(rows))


def test_readout_of_a_missing_rank_is_its_bias(molecules):
    readout = Readout(4, 6, 2, max_rank=2).double()
    h = [torch.randn(n, 4, dtype=torch.float64) for n in molecules.shape]
    none = [*h[:2], torch.zeros_like(h[2])]
    torch.testing.assert_close(readout(molecules, h[:2]), readout(molecules, none))


def test_jumping_knowledge_puts_layers_side_by_side():
    history = [[torch.full((2, 3), float(10 * layer + r)) for r in (0, 1)] for layer in (1, 2)]
    vertices, edges = concat_layers(history)
    assert vertices[0].tolist() == [10.0] * 3 + [20.0] * 3
    assert edges[0].tolist() == [11.0] * 3 + [21.0] * 3
