"""Depth: accuracy and Dirichlet energy of GCN, GRAND, GraphCON and sheaf diffusion.

    python examples/depth.py [depth.png] [--data cora] [--depths 2 4 8 16 32 64 128] [--epochs 100]

Convolutions make neighbours alike, layer by layer, until no classifier can tell them apart.
Diffusion in time T with a source and oscillators need not; sheaves need not fall as far, and with a
source do not. Depth is the number of layers for GCN, GraphCON and the sheaf, and the time T, in
steps of 1, for GRAND and the sheaf with a source. Every model has 32
channels and is trained for the same number of epochs on the first split; the best epoch is chosen
on validation vertices. The energy is that of the state before the classifier, ``1/2 sum over edges
|x_u - x_v|^2 / |x|^2``, or that of ``x_v / sqrt(d_v + 1)`` if it is smaller: averages over
neighbours make the first vanish, symmetric convolutions the second.

``benchmarks/depth.py`` does the same on several splits, with settings of each model that it
searches for on validation vertices.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import topodiff as td
from topodiff.datasets import load_nodes
from topodiff.dynamics import DirichletEnergy
from topodiff.nn import GCN, GRAND, ContinuousSheafDiffusion, GraphCON, NeuralSheafDiffusion
from topodiff.training import NodeFitConfig, evaluate_nodes, fit_nodes

Make = Callable[..., nn.Module]
CHANNELS = 32


@dataclass(frozen=True)
class Point:
    """One model at one depth: energies of the state before and after training, accuracy on test and
    on validation vertices."""

    model: str
    depth: int
    before: float
    after: float
    accuracy: float
    valid: float = 0.0


def gcn(inputs: int, classes: int, depth: int, dropout: float = 0.5) -> nn.Module:
    return GCN(inputs, CHANNELS, classes, num_layers=depth, dropout=dropout)


def grand(inputs: int, classes: int, depth: int, **options: Any) -> nn.Module:
    options = {"dropout": 0.5, "input_dropout": 0.5, **options}
    return GRAND(
        inputs, CHANNELS, classes, time=depth, solver="euler", step_size=1.0, **options
    )  # fmt: skip


def graphcon(inputs: int, classes: int, depth: int, **options: Any) -> nn.Module:
    options = {"input_dropout": 0.5, "alpha": 0.5, "gamma": 1.0, "dt": 0.1, **options}
    return GraphCON(inputs, CHANNELS, classes, num_layers=depth, **options)


# sheaves without weights: what depth does is the sheaf's alone
LINEAR = {"left_weights": False, "right_weights": False, "activation": "identity"}


def sheaf(inputs: int, classes: int, depth: int, **options: Any) -> nn.Module:
    options = {"input_dropout": 0.5, **LINEAR, **options}
    return NeuralSheafDiffusion(
        inputs, CHANNELS // 2, classes, stalk_dim=2, num_layers=depth, shared_sheaf=True, **options
    )


def sheaf_with_source(inputs: int, classes: int, depth: int, **options: Any) -> nn.Module:
    options = {"input_dropout": 0.5, **LINEAR, **options}
    return ContinuousSheafDiffusion(
        inputs, CHANNELS // 2, classes, stalk_dim=2, time=depth, frozen_sheaf=True, add_source=True,
        solver="euler", solver_options={"step_size": 1.0}, **options,
    )  # fmt: skip


MODELS: dict[str, Make] = {
    "GCN": gcn,
    "GRAND": grand,
    "GraphCON": graphcon,
    "sheaf": sheaf,
    "sheaf with source": sheaf_with_source,
}
FIT: dict[str, float] = {"learning_rate": 0.02, "weight_decay": 5e-4}


def last_state(model: nn.Module, complex: td.CellComplex) -> Tensor:
    """(n_0, channels) what the classifier of the model sees."""
    seen: list[Tensor] = []
    last = model.layers[-1] if isinstance(model, GCN) else None
    last = last or getattr(model, "decoder", None) or model.output
    hook = last.register_forward_pre_hook(lambda module, given: seen.append(given[-1]))
    training = model.training
    with torch.no_grad():
        model.eval()(complex)
    model.train(training)
    hook.remove()
    return seen[-1]


def relative_energy(complex: td.CellComplex, x: Tensor) -> float:
    """Dirichlet energy over squared norm; 0 for a state that is 0 itself."""
    x = x.double().flatten(1)
    degree = torch.bincount(complex.edge_index.flatten(), minlength=len(x))
    energy, size = DirichletEnergy(complex), float(x.square().sum())
    found = min(float(energy.value(s)) for s in (x, x / (degree + 1).sqrt()[:, None]))
    return found / size if size > 0 else 0.0


def measure(
    name: str,
    depth: int,
    complex: td.CellComplex,
    y: Tensor,
    masks: tuple[Tensor, Tensor, Tensor],
    epochs: int,
    *,
    patience: int = 0,
    fit: Mapping[str, float] = FIT,
    seed: int = 0,
    **options: Any,
) -> Point:
    """Make the model with ``options``, measure, train, measure."""
    torch.manual_seed(seed)
    train, valid, test = masks
    model = MODELS[name](complex.x[0].shape[1], int(y.max()) + 1, depth, **options)
    before = relative_energy(complex, last_state(model, complex))
    config = NodeFitConfig(epochs=epochs, patience=patience, select="metric", seed=seed, **fit)
    fitted = fit_nodes(model, complex, y, train, valid, config)
    after = relative_energy(complex, last_state(model, complex))
    accuracy = evaluate_nodes(model, complex, y, test)
    return Point(name, depth, before, after, accuracy, fitted.valid)


def draw(points: list[Point], path: str) -> None:
    """Accuracy and energy against depth."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in dict.fromkeys(p.model for p in points):
        mine = [p for p in points if p.model == name]
        depths = [p.depth for p in mine]
        (line,) = left.plot(depths, [100 * p.accuracy for p in mine], "o-", label=name)
        floor = 1e-16
        right.plot(depths, [max(p.after, floor) for p in mine], "o-", color=line.get_color())
        right.plot(depths, [max(p.before, floor) for p in mine], ":", color=line.get_color())
    left.set(xscale="log", xlabel="depth", ylabel="test accuracy (%)")
    right.set(xscale="log", yscale="log", xlabel="depth (dotted: before training)",
              ylabel="Dirichlet energy / squared norm")  # fmt: skip
    left.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure every model at every depth, print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("picture", nargs="?", help="where to draw; by default nothing is drawn")
    parser.add_argument("--data", default="cora")
    parser.add_argument("--depths", type=int, nargs="+", default=[2, 4, 8, 16, 32, 64, 128])
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    data = load_nodes(options.data)
    masks = data.train[0], data.val[0], data.test[0]
    points = []
    for depth in options.depths:
        for name in MODELS:
            p = measure(name, depth, data.complex, data.y, masks, options.epochs)
            points.append(p)
            print(
                f"{p.model:17} depth {p.depth:4}  accuracy {100 * p.accuracy:5.1f}  energy "
                f"{p.before:.1e} -> {p.after:.1e}",
                flush=True,
            )
    if options.picture:
        draw(points, options.picture)


if __name__ == "__main__":
    main()
