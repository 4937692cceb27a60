"""Diffusion on heterophilic graphs: the graph's collapses, that of a sheaf separates the classes.

Neighbours differ in class. Diffusion on the graph makes them alike, so that no classifier can tell
them apart in the end. A sheaf whose maps turn one class into the next, -1 for two classes and
rotations for more, makes classes alike in frames that differ, so that they end up apart (Bodnar et
al., Neural Sheaf Diffusion, NeurIPS 2022, propositions 8 to 13).

Run: python examples/separation.py [separation.png] [--depths 2 4 8 16 32]
It prints what it draws: accuracy of a linear classifier and Dirichlet energy against time, with
maps given by the classes, and test accuracy against depth, with maps that are learnt.
"""

import argparse
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

import topodiff as td
from topodiff.nn import GCN, NeuralSheafDiffusion
from topodiff.operators import SheafLaplacian
from topodiff.sheaves import CellularSheaf

TIMES = [0.0, *(2.0**k for k in range(-2, 10))]


def heterophilic_graph(
    classes: int, per_class: int, degree: int, seed: int = 0
) -> tuple[td.CellComplex, Tensor]:
    """A random graph all of whose edges join different classes, and labels (n,)."""
    g = torch.Generator().manual_seed(seed)
    n = classes * per_class
    labels = torch.arange(n) % classes
    ring = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])  # connected, classes differ
    ends = torch.randint(n, (2, n * degree), generator=g)
    ends = ends[:, labels[ends[0]] != labels[ends[1]]][:, : n * (degree - 2) // 2]
    return td.CellComplex.from_edges(n, torch.cat([ring, ends], 1)), labels


def noisy_features(labels: Tensor, channels: int, signal: float, seed: int = 0) -> Tensor:
    """(n, channels) normal noise plus ``signal`` times a random vector of the class."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.randn(int(labels.max()) + 1, channels, generator=g)
    return torch.randn(len(labels), channels, generator=g) + signal * centres[labels]


def class_frames(labels: Tensor, stalk_dim: int) -> Tensor:
    """(n, d, d): class c sees the stalk turned by its part of a turn; its sign for d = 1."""
    angle = 2 * math.pi * labels / (int(labels.max()) + 1)
    if stalk_dim == 1:
        return torch.cos(math.pi * labels)[:, None, None]
    c, s = angle.cos(), angle.sin()
    return torch.stack([c, -s, s, c], 1).reshape(-1, 2, 2)


def sheaf_of_classes(complex: td.CellComplex, labels: Tensor, stalk_dim: int) -> CellularSheaf:
    """The flat bundle of :func:`class_frames`, with transports -1 or rotations between classes."""
    frames = class_frames(labels, stalk_dim).double()
    return CellularSheaf.from_frames(complex, frames, orthogonal=True)


def trivial_sheaf(complex: td.CellComplex, stalk_dim: int) -> CellularSheaf:
    """Identity maps: its Laplacian is that of the graph."""
    return CellularSheaf(complex, stalk_dim)


def diffuse(sheaf: CellularSheaf, x: Tensor, times: Sequence[float]) -> list[Tensor]:
    """``exp(-t Delta) x`` for the normalised Laplacian and x (n, d, channels)."""
    laplacian = SheafLaplacian(sheaf, normalized=True)
    size = laplacian.shape[0]
    values, vectors = torch.linalg.eigh(laplacian @ torch.eye(size, dtype=torch.float64))
    modes = vectors.T @ x.double().reshape(size, -1)
    return [(vectors @ ((-t * values).exp()[:, None] * modes)).reshape(x.shape) for t in times]


def graph_energy(complex: td.CellComplex, x: Tensor) -> float:
    """Dirichlet energy ``<x, Delta x> / <x, x>`` of the graph: 0 where neighbours agree."""
    laplacian = SheafLaplacian(trivial_sheaf(complex, x.shape[1]), normalized=True)
    return max(float((x * (laplacian @ x)).sum() / (x * x).sum()), 0.0)


def probe(x: Tensor, labels: Tensor, ridge: float = 1e-2, seed: int = 0) -> float:
    """Accuracy of a linear classifier (least squares on half of the vertices) on the others.

    The state is scaled as a whole, so that differences far below its size count for nothing.
    """
    flat = x.flatten(1)
    flat = torch.cat([flat / flat.square().mean().sqrt(), flat.new_ones(len(flat), 1)], 1)
    order = torch.randperm(len(flat), generator=torch.Generator().manual_seed(seed))
    train, test = order[: len(flat) // 2], order[len(flat) // 2 :]
    a, target = flat[train], one_hot(labels[train]).to(flat)
    gram = a.T @ a + ridge * len(train) * torch.eye(flat.shape[1]).to(flat)
    guess = (flat[test] @ torch.linalg.solve(gram, a.T @ target)).argmax(1)
    return float((guess == labels[test]).double().mean())


def train(
    model: torch.nn.Module, complex: td.CellComplex, x: Tensor, labels: Tensor, epochs: int = 100
) -> float:
    """Test accuracy after training on half of the vertices."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    seen, unseen = order[: len(x) // 2], order[len(x) // 2 :]
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for _ in range(epochs):
        optimiser.zero_grad()
        cross_entropy(model(complex, x)[seen], labels[seen]).backward()
        optimiser.step()
    with torch.no_grad():
        guess = model.eval()(complex, x).argmax(1)
    return float((guess == labels)[unseen].double().mean())


def in_time(classes: int, stalk_dim: int) -> dict[str, list[tuple[float, float]]]:
    """(accuracy, energy) at all times for diffusion on the graph and on sheaves."""
    complex, labels = heterophilic_graph(classes, 60 // classes, 6)
    channels = 4
    x = noisy_features(labels, 2 * channels, 0.5).reshape(-1, 2, channels)
    sheaves = {"graph": trivial_sheaf(complex, 2)}
    for d in range(1, stalk_dim + 1):
        name = "sheaf with -1" if d == 1 else "sheaf with rotations"
        sheaves[name] = sheaf_of_classes(complex, labels, d)
    found = {}
    for name, sheaf in sheaves.items():
        state = x.reshape(len(x), sheaf.stalk_dim, -1)
        path = diffuse(sheaf, state, TIMES)
        found[name] = [(probe(y, labels), graph_energy(complex, y)) for y in path]
    return found


def in_depth(depths: Sequence[int]) -> dict[str, list[float]]:
    """Test accuracy of trained models of the given depths, on two classes."""
    complex, labels = heterophilic_graph(2, 50, 6, seed=1)
    x = noisy_features(labels, 8, 0.5, seed=1)
    found: dict[str, list[float]] = {"GCN": [], "neural sheaf diffusion": []}
    for depth in depths:
        torch.manual_seed(0)
        models = GCN(8, 16, 2, depth, dropout=0.0), NeuralSheafDiffusion(8, 8, 2, 2, depth)
        for name, model in zip(found, models, strict=True):
            found[name].append(train(model, complex, x, labels))
    return found


def draw(path: str, panels: dict, depths: Sequence[int], by_depth: dict) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, 3)
    for row, (title, curves) in enumerate(panels.items()):
        for column, (label, top) in enumerate((("accuracy", 1.05), ("energy on the graph", 2.1))):
            ax = axes[row, column]
            for name, values in curves.items():
                ax.plot(TIMES, [v[column] for v in values], marker=".", label=name)
            ax.set(xscale="symlog", xlabel="time", ylabel=label, title=title, ylim=(-0.05, top))
        axes[row, 0].legend()
    for name, values in by_depth.items():
        axes[0, 2].plot(range(len(depths)), values, marker="o", label=name)
    axes[0, 2].set(xlabel="layers", ylabel="test accuracy", title="trained", ylim=(-0.05, 1.05))
    axes[0, 2].set_xticks(range(len(depths)), [str(d) for d in depths])
    axes[0, 2].legend()
    axes[1, 2].axis("off")
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", nargs="?", help="picture to write (needs matplotlib)")
    parser.add_argument("--depths", type=int, nargs="*", default=[2, 4, 8, 16, 32])
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # small graphs: a second thread costs more than it gives
    panels = {f"{c} classes": in_time(c, stalk_dim=d) for c, d in ((2, 1), (4, 2))}
    for title, curves in panels.items():
        print(f"{title}: accuracy (graph energy) at times 0, 1, 16, 512")
        for name, values in curves.items():
            shown = (values[TIMES.index(t)] for t in (0.0, 1.0, 16.0, 512.0))
            print(f"  {name:22s}", "  ".join(f"{a:.2f} ({e:.3f})" for a, e in shown))
    by_depth = in_depth(arguments.depths)
    print(f"trained models, test accuracy at depths {arguments.depths}")
    for name, accuracies in by_depth.items():
        print(f"  {name:22s}", "  ".join(f"{a:.2f}" for a in accuracies))
    if arguments.path:
        draw(arguments.path, panels, arguments.depths, by_depth)


if __name__ == "__main__":
    main()
