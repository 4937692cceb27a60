"""Settings for the whole suite."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# Examples are the same in every run; `--hypothesis-profile=search` looks for new ones.
_common = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
settings.register_profile("suite", max_examples=40, derandomize=True, **_common)
settings.register_profile("search", max_examples=1000, **_common)
settings.load_profile("suite")

# The tensors are tiny, and several workers share the cores.
torch.set_num_threads(1)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request):
    """Runs the test in both precisions, with the dtype as torch's default."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.fixture
def mirror(monkeypatch):
    """Folder of real data sets; tests that need it are skipped where there is none."""
    default = Path(__file__).parents[2] / "shared" / "datasets"
    path = Path(os.environ.get("TOPODIFF_MIRROR") or default)
    if not path.is_dir():
        pytest.skip("needs real data: set TOPODIFF_MIRROR to a folder of data sets")
    monkeypatch.setenv("TOPODIFF_MIRROR", str(path))
    return path
