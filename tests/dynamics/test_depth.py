"""Depth smooths convolutions, not oscillators and sheaves (examples/depth.py)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

import topodiff as td

PATH = Path(__file__).parents[2] / "examples" / "depth.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("depth", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data():
    """Two classes; most edges stay inside of one."""
    g = torch.Generator().manual_seed(0)
    y = torch.arange(40) % 2
    ends = torch.randint(40, (2, 300), generator=g)
    same = (y[ends[0]] == y[ends[1]]) | (torch.rand(300, generator=g) < 0.1)
    ends = ends[:, (ends[0] != ends[1]) & same]
    x = torch.randn(40, 6, generator=g) + y[:, None]
    complex = td.CellComplex.from_edges(40, ends).replace(x={0: x})
    part = torch.arange(40) % 4
    return complex, y, (part < 2, part == 2, part == 3)


def test_energy_against_depth(example, data):
    complex, y, masks = data
    found = {
        (name, depth): example.measure(name, depth, complex, y, masks, epochs=2)
        for name in example.MODELS
        for depth in (2, 64)
    }
    assert found["GCN", 64].before < 1e-5 * found["GCN", 2].before
    assert found["GRAND", 64].before < 0.05 * found["GRAND", 2].before
    for name in ("GraphCON", "sheaf"):
        assert found[name, 64].before > 1e-3
        assert found[name, 64].before > 1e4 * found["GCN", 64].before
    assert all(0 <= p.accuracy <= 1 for p in found.values())


def test_picture(example, tmp_path):
    pytest.importorskip("matplotlib")
    points = [example.Point("GCN", d, 1.0, 0.0, 0.5) for d in (2, 4)]
    example.draw(points, str(tmp_path / "depth.png"))
    assert (tmp_path / "depth.png").stat().st_size > 1000
