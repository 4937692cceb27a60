"""Flows on a triangulated sea with islands: what cells of rank 2 add to a graph.

A steady current without sources and vortices is a harmonic flow: one number per edge, no
divergence at vertices, no curl around triangles, circulation around islands alone. Each sample is a
sea of its own, with its triangulation, its islands, and its current measured with noise as strong
as the current. The task is the current. Noise is divergence or curl; diffusion along the lower
Laplacian (edges that share a vertex, all that a graph knows) removes the first, along the upper one
(edges that share a triangle) the second. The last two models also exchange with vertices and
triangles; there is no frame to be learnt here, so that learnt maps need not beat identity maps
(examples/local_frames.py has a task where they do).

Run: python examples/edge_flow.py [--epochs 60] [--seeds 3]
It prints the mean squared error on seas that were not seen, in units of the noise.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import Tensor, nn

import topodiff as td
from topodiff.nn import GCN, FlowSheafDiffusion, HodgeDiffusion
from topodiff.operators import HodgeLaplacian, harmonic_basis


def sea(seed: int, side: int = 8) -> td.CellComplex:
    """A triangulated unit square without two or three islands, its current ``y`` as ``labels`` of
    the edges and the measured flow as ``x[1]``."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 2), -1).reshape(-1, 2) / (side - 1)
    points = grid + rng.uniform(-0.3, 0.3, grid.shape) / side
    islands = rng.uniform(0.2, 0.8, (rng.integers(2, 4), 2))
    triangles = Delaunay(points).simplices
    middle = points[triangles].mean(1)
    wet = (np.linalg.norm(middle[:, None] - islands, axis=-1) > 0.13).all(1)
    vertex, triangles = np.unique(triangles[wet], return_inverse=True)
    complex = td.CellComplex.from_simplices([tuple(t) for t in triangles.reshape(-1, 3)])
    basis = harmonic_basis(HodgeLaplacian(complex, 1))
    g = torch.Generator().manual_seed(seed)
    current = basis @ torch.randn(basis.shape[1], 1, generator=g)
    current = current * (len(current) / current.square().sum()).sqrt()
    noise = torch.randn(current.shape, generator=g)
    positions = torch.as_tensor(points[vertex], dtype=torch.float32)
    return complex.replace(x={1: current + noise}, labels={1: current}, positions=positions)


class LineGraph(nn.Module):
    """A graph convolutional network on the graph whose vertices are the edges, neighbours where
    they share an end: it does not know which way an edge points."""

    def __init__(self, hidden_channels: int, num_layers: int) -> None:
        super().__init__()
        self.gcn = GCN(1, hidden_channels, 1, num_layers, dropout=0.0)

    def forward(self, complex: td.CellComplex) -> Tensor:
        near = complex.lower_adjacency(1)
        pairs = torch.stack([near.source, near.target])
        return self.gcn(td.CellComplex.from_edges(complex.num_cells(1), pairs), complex.x[1])


class Unchanged(nn.Module):
    """The measured flow itself."""

    def forward(self, complex: td.CellComplex) -> Tensor:
        return complex.x[1]


MODELS: dict[str, Callable[[], nn.Module]] = {
    "measured": Unchanged,
    "GCN on the line graph": lambda: LineGraph(16, 6),
    "Hodge, lower part": lambda: HodgeDiffusion(1, 16, 1, 6, parts=("down",)),
    "Hodge, upper part": lambda: HodgeDiffusion(1, 16, 1, 6, parts=("up",)),
    "Hodge, both": lambda: HodgeDiffusion(1, 16, 1, 6),
    "sheaf, identity maps": lambda: FlowSheafDiffusion(1, 16, 1, 6, maps="identity"),
    "sheaf on edges": lambda: FlowSheafDiffusion(1, 16, 1, 6),
}


def error(model: nn.Module, seas: td.CellComplex) -> Tensor:
    return (model(seas) - seas.labels[1]).square().mean()


def train(
    model: nn.Module, seas: td.CellComplex, epochs: int, batch_size: int = 16, lr: float = 0.01
) -> nn.Module:
    """Adam on batches of seas, with a rate that falls to zero."""
    parameters = list(model.parameters())
    if not parameters:
        return model
    optimiser = torch.optim.Adam(parameters, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    batches = [
        seas.select(range(k, min(k + batch_size, len(seas))))
        for k in range(0, len(seas), batch_size)
    ]
    for _ in range(epochs):
        for batch in batches:
            optimiser.zero_grad()
            error(model, batch).backward()
            optimiser.step()
        schedule.step()
    return model


def compare(names: list[str], epochs: int, seeds: int, seen: int = 96) -> dict[str, list[float]]:
    """Test errors of each model, one for each seed of its parameters."""
    seas = td.batch([sea(k) for k in range(seen + 48)])
    train_seas, test_seas = seas.select(range(seen)), seas.select(range(seen, seen + 48))
    found: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        for seed in range(seeds):
            torch.manual_seed(seed)
            model = train(MODELS[name](), train_seas, epochs)
            with torch.no_grad():
                found[name].append(float(error(model, test_seas)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small complexes: a second thread costs more than it gives
    print(f"one of the seas: {sea(0)}")
    for name, errors in compare(list(MODELS), arguments.epochs, arguments.seeds).items():
        values = torch.tensor(errors)
        print(f"{name:24s} {values.mean():.3f} +- {values.std(correction=0):.3f}", flush=True)


if __name__ == "__main__":
    main()
