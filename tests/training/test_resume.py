import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import Pooled, samples

from topodiff.training import FitConfig, Targets, checkpoint, fit

SCRIPT = Path(__file__).with_name("killed.py")


def test_ten_kills_change_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), "10"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    whole, killed = (checkpoint.load(tmp_path / k / "final.ckpt") for k in ("whole", "killed"))
    kills, epochs = map(int, done.stdout.split())
    assert kills == 10
    assert 3 < epochs < len(whole["history"]), "the kills were to hit the middle of training"
    assert killed["history"] == whole["history"]
    assert torch.equal(killed["prediction"], whole["prediction"])
    for name, weight in whole["weights"].items():
        assert torch.equal(killed["weights"][name], weight)


def parts(n=30, **kwargs):
    data = samples(n, **kwargs)
    return data.select(range(n - 10)), data.select(range(n - 10, n))


def fitted(folder, resume, config, data=None):
    train, valid = data or parts()
    torch.manual_seed(0)
    return fit(Pooled(), train, valid, Targets.fit(train.y), config, folder=folder, resume=resume)


def test_resuming_a_finished_run_returns_it(tmp_path):
    config = FitConfig(epochs=3)
    first = fitted(tmp_path, False, config)
    records = []
    train, valid = parts()
    again = fit(
        Pooled(), train, valid, Targets.fit(train.y), config,
        folder=tmp_path, resume=True, on_epoch=records.append,
    )  # fmt: skip
    assert again.history == first.history == records
    assert all(
        torch.equal(a, b)
        for a, b in zip(again.model.parameters(), first.model.parameters(), strict=True)
    )


def test_another_config_or_data_is_refused(tmp_path):
    fitted(tmp_path, False, FitConfig(epochs=2))
    with pytest.raises(ValueError, match=r"learning_rate was 0\.001 and is 0\.1"):
        fitted(tmp_path, True, FitConfig(epochs=2, learning_rate=0.1))
    with pytest.raises(ValueError, match="training set is another one"):
        fitted(tmp_path, True, FitConfig(epochs=2), parts(seed=5))


def test_damaged_checkpoint_falls_back_to_the_one_before(tmp_path):
    config = FitConfig(epochs=5)
    whole = fitted(tmp_path, False, config)
    last = tmp_path / checkpoint.LAST
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"last.ckpt is damaged.*going on from .*previous.ckpt"):
        again = fitted(tmp_path, True, config)
    assert again.history == whole.history
    assert torch.equal(again.model.out.weight, whole.model.out.weight)


def test_all_checkpoints_damaged_is_an_error(tmp_path):
    fitted(tmp_path, False, FitConfig(epochs=3))
    last, previous = tmp_path / checkpoint.LAST, tmp_path / checkpoint.PREVIOUS
    last.write_bytes(b"")
    content = bytearray(previous.read_bytes())
    content[len(content) // 2] ^= 1
    previous.write_bytes(content)
    with pytest.raises(ValueError, match=r"last.ckpt is not a topodiff.*previous.ckpt is damaged"):
        fitted(tmp_path, True, FitConfig(epochs=3))


def test_resume_without_checkpoint_starts_afresh(tmp_path):
    assert len(fitted(tmp_path, True, FitConfig(epochs=2)).history) == 2


def test_a_kill_between_the_renames_leaves_the_previous_checkpoint(tmp_path):
    config = FitConfig(epochs=4)
    whole = fitted(tmp_path, False, config)
    (tmp_path / checkpoint.LAST).unlink()
    assert fitted(tmp_path, True, config).history == whole.history
