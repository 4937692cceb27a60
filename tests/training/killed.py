"""Train in a child process, kill it at random moments, let the last one finish. Arguments: folder,
number of kills. Writes the final weights and history to folder/final.ckpt."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import torchmetrics.functional  # noqa: F401  (once, not in every child)
from small import Pooled, samples

from topodiff.training import FitConfig, Targets, checkpoint, fit, predict

CONFIG = FitConfig(
    epochs=100, batch_size=8, learning_rate=0.02, schedule="plateau", average=0.9, seed=3
)


def train(folder):
    data = samples(48, columns=2, features=2, missing=0.1)
    train, valid = data.select(range(36)), data.select(range(36, 48))
    torch.manual_seed(0)
    model = Pooled(columns=2, features=2)
    done = fit(model, train, valid, Targets.fit(train.y), CONFIG, folder=folder, resume=True)
    state = {"weights": model.state_dict(), "history": done.history}
    checkpoint.save(folder / "final.ckpt", state | {"prediction": predict(model, valid)})


def in_child(folder, moments=None):
    """Train in a forked process; kill it at a random moment of one of its first epochs."""
    child = os.fork()
    if child == 0:
        train(folder)
        os._exit(0)
    if moments is None:
        os.waitpid(child, 0)
        return
    started, newest = time.monotonic(), stamp(folder)
    for _ in range(moments.randint(0, 3)):
        while stamp(folder) == newest and not (folder / "final.ckpt").exists():
            time.sleep(0.0005)
        started, newest, epoch = time.monotonic(), stamp(folder), time.monotonic() - started
        time.sleep(moments.uniform(0, 0.5 * epoch))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def stamp(folder):
    """Changes with every checkpoint."""
    try:
        return (folder / checkpoint.LAST).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


if __name__ == "__main__":
    torch.set_num_threads(1)
    target, kills = Path(sys.argv[1]), int(sys.argv[2])
    moments = random.Random(sys.argv[3])
    for _ in range(kills):
        in_child(target, moments)
    newest = checkpoint.load_newest(target)
    print(0 if newest is None else len(newest["history"]))
    in_child(target)
