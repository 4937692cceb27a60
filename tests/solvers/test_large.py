"""173,312 unknowns, cora with 64 channels: implicit steps in linear memory."""

import pytest
import torch

import topodiff as td
from topodiff.operators import GraphLaplacian

N, EDGES, CHANNELS = 2708, 5278, 64


def cora_sized(seed=0):
    """As many vertices and edges, in a graph that is connected."""
    generator = torch.Generator().manual_seed(seed)
    child = torch.arange(1, N)
    parent = (torch.rand(N - 1, generator=generator) * child).long()
    tree = torch.stack([child, parent])
    more = torch.randint(N, (2, EDGES), generator=generator)
    edges = torch.cat([tree, more[:, more[0] != more[1]]], 1)
    edges = torch.cat([edges.amin(0, True), edges.amax(0, True)]).unique(dim=1)
    return td.CellComplex.from_edges(N, edges)


COMPLEX = cora_sized()


def saved_bytes(run):
    total = {}

    def pack(tensor):
        # held, so that no other tensor takes its place in memory
        total[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = run()
    return out, sum(t.numel() * t.element_size() for t in total.values())


@pytest.mark.parametrize(
    ("solver", "kind"),
    [
        ("implicit_euler", "symmetric"),
        ("crank_nicolson", "symmetric"),
        ("bdf2", "symmetric"),
        ("implicit_euler", "random_walk"),
    ],
)
def test_linear_law(solver, kind):
    weights = torch.ones(COMPLEX.num_cells(1), requires_grad=True)
    x = torch.randn(N, CHANNELS, requires_grad=True)
    steps = 3

    def run():
        operator = GraphLaplacian(COMPLEX, kind, weights=weights)
        return td.diffuse(operator, x, 30.0, solver, num_steps=steps)

    sol, saved = saved_bytes(run)
    assert sol.status == "ok"
    assert sol.x.numel() == 173_312
    state = x.numel() * x.element_size()
    graph = COMPLEX.num_cells(1) * (CHANNELS + 8) * 4
    # a few states and edge cochains for each step; a dense Jacobian has 120 gigabytes
    assert saved < 4 * steps * (state + graph)
    sol.x.square().sum().backward()
    assert bool(weights.grad.isfinite().all())
    assert float(weights.grad.abs().max()) > 0


def test_nonlinear_law():
    operator = GraphLaplacian(COMPLEX, "symmetric")
    scale = torch.tensor(0.5, requires_grad=True)
    x = torch.randn(N, CHANNELS)

    def law(t, x):
        return scale * torch.tanh(x) - operator @ x

    sol = td.diffuse(law, x, 2.0, "implicit_euler", num_steps=1)
    assert sol.status == "ok"
    assert sol.stats.iterations < 200
    sol.x.sum().backward()
    assert bool(scale.grad.isfinite())


def test_heat_kernel():
    weights = torch.ones(COMPLEX.num_cells(1), requires_grad=True)
    x = torch.randn(N, CHANNELS)

    def run():
        return td.diffuse(GraphLaplacian(COMPLEX, weights=weights), x, 50.0, "chebyshev").x

    y, saved = saved_bytes(run)
    # x and the last two terms, whatever the degree
    assert saved < 4 * x.numel() * 4 + COMPLEX.num_cells(1) * 64
    y.square().sum().backward()
    assert bool(weights.grad.isfinite().all())
