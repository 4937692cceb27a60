"""Learnt maps turn readings of instruments into one frame (examples/local_frames.py)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

import topodiff as td

PATH = Path(__file__).parents[2] / "examples" / "local_frames.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("local_frames", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readings_of_near_instruments_agree_in_one_frame_alone(example):
    K = example.mesh(0)
    read, angles = K.labels[1], K.x[1][:, 3:]
    cos, sin = angles.T
    turned = torch.stack([cos * read[:, 0] - sin * read[:, 1], sin * read[:, 0] + cos * read[:, 1]])
    near = K.lower_adjacency(1)
    steps = (turned.T[near.source] - turned.T[near.target]).square().mean()
    assert steps < 0.3 * (read[near.source] - read[near.target]).square().mean()


def test_learnt_maps_beat_identity_maps_on_meshes_that_were_not_seen(example):
    meshes = td.batch([example.mesh(k) for k in range(96)])
    seen, unseen = meshes.select(range(72)), meshes.select(range(72, 96))
    errors = {}
    for maps in ("identity", "diagonal"):
        torch.manual_seed(0)
        model = example.train(example.sheaf(16, maps), seen, epochs=25)
        with torch.no_grad():
            errors[maps] = float(example.error(model, unseen))
    assert errors["diagonal"] < 0.6 * errors["identity"], errors
