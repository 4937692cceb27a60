"""Node classification data sets: published counts, every published format, bad files."""

import dataclasses
import hashlib
import pickle
from collections import defaultdict

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from topodiff.datasets import DownloadError, NodeDataset, load_nodes, nodes
from topodiff.datasets.geom_gcn import read_geom_gcn
from topodiff.datasets.node_arrays import NodeArrays, read_npz
from topodiff.datasets.nodes import normalize_rows, read_arrays
from topodiff.datasets.planetoid import FILES, read_pickle, read_planetoid


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TOPODIFF_CACHE", str(tmp_path / "cache"))


# vertices, undirected edges without loops, features, classes, sizes of split 0, edge homophily
PUBLISHED = {
    "texas": (183, 279, 1703, 5, (87, 59, 37), 0.0609),
    "wisconsin": (251, 450, 1703, 5, (120, 80, 51), 0.1778),
    "cornell": (183, 277, 1703, 5, (87, 59, 37), 0.1227),
    "cornell_legacy": (183, 277, 1703, 5, (87, 59, 37), 0.2960),
    "film": (7600, 26659, 932, 5, (3648, 2432, 1520), 0.2167),
    "chameleon": (2277, 31371, 2325, 5, (1092, 729, 456), 0.2299),
    "squirrel": (5201, 198353, 2089, 5, (2496, 1664, 1041), 0.2221),
    "cora": (2708, 5278, 1433, 7, (1192, 796, 497), 0.8100),
    # of the published 1596, 1065 and 666 the 15 vertices without a class are left out
    "citeseer": (3327, 4552, 3703, 6, (1586, 1061, 665), 0.7355),
    "pubmed": (19717, 44324, 500, 3, (9463, 6310, 3944), 0.8024),
    "minesweeper": (10000, 39402, 7, 2, (5000, 2500, 2500), 0.6828),
}


def homophily(data: NodeDataset) -> float:
    tail, head = data.complex.edge_index
    y = data.y.clamp(min=0)  # the published count takes vertices without a class for class 0
    return float((y[tail] == y[head]).double().mean())


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(mirror, name):
    data = load_nodes(name)
    n, m, features, classes, sizes, same = PUBLISHED[name]
    assert data.complex.shape == (n, m)
    assert data.complex.x[0].dtype == torch.float32
    assert (data.num_features, data.num_classes, data.num_splits) == (features, classes, 10)
    assert tuple(int(m[0].sum()) for m in (data.train, data.val, data.test)) == sizes
    assert homophily(data) == pytest.approx(same, abs=5e-5)
    assert not (data.train & data.val | data.train & data.test | data.val & data.test).any()
    assert (data.y[(data.train | data.val | data.test).any(0)] >= 0).all()
    assert data.metric == ("roc_auc" if name == "minesweeper" else "accuracy")


@pytest.mark.parametrize("name", ["texas", "wisconsin", "cora", "minesweeper"])
def test_public_files_and_mirror_give_the_same(mirror, name, monkeypatch):
    raw = mirror / "raw"
    if not raw.is_dir():
        pytest.skip("needs raw/ in the mirror")
    normalised = load_nodes(name)
    addresses = {key: (raw / key).as_uri() for key in nodes._ADDRESSES}
    monkeypatch.setattr(nodes, "_ADDRESSES", addresses)
    monkeypatch.delenv("TOPODIFF_MIRROR")
    public = load_nodes(name)
    assert public.complex.equals(normalised.complex)
    for part in ("y", "train", "val", "test"):
        assert torch.equal(getattr(public, part), getattr(normalised, part))


def test_two_cornells(mirror):
    texas, old, new = (load_nodes(name) for name in ("texas", "cornell_legacy", "cornell"))
    assert torch.equal(old.y, texas.y)
    assert torch.equal(old.complex.x[0], texas.complex.x[0])
    assert not torch.equal(old.y, new.y)
    assert torch.equal(old.train, new.train)


def test_citeseer_has_vertices_without_class(mirror):
    data = load_nodes("citeseer")
    unknown = (data.y < 0).nonzero().flatten().tolist()
    assert len(unknown) == 15
    assert unknown[:3] == [2407, 2489, 2553]
    assert not (data.train | data.val | data.test)[:, unknown].any()


def test_row_normalisation(mirror):
    plain = load_nodes("chameleon", row_normalize=False).complex.x[0]
    x = load_nodes("chameleon").complex.x[0]
    total = x.sum(1)
    assert set(plain.unique().tolist()) == {0, 1}
    torch.testing.assert_close(total, (plain.sum(1) > 0).float())
    assert (total == 0).sum() == 233
    with pytest.raises(ValueError, match="negative"):
        normalize_rows(torch.tensor([[1.0, -1.0]]))


def test_unknown_names():
    with pytest.raises(ValueError, match=r"unknown data set 'qm9'.*'texas'"):
        load_nodes("qm9")


def test_without_network(monkeypatch, tmp_path):
    monkeypatch.delenv("TOPODIFF_MIRROR", raising=False)
    monkeypatch.setattr(nodes, "_ADDRESSES", dict.fromkeys(nodes._ADDRESSES, tmp_path.as_uri()))
    monkeypatch.setattr("topodiff.datasets.download.TRIES", 1)
    for name in nodes.SOURCES:
        with pytest.raises(DownloadError, match="TOPODIFF_MIRROR"):
            load_nodes(name)


# -- public files made here ------------------------------------------------------------------------


@pytest.fixture
def yandex(tmp_path, monkeypatch):
    """A public file in the form of heterophilous-graphs, at the address of questions."""
    arrays = {
        "node_features": np.array([[1, -2], [0, 0.5], [3, 0]], np.float32),
        "node_labels": np.array([1, 0, 1]),
        "edges": np.array([[0, 1], [2, 1]]),
        "train_masks": np.eye(3, dtype=bool)[:2],
        "val_masks": np.eye(3, dtype=bool)[1:],
        "test_masks": np.eye(3, dtype=bool)[[2, 0]],
    }
    np.savez(tmp_path / "questions.npz", **arrays)
    monkeypatch.delenv("TOPODIFF_MIRROR", raising=False)
    monkeypatch.setitem(nodes._ADDRESSES, "heterophilous-graphs", tmp_path.as_uri())


def test_yandex_form(yandex):
    data = load_nodes("questions")
    assert data.complex.cells(1) == [(0, 1), (1, 2)]
    assert data.complex.x[0].tolist() == [[1, -2], [0, 0.5], [3, 0]]
    assert data.y.tolist() == [1, 0, 1]
    assert (data.num_classes, data.num_splits, data.metric) == (2, 2, "roc_auc")
    assert data.test.tolist() == [[False, False, True], [True, False, False]]
    with pytest.raises(ValueError, match="negative"):
        load_nodes("questions", row_normalize=True)


def test_public_files_with_other_content_are_refused(yandex, monkeypatch):
    source = dataclasses.replace(
        nodes.SOURCES["questions"], digest=read_arrays("questions").digest()
    )
    monkeypatch.setitem(nodes.SOURCES, "questions", source)
    load_nodes("questions")
    monkeypatch.setitem(nodes.SOURCES, "questions", dataclasses.replace(source, digest="00"))
    with pytest.raises(DownloadError, match="hold other data than expected"):
        load_nodes("questions")


@pytest.mark.parametrize("content", [b"PK and no more", None])
def test_damaged_files_are_named_with_the_remedy(yandex, tmp_path, content):
    load_nodes("questions")
    [path] = tmp_path.rglob("heterophilous-graphs/questions.npz")
    if content is None:
        np.savez(path, edges=np.eye(2, dtype=np.int64))
    else:
        path.write_bytes(content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name("questions.npz.sha256").write_text(digest)  # as trusted by an earlier version
    with pytest.raises(DownloadError, match=r"questions.*: delete"):
        load_nodes("questions")


def test_npz_files_that_are_none(tmp_path):
    for content in (b"", b"<html>", b"PK\x03\x04 and no more"):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(DownloadError, match=r"a.npz is no npz file.*delete it"):
            read_npz(tmp_path / "a.npz")


def test_the_digest_sees_the_graph_not_its_list():
    edges, masks = np.array([[0, 1, 2], [1, 2, 2]]), np.ones((1, 3), bool)
    arrays = NodeArrays(edges, np.eye(3, dtype=np.float32), np.arange(3), masks, ~masks, ~masks)
    twice = arrays._replace(edges=np.concatenate([edges[::-1], edges], 1)[:, ::-1].copy())
    assert twice.digest() == arrays.digest()
    assert arrays._replace(edges=edges[:, :1]).digest() != arrays.digest()
    assert arrays._replace(y=np.array([0, 1, 1])).digest() != arrays.digest()
    assert arrays._replace(train=~masks).digest() != arrays.digest()


@pytest.fixture
def geom_gcn(tmp_path):
    (tmp_path / "nodes.txt").write_text("id\tfeature\tlabel\n1\t0,3\t2\n0\t1\t0\n2\t2,1\t1\n")
    (tmp_path / "edges.txt").write_text("id\tid\n2\t0\n0\t2\n1\t1\n")
    mask = np.array([1, 0, 0], np.uint8)
    masks = {"train_mask": mask, "val_mask": np.roll(mask, 1), "test_mask": np.roll(mask, 2)}
    np.savez(tmp_path / "split.npz", **masks)
    return tmp_path / "nodes.txt", tmp_path / "edges.txt", [tmp_path / "split.npz"]


def test_geom_gcn_form(geom_gcn):
    found = read_geom_gcn(*geom_gcn, num_features=4)
    assert found.x.tolist() == [[0, 1, 0, 0], [1, 0, 0, 1], [0, 1, 1, 0]]
    assert found.y.tolist() == [0, 2, 1]
    assert found.edges.tolist() == [[2, 0, 1], [0, 2, 1]]
    assert found.val.tolist() == [[False, True, False]]
    lines = ["id\tfeature\tlabel", "1\t0,3\t2", "0\t1,1\t0", "2\t2,1\t1"]
    geom_gcn[0].write_text("\n".join(lines))
    assert read_geom_gcn(*geom_gcn).x.tolist() == [[1, 1], [0, 3], [2, 1]]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1\t0,3", "line 2"),
        ("1\t0,x\t2", "line 2"),
        ("7\t0,3\t2", "line 2"),
        ("1\t0,9\t2", "line 2"),
        ("0\t0,3\t2", "not numbered 0 to 2"),
    ],
)
def test_damaged_geom_gcn_files(geom_gcn, line, problem):
    path = geom_gcn[0]
    path.write_text(path.read_text().replace("1\t0,3\t2", line))
    with pytest.raises(ValueError, match=problem):
        read_geom_gcn(*geom_gcn, num_features=4)


def write_planetoid(folder):
    """Three vertices in allx, tests 3 and 5, and 4 missing, as in citeseer."""
    parts = {
        "allx": sp.csr_matrix(np.eye(3, 4, dtype=np.float32)),
        "ally": np.eye(3, dtype=np.int32)[[0, 1, 2]],
        "tx": sp.csr_matrix(np.array([[0, 0, 0, 5], [0, 0, 7, 0]], np.float32)),
        "ty": np.eye(3, dtype=np.int32)[[1, 2]],
        "graph": defaultdict(list, {0: [1, 5], 1: [0], 5: [0]}),
    }
    for name, content in parts.items():
        (folder / name).write_bytes(python2_pickle(content))
    (folder / "test.index").write_text("5\n3\n")
    return {name: folder / name for name in FILES}


def python2_pickle(content) -> bytes:
    """Protocol 2 with the module names of the time when the files were written."""
    names = {
        b"numpy._core.multiarray": b"numpy.core.multiarray",
        b"scipy.sparse._csr": b"scipy.sparse.csr",
    }
    data = pickle.dumps(content, 2)
    for new, old in names.items():
        data = data.replace(b"c" + new + b"\n", b"c" + old + b"\n")
    return data


@pytest.fixture
def admit_encode(monkeypatch):
    """Python 3 writes the bytes of arrays through ``_codecs.encode``, Python 2 did not."""
    from topodiff.datasets import planetoid

    encode = {("_codecs", "encode"): lambda text, _: text.encode("latin1")}
    monkeypatch.setattr(planetoid, "ADMITTED", {**planetoid.ADMITTED, **encode})


def test_planetoid_form_with_missing_vertices(tmp_path, admit_encode):
    edges, x, y = read_planetoid(write_planetoid(tmp_path))
    assert edges.tolist() == [[0, 0, 1, 5], [1, 5, 0, 0]]
    assert x.tolist() == [*np.eye(3, 4).tolist(), [0, 0, 7, 0], [0, 0, 0, 0], [0, 0, 0, 5]]
    assert y.tolist() == [0, 1, 2, 2, -1, 1]


class Harmful:
    def __reduce__(self):
        return print, ("this must not be printed",)


@pytest.mark.parametrize("content", [Harmful(), {"a": Harmful()}, np.array([Harmful()]), eval])
def test_pickles_run_no_code(tmp_path, capsys, content):
    (tmp_path / "bad").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(ValueError, match="not admitted"):
        read_pickle(tmp_path / "bad")
    assert capsys.readouterr().out == ""


def test_damaged_pickles(tmp_path):
    (tmp_path / "bad").write_bytes(pickle.dumps([1, 2, 3], 2)[:-2])
    with pytest.raises(ValueError, match="is not a file of Planetoid"):
        read_pickle(tmp_path / "bad")
