"""What restriction maps reach from parameters that an activation keeps within +-1."""

from __future__ import annotations

import math

import pytest
import torch

from topodiff.nn.sheaf.families import MapFamily

METHODS = {
    2: ["householder", "cayley", "exp", "angle", "givens"],
    3: ["householder", "cayley", "exp", "rodrigues", "givens", "euler", "quaternion"],
    4: ["householder", "cayley", "exp", "givens", "quaternion"],
    5: ["householder", "cayley", "exp", "givens"],
}
CASES = [("special_orthogonal", method, d) for d, methods in METHODS.items() for method in methods]
CASES += [("orthogonal", "householder", d) for d in METHODS]


def rotations(d: int, count: int) -> torch.Tensor:
    """Half a turn in one plane, and others at random."""
    frames = torch.linalg.qr(torch.randn(count, d, d, dtype=torch.float64)).Q
    frames[:, :, 0] *= torch.linalg.det(frames)[:, None]
    frames[0] = torch.eye(d)
    frames[0, :2, :2] *= -1
    return frames


def distance_of_transports(family: MapFamily, wanted: torch.Tensor) -> torch.Tensor:
    """How close transports come to what is wanted, searched for from several starts."""
    shape = (2, 6, len(wanted), family.num_params)
    params = torch.randn(shape, dtype=torch.float64).requires_grad_()
    optimiser = torch.optim.Adam([params], lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        tail, head = family(params.tanh())
        square = (head.mT @ tail - wanted).square().sum((-2, -1))
        square.sum().backward()
        optimiser.step()
    return square.detach().amin(0).sqrt()


@pytest.mark.parametrize(("name", "method", "d"), CASES)
def test_transports_reach_all_rotations(name, method, d):
    torch.manual_seed(0)
    family = MapFamily(name, d, method)
    distance = distance_of_transports(family, rotations(d, 5))
    assert distance[0] < 0.1  # a limit of some
    assert distance[1:].max() < 0.02


@pytest.mark.parametrize(
    ("method", "turns"), [("exp", 1 / 2), ("angle", 1), ("cayley", 1 / 4), ("householder", 1 / 4)]
)
def test_largest_turn_of_a_map_of_the_plane(method, turns):
    family = MapFamily("special_orthogonal", 2, method)
    params = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None]
    cosine, sine = family(params)[:, :, 0].unbind(-1)
    angle = torch.atan2(sine, cosine).diff()
    angle = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
    assert float(angle.sum().abs()) == pytest.approx(2 * math.pi * turns)
