"""A run that is killed and resumed ends as one that was not."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from topodiff.training import Ensemble, checkpoint

SCRIPT = Path(__file__).with_name("killed_train.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_three_kills_of_train_change_nothing(table, tmp_path):
    command = [sys.executable, str(SCRIPT), str(table), str(tmp_path), "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "3 False", "the kills were to come before the end"
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for name in ("metrics.json", "test_predictions.csv", "failures.csv"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes()
    members = [Ensemble.load(folder).members for folder in (whole, killed)]
    for a, b in zip(*members, strict=True):
        for name, weight in a.state_dict().items():
            assert torch.equal(weight, b.state_dict()[name])
    for member in ("member_0", "member_1"):
        histories = [checkpoint.load_newest(f / member)["history"] for f in (whole, killed)]
        assert histories[0] == histories[1]
        assert len(histories[0]) == 12
