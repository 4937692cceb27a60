"""Files and folders to which several processes write, and which may be killed at it."""

import os
import time

import pytest
from small import Pooled, samples

from topodiff.complexes.files import STALE
from topodiff.training import FitConfig, Targets, fit
from topodiff.training.files import locked, write_text


def test_what_a_killed_process_left_goes_away(tmp_path):
    names = [".a[1].txt.1.tmp", ".a[1].txt.2.tmp", ".other.txt.3.tmp"]
    stale, fresh, other = (tmp_path / name for name in names)
    for path in (stale, fresh, other):
        path.write_text("half")
    before = time.time() - STALE - 60
    for path in (stale, other):
        os.utime(path, (before, before))
    write_text(tmp_path / "a[1].txt", "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names[1:], "a[1].txt"])


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a.txt'"):
        write_text(tmp_path / "a.txt", "text")
    assert list(tmp_path.iterdir()) == []


def run(folder):
    data = samples(20)
    train, valid = data.select(range(14)), data.select(range(14, 20))
    return fit(Pooled(), train, valid, Targets.fit(train.y), FitConfig(epochs=1), folder=folder)


def test_folders_of_checkpoints_are_made(tmp_path):
    run(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "last.ckpt").exists()


@pytest.mark.parametrize("below", ["", "folder"])
def test_unusable_folders_are_refused_before_training(tmp_path, below, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("topodiff.training.run.Run.epoch", lambda self: pytest.fail("trained"))
    with pytest.raises(ValueError, match="is no folder for checkpoints"):
        run(tmp_path / "file" / below)


def test_one_process_in_a_folder(tmp_path):
    with locked(tmp_path), pytest.raises(ValueError, match="another process writes into"):
        run(tmp_path)
    run(tmp_path)
