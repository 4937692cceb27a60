"""The heterophily benchmark on a small data set of our own."""

import dataclasses
import json
import multiprocessing
import shutil
import statistics
import subprocess

import pytest
import torch

from topodiff.complexes import CellComplex
from topodiff.datasets import NodeDataset
from topodiff.training import machine
from topodiff.training.heterophily import DATASETS, HETEROPHILY, MODELS
from topodiff.training.heterophily_settings import PUBLISHED, settings
from topodiff.training.heterophily_tuning import SEARCH
from topodiff.training.node_benchmark import Key, summarize
from topodiff.training.results import TRIALS, ResultsFile
from topodiff.training.tuning import best_trial

FAST = {"hidden_channels": 4, "num_layers": 2, "epochs": 3}


@pytest.fixture
def toy():
    """A ring of alternating classes under the name texas, how often it was loaded, and the
    benchmark with it."""
    n = 24
    ring = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
    y = torch.arange(n) % 2
    x = torch.randn(n, 3, generator=torch.Generator().manual_seed(0)) + 4 * y[:, None]
    K = CellComplex.from_edges(n, ring, x={0: x})
    part = torch.stack([(torch.arange(n) // 2 + k) % 3 for k in range(3)])
    data = NodeDataset("texas", K, y, 2, part == 0, part == 1, part == 2, "accuracy")
    loaded = []

    def load(name):
        loaded.append(name)
        return data

    fast = dataclasses.replace(HETEROPHILY, load=load, settings=lambda dataset, model: dict(FAST))
    return data, loaded, fast


def test_runs_are_done_once(toy, tmp_path):
    _, loaded, bench = toy
    out = tmp_path / "results.json"
    keys = bench.plan(["texas"], ["mlp", "gcn"], range(2), range(2))
    assert len(keys) == 8
    started = bench.run_all(keys, out)
    assert [next(started)[1]["split"] for _ in range(3)] == [0, 1, 0]
    started.close()  # stopped in the middle
    assert len(ResultsFile(out).groups()[0]["results"]) == 3
    done = [result is not None for _, result in bench.run_all(keys, out)]
    assert done == [False] * 3 + [True] * 5
    assert all(result is None for _, result in bench.run_all(keys, out))
    assert loaded == ["texas"] * 2
    groups = ResultsFile(out).groups()
    assert [(g["model"], len(g["results"])) for g in groups] == [("gcn", 4), ("mlp", 4)]
    assert groups[0]["settings"] == FAST
    assert "processor" in groups[0]["run"]


def test_other_settings_replace_results(toy, tmp_path):
    bench = toy[2]
    out = tmp_path / "results.json"
    keys = bench.plan(["texas"], ["mlp"], range(2), [0])
    list(bench.run_all(keys, out))
    bench = dataclasses.replace(bench, settings=lambda d, m: {**FAST, "epochs": 2})
    assert all(result is not None for _, result in bench.run_all(keys, out))
    (group,) = ResultsFile(out).groups()
    assert group["settings"]["epochs"] == 2
    assert [r["epochs"] for r in group["results"]] == [2, 2]


def test_a_run_depends_on_its_key_alone(toy):
    data, _, bench = toy
    options = {**FAST, "dropout": 0.5, "epochs": 10}
    first = bench.run(data, "gcn", 0, 1, options)
    torch.manual_seed(99)
    again = bench.run(data, "gcn", 0, 1, options)
    for result in (first, again):
        del result["cpu_seconds"]
    assert first == again
    assert first["split"] == 1


def test_test_vertices_are_seen_after_training_alone(toy):
    data, _, bench = toy
    wrong = torch.where(data.test[0], 1 - data.y, data.y)
    other = dataclasses.replace(data, y=wrong)
    options = {**FAST, "epochs": 30, "learning_rate": 0.1}
    a, b = (bench.run(d, "mlp", 0, 0, options) for d in (data, other))
    assert a["test"] == pytest.approx(1 - b["test"])
    assert a["test"] > 0.7
    for name in ("valid", "best_epoch", "epochs"):
        assert a[name] == b[name]


@pytest.mark.parametrize("model", MODELS)
def test_settings_fit_the_constructors(toy, model):
    data, _, bench = toy
    for dataset in DATASETS:
        options = settings(dataset, model)
        built = bench.build(model, 3, 2, options)
        assert built(data.complex).shape == (24, 2)
        bench.run(data, model, 0, 0, {**options, "epochs": 1})


def test_published_settings_and_numbers():
    texas = settings("texas", "od-nsd")
    assert (texas["stalk_dim"], texas["num_layers"], texas["hidden_channels"]) == (3, 4, 20)
    assert (texas["learner"], texas["edge_weights"]) == ("sum", True)
    assert settings("cornell_legacy", "diag-nsd")["decays"] == {
        "learner.weight": 3.1764232712732976e-4
    }
    assert "decays" not in settings("cornell_legacy", "identity-nsd")
    assert settings("film", "gcn") == settings("", "gcn") | settings("film", "gcn")
    assert PUBLISHED["texas", "od-nsd"] == (85.95, 5.51)
    assert PUBLISHED["cornell_legacy", "mlp"] == (81.89, 6.40)
    assert ("cornell", "mlp") not in PUBLISHED


def test_unknown_names():
    with pytest.raises(ValueError, match=r"no data set 'texa'; did you mean texas"):
        HETEROPHILY.plan(["texa"], ["mlp"], [0], [0])
    with pytest.raises(ValueError, match=r"no model 'nsd'; did you mean"):
        HETEROPHILY.plan(["texas"], ["nsd"], [0], [0])
    with pytest.raises(ValueError, match="splits 0 to 9, got 10"):
        HETEROPHILY.plan(["texas"], ["mlp"], [9, 10], [0])
    assert HETEROPHILY.plan(["texas"], ["mlp"], [1], [2]) == [Key("texas", "mlp", 2, 1)]


def test_summary():
    results = [{"test": t, "valid": 0.5, "cpu_seconds": 2.0} for t in (0.8, 0.9, 0.85)]
    found = summarize([{"dataset": "texas", "model": "mlp", "results": results}])["texas", "mlp"]
    assert found.mean == pytest.approx(85)
    assert found.std == pytest.approx(100 * statistics.pstdev([0.8, 0.9, 0.85]))
    assert (found.valid, found.runs, found.seconds) == (50, 3, 2)


# -- the file --------------------------------------------------------------------------------------


RUN = {"split": 0, "seed": 0, "test": 0.5, "valid": 0.5, "cpu_seconds": 1.0}


def add_many(path, model):
    for split in range(15):
        ResultsFile(path).add(
            {"dataset": "d", "model": model, "settings": {}},
            {"commit": "c"},
            RUN | {"split": split},
        )


def test_processes_share_a_file(tmp_path):
    path = tmp_path / "results.json"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=add_many, args=(path, m)) for m in ("a", "b", "a")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    counts = {g["model"]: len(g["results"]) for g in json.loads(path.read_text())}
    assert counts == {"a": 30, "b": 15}


def test_the_file_is_json_with_a_line_per_result(tmp_path):
    path = tmp_path / "results.json"
    file = ResultsFile(path)
    assert file.groups() == []
    group = {"dataset": "d", "model": "m", "settings": {"decays": {"a": 1e-3}, "t": (1, 2)}}
    for split in range(2):
        file.add(group, {"commit": "c"}, RUN | {"split": split})
    assert file.has(group, {"split": 1})
    assert not file.has(group, {"split": 2})
    assert not file.has({**group, "settings": {}}, {"split": 1})
    lines = path.read_text().splitlines()
    assert [json.loads(line.strip().rstrip(",")) for line in lines[2:4]] == [
        RUN,
        RUN | {"split": 1},
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{}", "is no file of runs .* list of groups"),
        ("", "is no file of runs"),
        ("[1]", "list of groups"),
        ('[{"dataset": "d", "model": "m", "settings": {}, "results": 3}]', "list of groups"),
        (
            '[{"dataset": "d", "model": "m", "settings": {}, "results": [{"split": 0}]}]',
            "its results lack one of split, seed, test",
        ),
        ('[{"dataset": ["d"], "model": "m", "settings": {}, "results": [%s]}]', "list of groups"),
        ('[{"dataset": "d", "model": "m", "settings": {}, "results": []}]', "list of groups"),
        (
            '[{"dataset": "d", "model": "m", "settings": {}, '
            '"results": [{"split": 0, "seed": 0, "test": null, "valid": 1, "cpu_seconds": 1}]}]',
            "its results lack one of split, seed, test",
        ),
        (
            '[{"dataset": "d", "model": "m", "settings": {}, '
            '"results": [{"trial": 0, "valid": 1, "options": {}}]}]',
            "holds trials of --tune, these are runs: name another file",
        ),
    ],
)
def test_a_file_of_something_else_is_refused_and_kept(tmp_path, content, problem):
    path = tmp_path / "results.json"
    content = content.replace("%s", json.dumps(RUN))
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"results.json.*{problem}"):
        ResultsFile(path).add({"dataset": "d", "model": "m", "settings": {}}, {}, RUN)
    assert path.read_text() == content


def test_trials_do_not_replace_runs(toy, tmp_path):
    out = tmp_path / "results.json"
    ResultsFile(out).add({"dataset": "texas", "model": "mlp", "settings": {}}, {}, RUN)
    before = out.read_text()
    search = dataclasses.replace(SEARCH, benchmark=toy[2])
    with pytest.raises(ValueError, match="holds runs, these are trials of --tune"):
        search.tune("texas", "mlp", 0, out)
    assert out.read_text() == before


def test_the_commit_is_that_of_topodiff_or_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "__file__", str(tmp_path / "lib/topodiff/training/machine.py"))
    (tmp_path / "lib/topodiff/training").mkdir(parents=True)
    if shutil.which("git"):
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        identity = ["-c", "user.name=n", "-c", "user.email=e"]
        commit = ["commit", "-q", "--allow-empty", "-m", "of somebody else"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *commit], check=True)
    assert machine.describe_run()["commit"] == "unknown"
    monkeypatch.setenv("PATH", "")
    assert machine.describe_run()["commit"] == "unknown"


# -- tuning ----------------------------------------------------------------------------------------


def test_tuning(toy, tmp_path):
    _, loaded, fast = toy
    space = {"hidden_channels": [2, 4, 8], "weight_decay": (1e-4, 1e-2)}
    search = dataclasses.replace(SEARCH, benchmark=fast, space=lambda model: space)
    out = tmp_path / "tuning.json"
    for trial in [0, 1, 2, 1]:
        search.tune("texas", "mlp", trial, out)
    assert len(loaded) == 3
    (group,) = ResultsFile(out, TRIALS).groups()
    assert [r["trial"] for r in group["results"]] == [0, 1, 2]
    assert group["results"][0]["options"] == FAST
    assert all("test" not in r for r in group["results"])
    assert best_trial("texas", "mlp", out)["valid"] == max(r["valid"] for r in group["results"])


def test_trials_whose_loss_is_not_finite_are_noted(toy, tmp_path):
    _, _, fast = toy
    search = dataclasses.replace(SEARCH, benchmark=fast, space=lambda model: {})
    search = dataclasses.replace(search, base=lambda model: FAST | {"learning_rate": 1e38})
    search.tune("texas", "mlp", 1, tmp_path / "tuning.json")
    ((result,),) = [g["results"] for g in ResultsFile(tmp_path / "tuning.json", TRIALS).groups()]
    assert result["valid"] == 0
    assert "lower the learning rate" in result["failed"]


def test_draws():
    drawn = [SEARCH.draw("texas", "od-nsd", trial) for trial in range(30)]
    assert drawn[0] == settings("texas", "od-nsd")
    assert drawn[1] == SEARCH.draw("texas", "od-nsd", 1) != SEARCH.draw("texas", "od-nsd", 2)
    assert drawn[1] != SEARCH.draw("wisconsin", "od-nsd", 1)
    assert {d["stalk_dim"] for d in drawn[1:]} == {2, 3, 4}
    assert all(1.7e-5 <= d["decays"]["learner.weight"] <= 1.1e-3 for d in drawn[1:])
    assert all(d["edge_weights"] for d in drawn)
    assert "decays" not in SEARCH.draw("texas", "identity-nsd", 1)
