"""The diffusion benchmark on a small data set of our own, and its plan."""

import dataclasses

import pytest
import torch
from typer.testing import CliRunner

from topodiff.cli.app import app
from topodiff.complexes import CellComplex
from topodiff.datasets import NodeDataset
from topodiff.training import diffusion, diffusion_tuning
from topodiff.training.diffusion import DIFFUSION, MODELS, plan
from topodiff.training.diffusion_settings import PUBLISHED, settings
from topodiff.training.results import TRIALS, ResultsFile

N = 30


@pytest.fixture
def toy(monkeypatch):
    """Two cliques under every name; settings are those of cora, but small."""
    pairs = [(i, j) for i in range(N) for j in range(i) if i % 2 == j % 2]
    y = torch.arange(N) % 2
    x = torch.randn(N, 5, generator=torch.Generator().manual_seed(0))
    K = CellComplex.from_edges(N, torch.tensor(pairs).T, x={0: x})
    part = torch.stack([(torch.arange(N) // 2 + k) % 3 for k in range(10)])
    data = NodeDataset("toy", K, y, 2, part == 0, part == 1, part == 2, "accuracy")

    def small(dataset, model):
        options = {**settings(dataset, model), "epochs": 3, "hidden_channels": 16}
        if "position_neighbors" in options:
            options["position_channels"] = N
        return options | ({"neighbors": 4} if "neighbors" in options else {})

    fast = dataclasses.replace(DIFFUSION, load=lambda name: data, settings=small)
    monkeypatch.setattr(diffusion, "DIFFUSION", fast)
    search = dataclasses.replace(diffusion_tuning.SEARCH, benchmark=fast)
    monkeypatch.setattr(diffusion_tuning, "SEARCH", search)
    return data


def test_from_the_command_line(toy, tmp_path):
    out = tmp_path / "results.json"
    arguments = ["bench", "diffusion", "--out", str(out), "--runs", "2", "--datasets", "cora"]
    done = CliRunner().invoke(app, [*arguments, "texas", "--models", "grand-l", "graphcon-gcn"])
    assert done.exit_code == 0, done.output
    groups = {(g["dataset"], g["model"]): g for g in ResultsFile(out).groups()}
    assert [*groups] == [
        ("cora_fixed", "grand-l"),
        ("cora_fixed", "graphcon-gcn"),
        ("cora_planetoid", "grand-l"),
        ("cora_planetoid", "graphcon-gcn"),
        ("cora_random", "grand-l"),
        ("cora_random", "graphcon-gcn"),
        ("texas", "graphcon-gcn"),
    ]
    seeds = [(r["seed"], r["split"]) for r in groups["cora_planetoid", "grand-l"]["results"]]
    splits = [(r["seed"], r["split"]) for r in groups["cora_random", "grand-l"]["results"]]
    assert (seeds, splits) == ([(0, 0), (1, 0)], [(0, 0), (0, 1)])
    assert "84.70 ± 0.60" in done.output
    before = out.read_text()
    again = CliRunner().invoke(app, [*arguments, "texas", "--models", "grand-l", "graphcon-gcn"])
    assert again.exit_code == 0
    assert out.read_text() == before


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dataset", ["cora_planetoid", "citeseer_random", "pubmed_random"])
def test_settings_fit_the_constructors(toy, model, dataset):
    options = diffusion.DIFFUSION.settings(dataset, model)
    result = diffusion.DIFFUSION.run(toy, model, 0, 0, {**options, "epochs": 1})
    assert result["epochs"] == 1
    # two cliques with features of no meaning: diffusion along edges finds the classes
    if model == "grand-l":
        longer = {**options, "epochs": 60, "dropout": 0.0, "weight_decay": 0.0}
        assert diffusion.DIFFUSION.run(toy, model, 0, 0, longer)["test"] == 1


@pytest.mark.parametrize("model", ["grand-l", "blend-knn", "graphcon-gcn"])
def test_test_vertices_choose_nothing(toy, model):
    options = diffusion.DIFFUSION.settings("cora_planetoid", model)
    wrong = dataclasses.replace(toy, y=torch.where(toy.test[0], 1 - toy.y, toy.y))
    a, b = (diffusion.DIFFUSION.run(data, model, 0, 0, options) for data in (toy, wrong))
    assert a.pop("test") == pytest.approx(1 - b.pop("test"))
    for result in (a, b):
        del result["cpu_seconds"]
    assert a == b
    assert ("end" in a) == (model != "graphcon-gcn")


@pytest.mark.parametrize("model", ["graphcon-gcn", "graphcon-gat"])
@pytest.mark.parametrize("dataset", diffusion.WEB_PAGES)
def test_settings_of_web_pages(toy, model, dataset):
    options = settings(dataset, model)
    assert (options["alpha"], options["gamma"], options["dropout"]) == (0, 0, 0.3)
    built = diffusion.DIFFUSION.build(model, 5, 2, options)
    assert built(toy.complex).shape == (N, 2)


def test_plan():
    assert len(plan(["cora"], ["grand-l"], ["planetoid", "fixed", "random", "geom"])) == 20
    keys = plan(["texas", "cora"], [*MODELS], ["geom"], 3)
    assert {(k.dataset, k.model) for k in keys} == {
        ("texas", "graphcon-gcn"), ("texas", "graphcon-gat"),
    }  # fmt: skip
    assert [k.split for k in keys] == [0, 1, 2] * 2
    with pytest.raises(ValueError, match=r"no data set 'film'"):
        plan(["film"], ["grand-l"], ["geom"])
    with pytest.raises(ValueError, match="nothing to run"):
        plan(["texas"], ["grand-l"], ["geom"])
    with pytest.raises(ValueError, match="splits 0 to 99, got 100"):
        plan(["cora"], ["grand-l"], ["random"], 101)
    for dataset, model in PUBLISHED:
        assert dataset in DIFFUSION.datasets
        assert model in MODELS


@pytest.mark.parametrize("model", diffusion_tuning.SPACE)
def test_tuning_from_the_command_line(toy, tmp_path, model):
    out = tmp_path / "tuning.json"
    arguments = ["bench", "diffusion", "--out", str(out), "--tune", "4", "--datasets", "cora"]
    done = CliRunner().invoke(app, [*arguments, "--splits", "random", "--models", model])
    assert done.exit_code == 0, done.output
    (group,) = ResultsFile(out, TRIALS).groups()
    assert (group["dataset"], group["model"]) == ("cora_random", model)
    assert [r["trial"] for r in group["results"]] == [0, 1, 2, 3]
    assert group["results"][0]["options"] == diffusion.DIFFUSION.settings("cora_random", model)
    assert any(r["valid"] > 0.5 for r in group["results"])


def test_a_trial_that_blows_up_is_noted(toy, tmp_path):
    options = {"dt": 100.0, "num_layers": 60, "alpha": 0.0, "gamma": 1.0, "epochs": 1}
    search = dataclasses.replace(
        diffusion_tuning.SEARCH, space=lambda model: {k: [v] for k, v in options.items()}
    )
    search = dataclasses.replace(search, base=lambda model: {"hidden_channels": 16})
    search.tune("cora_random", "graphcon-gcn", 1, tmp_path / "tuning.json")
    ((result,),) = [g["results"] for g in ResultsFile(tmp_path / "tuning.json", TRIALS).groups()]
    assert result["valid"] == 0
    assert "take a smaller dt" in result["failed"]


def test_models_with_published_settings_are_not_searched(toy, tmp_path):
    arguments = ["bench", "diffusion", "--out", str(tmp_path / "t.json"), "--tune", "1"]
    done = CliRunner().invoke(app, [*arguments, "--datasets", "cora", "--models", "grand-l"])
    assert done.exit_code == 2
    assert "settings of grand-l are published" in done.output
