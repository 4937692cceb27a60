"""Instruments that are turned: what a sheaf on edges adds to the same diffusion without one.

A smooth vector field on a triangulated square is read by an instrument on every edge, which is
mounted at an angle of its own: it gives the two components of the field in its own frame. Half of
the instruments are silent. The task is what each of them would read, from the readings of the
others and the sine and cosine of all angles. Readings of neighbours can be compared only after
they are turned into one frame. Restriction maps learnt from the features of a cell and its face do
that; the same layers with identity maps, a graph network on edges that share an end and a cellular
network must do it by their activations. Every sample has a mesh and a field of its own.

Run: python examples/local_frames.py [--epochs 60] [--seeds 3]
It prints the mean squared error on meshes that were not seen, over the mean square of the field.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import Delaunay
from torch import Tensor, nn

import topodiff as td
from topodiff.nn import GCN, CINLayer, SheafCochainLayer


def mesh(seed: int, side: int = 7) -> td.CellComplex:
    """A triangulated square; ``x[1]`` the reading or zeros, whether there is one, cosine and sine
    of the angle; ``labels[1]`` all readings."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 2), -1).reshape(-1, 2) / (side - 1)
    points = grid + rng.uniform(-0.3, 0.3, grid.shape) / side
    triangles = [tuple(t) for t in Delaunay(points).simplices]
    complex = td.CellComplex.from_simplices(triangles)
    middles = points[complex.edge_index.numpy()].mean(0)
    waves, phases = 3 * rng.normal(size=(2, 3)), rng.uniform(0, 2 * np.pi, 3)
    field = np.cos(middles @ waves + phases) @ rng.normal(size=(3, 2))
    angle = rng.uniform(0, 2 * np.pi, len(middles))
    cos, sin = np.cos(angle), np.sin(angle)
    readings = np.stack([cos * field[:, 0] + sin * field[:, 1],
                         cos * field[:, 1] - sin * field[:, 0]], 1)  # fmt: skip
    heard = rng.uniform(size=(len(middles), 1)) < 0.5
    x = np.concatenate([readings * heard, heard, cos[:, None], sin[:, None]], 1)
    ones = {r: torch.ones(complex.num_cells(r), 1) for r in (0, 2)}
    return complex.replace(x={**ones, 1: torch.tensor(x).float()},
                           labels={1: torch.tensor(readings).float()},
                           positions=torch.tensor(points).float())  # fmt: skip


class Layers(nn.Module):
    """Linear maps of the features of each rank, layers of cells, a linear map of the edges."""

    def __init__(self, width: int, layers: list[nn.Module]) -> None:
        super().__init__()
        self.input = nn.ModuleList(nn.Linear(channels, width) for channels in (1, 5, 1))
        self.layers = nn.ModuleList(layers)
        self.output = nn.Linear(width, 2)

    def forward(self, complex: td.CellComplex) -> Tensor:
        x = [linear(complex.x[r]) for r, linear in enumerate(self.input)]
        for layer in self.layers:
            x = layer(complex, x)
        return self.output(x[1])


class LineGraph(nn.Module):
    """A graph convolutional network, whose vertices are the edges, neighbours that share an end."""

    def __init__(self, width: int, num_layers: int) -> None:
        super().__init__()
        self.gcn = GCN(5, width, 2, num_layers, dropout=0.0)

    def forward(self, complex: td.CellComplex) -> Tensor:
        near = complex.lower_adjacency(1)
        pairs = torch.stack([near.source, near.target])
        return self.gcn(td.CellComplex.from_edges(complex.num_cells(1), pairs), complex.x[1])


def sheaf(width: int, maps: str) -> nn.Module:
    """Six layers of sheaf diffusion on all ranks."""
    return Layers(width, [SheafCochainLayer(width, 2, maps=maps) for _ in range(6)])


MODELS: dict[str, Callable[[], nn.Module]] = {
    "GCN on the line graph": lambda: LineGraph(32, 4),
    "cellular network": lambda: Layers(16, [CINLayer(16, 16) for _ in range(3)]),
    "sheaf, identity maps": lambda: sheaf(16, "identity"),
    "the same, wider": lambda: sheaf(24, "identity"),
    "sheaf, diagonal maps": lambda: sheaf(16, "diagonal"),
    "sheaf, rotations": lambda: sheaf(16, "special_orthogonal"),
}


def error(model: nn.Module, meshes: td.CellComplex) -> Tensor:
    readings = meshes.labels[1]
    return (model(meshes) - readings).square().mean() / readings.square().mean()


def train(
    model: nn.Module, meshes: td.CellComplex, epochs: int, batch_size: int = 16, lr: float = 0.01
) -> nn.Module:
    """Adam on batches of meshes, with a rate that falls to zero."""
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    starts = range(0, len(meshes), batch_size)
    batches = [meshes.select(range(k, min(k + batch_size, len(meshes)))) for k in starts]
    for _ in range(epochs):
        for batch in batches:
            optimiser.zero_grad()
            error(model, batch).backward()
            optimiser.step()
        schedule.step()
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small complexes: a second thread costs more than it gives
    meshes = td.batch([mesh(k) for k in range(192)])
    seen, unseen = meshes.select(range(128)), meshes.select(range(128, 192))
    print(f"one of the meshes: {mesh(0)}")
    for name, make in MODELS.items():
        found = []
        for seed in range(arguments.seeds):
            torch.manual_seed(seed)
            model = train(make(), seen, arguments.epochs)
            with torch.no_grad():
                found.append(float(error(model, unseen)))
        values, size = torch.tensor(found), sum(p.numel() for p in model.parameters())
        spread = values.std(correction=0)
        print(f"{name:24s} {values.mean():.3f} +- {spread:.3f}  {size:6,} parameters", flush=True)


if __name__ == "__main__":
    main()
