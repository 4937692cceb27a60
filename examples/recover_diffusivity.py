"""Recover what a medium is made of from how heat flows in it: learning as optimal control.

    python examples/recover_diffusivity.py                 both problems
    python examples/recover_diffusivity.py --noise 0.01    with noise on what is observed

A state flows on a graph, ``dx/dt = -delta^T W delta x``, from a few known starts; it is seen at a
few times. Unknown is the conductance w of every edge in the first problem, the rotation on every
edge (a planted sheaf, a connection on the bundle R^2) in the second. Both are found by gradient
descent on the misfit of the trajectory, through the solver.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import topodiff as td
from topodiff.dynamics import Heat
from topodiff.operators import ConnectionLaplacian, GraphLaplacian, LinearOperator
from topodiff.sheaves import SpecialOrthogonal


@dataclass(frozen=True)
class Recovery:
    """What was planted, what was found, and the misfit after every step of the descent."""

    planted: Tensor
    found: Tensor
    misfit: list[float]


def grid(side: int) -> td.CellComplex:
    """The graph of a square grid."""
    number = torch.arange(side * side).reshape(side, side)
    across = torch.stack([number[:, :-1].flatten(), number[:, 1:].flatten()])
    down = torch.stack([number[:-1].flatten(), number[1:].flatten()])
    return td.CellComplex.from_edges(side * side, torch.cat([across, down], 1))


def trajectory(operator: LinearOperator, starts: Tensor, times: Tensor) -> Tensor:
    """(times, n, ...) states of the heat flow, exact to rounding (Chebyshev)."""
    end = float(times[-1])
    return td.diffuse(Heat(operator), starts, end, "chebyshev", save_at=times).x


def descend(
    make: Callable[[Tensor], LinearOperator],
    parameters: Tensor,
    seen: Tensor,
    starts: Tensor,
    times: Tensor,
    steps: int,
) -> list[float]:
    """Adam on the mean squared misfit, with a step that shrinks to 0; the misfits."""
    optimizer = torch.optim.Adam([parameters], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    misfits = []
    for _ in range(steps):
        optimizer.zero_grad()
        misfit = (trajectory(make(parameters), starts, times) - seen).square().mean()
        misfit.backward()
        optimizer.step()
        schedule.step()
        misfits.append(float(misfit.detach()))
    return misfits


def recover_conductance(
    side: int = 6, noise: float = 0.0, steps: int = 300, seed: int = 0
) -> Recovery:
    """A wall of low conductance across a grid, found from 8 starts seen at 4 times."""
    torch.manual_seed(seed)
    complex, times = grid(side), torch.tensor([0.1, 0.3, 0.6, 1.0], dtype=torch.float64)
    tail, head = complex.edge_index
    crosses = (tail % side < side // 2) & (head % side >= side // 2)
    planted = torch.where(crosses, 0.1, 1.0).double() * (0.75 + 0.5 * torch.rand(len(tail)))
    starts = torch.randn(complex.shape[0], 8, dtype=torch.float64)
    seen = trajectory(GraphLaplacian(complex, weights=planted), starts, times)
    seen = seen + noise * torch.randn_like(seen)
    logarithm = torch.full_like(planted, math.log(0.5)).requires_grad_()

    def make(p: Tensor) -> GraphLaplacian:
        return GraphLaplacian(complex, weights=p.exp())

    misfit = descend(make, logarithm, seen, starts, times, steps)
    return Recovery(planted, logarithm.detach().exp(), misfit)


def recover_connection(
    side: int = 4, noise: float = 0.0, steps: int = 300, seed: int = 0
) -> Recovery:
    """Rotations on the edges of a grid, found from 8 starts seen at 4 times; ``planted`` and
    ``found`` are matrices (n_1, 2, 2). States are seen in the frames of the vertices, so that the
    gauge is fixed and every rotation is determined."""
    torch.manual_seed(seed)
    complex, times = grid(side), torch.tensor([0.1, 0.3, 0.6, 1.0], dtype=torch.float64)
    rotations = SpecialOrthogonal(2)
    planted = rotations(torch.randn(complex.shape[1], rotations.num_params, dtype=torch.float64))
    starts = torch.randn(complex.shape[0], 2, 8, dtype=torch.float64)
    seen = trajectory(ConnectionLaplacian(complex, planted), starts, times)
    seen = seen + noise * torch.randn_like(seen)
    parameters = torch.zeros(complex.shape[1], rotations.num_params, dtype=torch.float64)
    parameters.requires_grad_()

    def make(p: Tensor) -> ConnectionLaplacian:
        return ConnectionLaplacian(complex, rotations(p))

    misfit = descend(make, parameters, seen, starts, times, steps)
    return Recovery(planted, rotations(parameters.detach()), misfit)


def report(name: str, recovery: Recovery) -> None:
    """One line on how well it went."""
    error = (recovery.found - recovery.planted).norm() / recovery.planted.norm()
    first, last = recovery.misfit[0], recovery.misfit[-1]
    print(f"{name}: relative error {error:.2e}; misfit {first:.2e} -> {last:.2e}")


def main() -> None:
    """Solve both problems."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shared = {"noise": options.noise, "steps": options.steps, "seed": options.seed}
    report("conductance of every edge", recover_conductance(**shared))
    report("rotation on every edge", recover_connection(**shared))


if __name__ == "__main__":
    main()
