"""Train in a child process; train again, with SIGKILL at random moments before the last one.

Arguments: folder, number of kills. The moments are counted in calls of functions, Python's
and C's, so that they do not depend on the load of the machine and fall into the writing of
checkpoints, too. Writes weights, history and predictions to folder/whole and folder/killed.
"""

import itertools
import os
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from small import Pooled, samples

from topodiff.training import FitConfig, Targets, checkpoint, fit, predict

CONFIG = FitConfig(
    epochs=30, batch_size=8, learning_rate=0.02, schedule="plateau", average=0.9, seed=3
)


def train(folder, config=CONFIG):
    data = samples(48, columns=2, features=2, missing=0.1)
    train, valid = data.select(range(36)), data.select(range(36, 48))
    torch.manual_seed(0)
    model = Pooled(columns=2, features=2)
    done = fit(
        model, train, valid, Targets.fit(train.y), config, folder=folder, resume=folder is not None
    )
    if folder is None:
        return
    state = {"weights": model.state_dict(), "history": done.history}
    checkpoint.save(folder / "final.ckpt", state | {"prediction": predict(model, valid)})


def in_child(folder, calls=None):
    """Train in a forked process that is killed in its ``calls``-th call of a function."""
    child = os.fork()
    if child == 0:
        if calls is not None:
            count = itertools.count()

            def die_in_time(frame, event, argument):
                if next(count) == calls:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.setprofile(die_in_time)
        train(folder)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def epochs_done(folder):
    newest = checkpoint.load_newest(folder)
    return 0 if newest is None else len(newest["history"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    target, kills = Path(sys.argv[1]), int(sys.argv[2])
    whole, killed = target / "whole", target / "killed"
    whole.mkdir()
    killed.mkdir()
    train(None, replace(CONFIG, epochs=1))  # what torch imports on first use, once for all children
    in_child(whole)
    moments = random.Random(1)
    ends = [in_child(killed, moments.randrange(80_000, 180_000)) for _ in range(kills)]
    print(ends.count(signal.SIGKILL), epochs_done(killed))
    in_child(killed)
