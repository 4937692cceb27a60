"""No array of the size edges x stalk_dim x channels is made in the compiled form, forward or
backward."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import topodiff as td
from topodiff import kernels
from topodiff.nn import NeuralSheafDiffusion
from topodiff.operators import SheafLaplacian

pytestmark = pytest.mark.skipif(
    "cpu" not in kernels.available(), reason="the compiled kernels are not built"
)
STALK_DIM, CHANNELS = 3, 32
COMPLETE = td.CellComplex.from_edges(60, torch.triu_indices(60, 60, 1))
NUM_EDGES = COMPLETE.shape[1]
FORBIDDEN = NUM_EDGES * STALK_DIM * CHANNELS  # 30 times a state, 5 times the maps


def largest_array(run: Callable[[], torch.Tensor], path: Path) -> int:
    """Numbers of float32 in the largest that is allocated while ``run`` and its gradients are
    computed."""
    run().sum().backward()  # what is looked up once
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run().sum().backward()
    seen.export_chrome_trace(str(path))
    events = json.loads(path.read_text())["traceEvents"]
    return max(e["args"]["Bytes"] for e in events if e["name"] == "[memory]") // 4


def check(run: Callable[[], torch.Tensor], path: Path) -> None:
    """It is made in the reference form, and found there; in the compiled one it is not."""
    with kernels.use("reference"):
        assert largest_array(run, path) >= FORBIDDEN
    with kernels.use("cpu"):
        assert largest_array(run, path) < FORBIDDEN / 2


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("maps", ["identity", "diagonal", "orthogonal", "general", "bundle"])
def test_steps_of_neural_sheaf_diffusion(maps, dropout, tmp_path):
    model = NeuralSheafDiffusion(4, CHANNELS, 2, STALK_DIM, 2, maps=maps, dropout=dropout)
    x = torch.randn(COMPLETE.shape[0], 4)
    check(lambda: model(COMPLETE, x), tmp_path / "trace.json")


@pytest.mark.parametrize("normalized", [False, True, "augmented"])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_products_of_sheaf_laplacians(kind, normalized, tmp_path):
    shape = (2 * NUM_EDGES, STALK_DIM, STALK_DIM)[:kind]
    maps = torch.randn(shape, requires_grad=True)
    laplacian = SheafLaplacian(td.CellularSheaf(COMPLETE, STALK_DIM, maps), normalized)
    x = torch.randn(COMPLETE.shape[0], STALK_DIM, CHANNELS, requires_grad=True)
    check(lambda: laplacian @ x, tmp_path / "trace.json")
