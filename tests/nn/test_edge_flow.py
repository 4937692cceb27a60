"""Cells of rank 2 help where flows are to be found (examples/edge_flow.py)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

import topodiff as td
from topodiff.testing import assert_orientation_equivariant

PATH = Path(__file__).parents[2] / "examples" / "edge_flow.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("edge_flow", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_currents_have_neither_divergence_nor_curl(example):
    for seed in range(3):
        K = example.sea(seed)
        assert K.betti_numbers()[1] >= 1
        current = K.labels[1].double().numpy()
        assert abs(K.incidence_matrix(1) @ current).max() < 1e-4
        assert abs(K.incidence_matrix(2).T @ current).max() < 1e-4


def test_both_parts_beat_one_on_seas_that_were_not_seen(example):
    seas = td.batch([example.sea(k) for k in range(24)])
    seen, unseen = seas.select(range(16)), seas.select(range(16, 24))
    errors = {}
    for name in ("Hodge, lower part", "Hodge, both", "sheaf on edges"):
        torch.manual_seed(0)
        model = example.train(example.MODELS[name](), seen, epochs=25)
        with torch.no_grad():
            errors[name] = float(example.error(model, unseen))
    assert errors["Hodge, both"] < 0.5 * errors["Hodge, lower part"]
    assert errors["sheaf on edges"] < 0.5 * errors["Hodge, lower part"]


def test_the_models_know_no_orientation_and_the_line_graph_knows_too_little(example):
    K = example.sea(0)
    torch.manual_seed(0)
    for name in ("Hodge, both", "sheaf on edges"):
        model = example.MODELS[name]()
        assert_orientation_equivariant(lambda K, model=model: {1: model(K)}, K)
    model = example.MODELS["GCN on the line graph"]()
    with pytest.raises(AssertionError, match="reoriented"):
        assert_orientation_equivariant(lambda K: {1: model(K)}, K)
