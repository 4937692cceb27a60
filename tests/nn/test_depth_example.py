"""What depth leaves of a trained model: ``examples/depth.py``."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

import topodiff as td

PATH = Path(__file__).parents[2] / "examples" / "depth.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("depth_example", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks() -> tuple[td.CellComplex, torch.Tensor]:
    """Four blocks of 40 vertices, two thirds of the edges inside, features with much noise."""
    g = torch.Generator().manual_seed(0)
    n = 160
    y = torch.arange(n) % 4
    pairs = torch.triu_indices(n, n, 1)
    probability = torch.where(y[pairs[0]] == y[pairs[1]], 0.2, 0.03)
    edges = pairs[:, torch.rand(pairs.shape[1], generator=g) < probability]
    x = torch.randn(n, 8, generator=g) + 0.8 * torch.randn(4, 8, generator=g)[y]
    return td.CellComplex.from_edges(n, edges).replace(x={0: x}), y


def test_at_depth_128_convolutions_collapse_and_a_sheaf_with_source_does_not(example):
    K, y = blocks()
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    masks = tuple(torch.isin(torch.arange(len(y)), part) for part in order.split([60, 40, 60]))
    sheaf, gcn = (
        example.measure(name, 128, K, y, masks, 40, patience=20)
        for name in ("sheaf with source", "GCN")
    )
    assert sheaf.accuracy > 0.85
    assert sheaf.after > 1e-3
    assert gcn.accuracy < 0.5
