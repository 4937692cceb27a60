"""`topodiff train` in child processes: once to the end, and once killed a random moment after each
time that there is a new checkpoint, and resumed.

Arguments: table, folder, number of kills. Writes folder/whole and folder/killed; the last line on
standard error says how many children were killed, and whether that was after the end.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from topodiff.cli.app import app

OPTIONS = [
    "--model", "cin", "--ensemble", "2", "--hidden-channels", "8", "--num-layers", "2",
    "--no-descriptors", "--target-columns", "size", "--epochs",
]  # fmt: skip


def train(*options, epochs=12):
    app(["train", *map(str, options), *OPTIONS, str(epochs)], standalone_mode=False)


def start(*options):
    """The command in a forked process."""
    child = os.fork()
    if child == 0:
        train(*options)
        os._exit(0)
    return child


def finish(child):
    """How it ended."""
    return os.waitpid(child, 0)[1]


def checkpoints(folder):
    found = [path.stat().st_mtime_ns for path in folder.glob("member_*/last.ckpt")]
    return max(found, default=0)


def start_and_kill(table, folder, later, *options):
    before = checkpoints(folder)
    child = start(table, "--out", folder, *options)
    while checkpoints(folder) == before:
        time.sleep(0.001)
    time.sleep(later)
    os.kill(child, signal.SIGKILL)
    return finish(child)


if __name__ == "__main__":
    torch.set_num_threads(1)
    table, target, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    killed, moments = target / "killed", random.Random(0)
    train(table, "--out", target / "warm", epochs=1)  # imports, once for all children
    ends = [
        start_and_kill(table, killed, moments.uniform(0, 0.03), *(["--resume"] if k else []))
        for k in range(kills)
    ]
    print(ends.count(signal.SIGKILL), (killed / "metrics.json").exists(), file=sys.stderr)
    assert finish(start(table, "--out", killed, "--resume")) == 0
    assert finish(start(table, "--out", target / "whole")) == 0
