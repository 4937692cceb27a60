"""Checkpoints that survive a kill at any moment, and load without running code.

A file is one line ``topodiff-checkpoint-1 SHA256`` and then ``torch.save`` of plain containers and
tensors. The newest checkpoint is written beside the one before it, which stays until the newest is
complete on disk; a damaged newest file is skipped in favour of the previous one.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from topodiff.training.files import write_bytes

MAGIC = b"topodiff-checkpoint-1"
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


def save(path: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, strings, lists, tuples, dicts) to one file, atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest().encode()
    write_bytes(path, MAGIC + b" " + digest + b"\n" + content)


def load(path: str | Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what :func:`save` wrote; ValueError where the file is cut short, altered or foreign."""
    content = Path(path).read_bytes()
    header, newline, content = content.partition(b"\n")
    if not header.startswith(MAGIC) or not newline:
        raise ValueError(f"{path} is not a topodiff checkpoint (or its beginning is damaged)")
    if header != MAGIC + b" " + hashlib.sha256(content).hexdigest().encode():
        raise ValueError(f"{path} is damaged: its content does not match its checksum")
    try:
        state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise ValueError(f"{path} holds what cannot be read without running code") from error
    return dict(state) if isinstance(state, dict) else {}


def save_newest(folder: str | Path, state: dict[str, Any]) -> None:
    """Write ``state`` as the newest checkpoint of ``folder``, keeping the one before it."""
    folder = Path(folder)
    fresh = folder / f".{LAST}.new"
    save(fresh, state)
    if (folder / LAST).exists():
        os.replace(folder / LAST, folder / PREVIOUS)
    os.replace(fresh, folder / LAST)


def load_newest(folder: str | Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The newest intact checkpoint of ``folder``; None where there is none at all.

    Raises:
        ValueError: there are checkpoints, and all are damaged.
    """
    problems = []
    for name in (LAST, PREVIOUS):
        path = Path(folder) / name
        if path.exists():
            try:
                state = load(path, device)
            except ValueError as error:
                problems.append(str(error))
                continue
            if problems:
                warnings.warn(f"{problems[0]}; going on from {path}", stacklevel=2)
            return state
    if problems:
        raise ValueError("; ".join(problems) + ": no intact checkpoint is left, start afresh")
    return None


def rng_state() -> dict[str, Any]:
    """States of the random generators of torch (all devices), numpy and Python."""
    name, key, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (str(name), torch.tensor(np.asarray(key, "int64")), position, has_gauss, gauss),
        "python": random.getstate(),
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Inverse of :func:`rng_state`."""
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])
    name, key, *rest = state["numpy"]
    np.random.set_state((name, key.cpu().numpy().astype("uint32"), *rest))  # noqa: NPY002
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


def seed_everything(seed: int) -> None:
    """Seed torch (all devices), numpy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    random.seed(seed)
