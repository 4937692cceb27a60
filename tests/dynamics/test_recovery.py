"""What was planted is found again through the solver (examples/recover_diffusivity.py)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).parents[2] / "examples" / "recover_diffusivity.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("recover_diffusivity", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("problem", ["recover_conductance", "recover_connection"])
def test_every_edge_is_recovered(example, problem):
    recovery = getattr(example, problem)(side=3, steps=80)
    error = (recovery.found - recovery.planted).norm() / recovery.planted.norm()
    assert float(error) < 0.05
    assert recovery.misfit[-1] < 1e-3 * recovery.misfit[0]


def test_noise_limits_what_can_be_known(example):
    clean, noisy = (example.recover_connection(3, noise, steps=50) for noise in (0.0, 0.05))
    errors = [float((r.found - r.planted).norm()) for r in (clean, noisy)]
    assert errors[0] < errors[1] < 0.5 * float(noisy.planted.norm())
    assert torch.linalg.det(noisy.found).allclose(torch.ones(12, dtype=torch.float64))
