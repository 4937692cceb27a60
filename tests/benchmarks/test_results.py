"""What the scripts of benchmarks/ do with the files of results that are there already."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import topodiff as td

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PAIR = torch.tensor([[0], [1]])


@pytest.fixture
def script(monkeypatch, tmp_path):
    """A script as a module, whose results go elsewhere."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def load(name: str, results: object = None) -> ModuleType:
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results.json")
        if results is not None:
            module.RESULTS.write_text(results if isinstance(results, str) else json.dumps(results))
        return module

    return load


def run(monkeypatch, module: ModuleType, *arguments: str) -> None:
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *arguments])
    try:
        module.main()
    finally:
        torch.set_num_threads(threads)


def test_solvers_keep_the_rows_of_a_graph_that_is_not_at_hand(script, monkeypatch, capsys):
    solvers = script("solvers", {"cora, mild": {"rows": []}})
    monkeypatch.setattr(solvers, "mesh", lambda n: td.CellComplex.from_edges(2, PAIR))
    monkeypatch.setattr(solvers, "run_case", lambda *given: {"claims": {}})

    def nowhere(name):
        raise td.datasets.DownloadError("no network")

    monkeypatch.setattr(solvers, "load_nodes", nowhere)
    run(monkeypatch, solvers)
    assert "cora is left out: no network" in capsys.readouterr().out
    assert [*json.loads(solvers.RESULTS.read_text())] == ["cora, mild", "mesh, mild", "mesh, stiff"]


def test_steps_of_some_data_sets_keep_those_of_others(script, monkeypatch):
    steps = script("heterophily_steps")
    other, old = (
        {"dataset": name, "model": "od-nsd", "step_seconds": 1.0} for name in ("film", "texas")
    )
    steps.RESULTS.write_text(json.dumps({"rows": [other, old]}))

    def measure(dataset, model, repeats):
        return {
            "dataset": dataset, "model": model, "step_seconds": 2.0, "peak_memory_gb": 1.0,
            "published_step_seconds": 4.0, "published_peak_memory_gb": None,
        }  # fmt: skip

    monkeypatch.setattr(steps, "measure_apart", lambda cases: [measure(*case) for case in cases])
    run(monkeypatch, steps, "--datasets", "texas")
    rows = json.loads(steps.RESULTS.read_text())["rows"]
    assert [(r["dataset"], r["model"], r["step_seconds"]) for r in rows] == [
        ("texas", "od-nsd", 2.0),
        ("texas", "diag-nsd", 2.0),
        ("film", "od-nsd", 1.0),
    ]


@pytest.mark.parametrize(
    "name", ["molecules", "depth", "kernels", "kernels_sheaf", "solvers", "heterophily_steps"]
)
def test_a_damaged_file_is_named_before_anything_is_measured(script, monkeypatch, name):
    module = script(name, '[{"rows"')
    with pytest.raises(SystemExit, match=r"results\.json is damaged .*: restore or remove it"):
        run(monkeypatch, module)
    assert module.RESULTS.read_text() == '[{"rows"'


def test_splits_that_do_not_exist_are_refused(script, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, script("molecules"), "--splits", "given_7")
    assert "invalid choice: 'given_7'" in capsys.readouterr().err


def test_vertices_without_a_class_are_in_no_split(script):
    y = torch.arange(90) % 3 - 1
    masks = script("depth").split(y, 0, 10, 10)
    assert [int(mask.sum()) for mask in masks] == [40, 10, 10]
    assert all(bool((y[mask] >= 0).all()) for mask in masks)


def test_tables_of_a_size_that_was_never_published(script):
    script("molecules")
    run = {"command": "zinc.py", "processor": "any", "instruction_set": "avx2"}
    size = {"layers": 1, "hidden": 2, "parameters": 3}
    record = {"model": size, "status": "finished", "val": 0.2, "test": 0.3, "run": run}
    assert "CIN 1 x 2, 3 parameters" in importlib.import_module("tables_accuracy").zinc([record])
