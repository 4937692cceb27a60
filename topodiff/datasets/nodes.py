"""Node classification: the data sets on which models for heterophilic graphs are compared.

Sources are tried in this order: ``node/NAME.npz`` in the folder ``TOPODIFF_MIRROR``, then the
public files named here. Both give the same data, which is checked: what was read from public files
is compared with the digest of the data set, where a copy was at hand to take it from.

Graphs are undirected: directions, repeated edges and self-loops of the published lists are dropped,
as in the published code of neural sheaf diffusion (Bodnar et al., NeurIPS 2022).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.datasets.download import REMEDY, DownloadError, fetch, from_mirror
from topodiff.datasets.geom_gcn import read_geom_gcn, read_splits
from topodiff.datasets.node_arrays import (
    NodeArrays,
    from_mirror_form,
    from_yandex_form,
    read_npz,
)
from topodiff.datasets.node_checksums import SHA256
from topodiff.datasets.planetoid import FILES, read_planetoid
from topodiff.molecules.cache import folder

_ADDRESSES = {
    "geom-gcn": "https://raw.githubusercontent.com/graphdml-uiuc-jlu/geom-gcn/master",
    # Cornell before its correction in July 2022: the features and classes are those of Texas
    "geom-gcn-2021": "https://raw.githubusercontent.com/graphdml-uiuc-jlu/geom-gcn/"
    "1c4c04f93fa6ada91976cda8d7577eec0e3e5cce",
    "planetoid": "https://github.com/kimiyoung/planetoid/raw/master/data",
    "heterophilous-graphs": "https://github.com/yandex-research/heterophilous-graphs/raw/main/data",
}


@dataclass(frozen=True)
class Source:
    """Where a data set is: collection (key of ``_ADDRESSES``), name there, SHA-256 of the mirror
    file, digest of its content (None where no copy was at hand), metric."""

    collection: str
    file: str
    sha256: str | None = None
    digest: str | None = None
    metric: str = "accuracy"


SOURCES = {
    "texas": Source(
        "geom-gcn",
        "texas",
        "b99e2883189c8d0dfcfea61b7df224b3d38fbc194cb1c84a3c47374bbdef5a48",
        "b96f54f7a55267d15165a2b166a5d56a876329ad6f2a4c320a4010d969e14a41",
    ),
    "wisconsin": Source(
        "geom-gcn",
        "wisconsin",
        "ffff17dee1013ab2bcab52fa07940c34a59b64d2073450eb88de3020d49183e2",
        "569fc30f55d6d78ce38070051d2326df1657839f6f2476c13e571db2f1bb37e6",
    ),
    "cornell": Source(
        "geom-gcn",
        "cornell",
        "4c87dd7e8c0b976618031430ba3d7d11548ca8646ec75bc0c444c2f583adc482",
        "68321555eb05caf6d5fc2fc2bc95ae45b766c1778aaef9ae333840c611af4928",
    ),
    "cornell_legacy": Source(
        "geom-gcn-2021",
        "cornell",
        "905469a1044c80bdc842175ae74f098a925f5084650e7fa99597581d6b8b3473",
        "c7cf4953c1138d7860ab56cf60a1992c52d1b6b71b6ef76717138841ceb54805",
    ),
    "film": Source(
        "geom-gcn",
        "film",
        "77d7f3e4140a670eee53238aa49e0f211395bdca4085c06869fb5610007b4aef",
        "02caebdb99af6a512ae633e06779ce7ca89bab0b15640092a01a0be9c5a88839",
    ),
    "squirrel": Source(
        "geom-gcn",
        "squirrel",
        "8275f8346803ab4e6310ab6780d4243165a8f880341e9fc39564ff03d2ddd7ff",
        "b97cdd7f4f298e75934aa89519ee151b59798b427a895e01c1d24346b0204cec",
    ),
    "chameleon": Source(
        "geom-gcn",
        "chameleon",
        "79164c3e9f5e84e43079e136858213438e030b0af962dd380f6de8192f80f5dc",
        "aab91b08ba366499f08a624722d5b2ad64eda91c46847048a6dd6e6f87e8b9b5",
    ),
    "cora": Source(
        "planetoid",
        "cora",
        "5114c06277b965d4e0f09cfafd323c2614605a19be507dccc9bd0c073557a4c3",
        "80f11beaee463158ac5f65e9e270ade97ce3f95988f40258772d2a1bd4e3b6d4",
    ),
    "citeseer": Source(
        "planetoid",
        "citeseer",
        "b34fd8a57bd4794b81d48eb481eba65053c7d4a5b2b67c02a89fca0c106b0b75",
        "a994fa6d0773025c30bdf1ecc9f73c6a09ff7cbd61a43120c8abd833a950cd9d",
    ),
    "pubmed": Source(
        "planetoid",
        "pubmed",
        "d10c99c4bcb9efba58da5a56fe77a006b59970091b565c6657d4f96f989fa2bb",
        "60f9c929ae09167e2dd88d2bcd617bbe7b9791643764ef997a53c2a6677a8e92",
    ),
    "roman_empire": Source("heterophilous-graphs", "roman_empire"),
    "amazon_ratings": Source("heterophilous-graphs", "amazon_ratings"),
    "minesweeper": Source(
        "heterophilous-graphs",
        "minesweeper",
        "fe0d244970db4e6d3c1ab67bd40522886a87dadf1b53d2608ed799978f044bbf",
        "4ea13fdbe0e1e4ec42c9a0e42b009b740c10ef3d932c1a3672910a7a74da0a8b",
        "roc_auc",
    ),
    "tolokers": Source("heterophilous-graphs", "tolokers", metric="roc_auc"),
    "questions": Source("heterophilous-graphs", "questions", metric="roc_auc"),
    "chameleon_filtered": Source("heterophilous-graphs", "chameleon_filtered"),
    "squirrel_filtered": Source("heterophilous-graphs", "squirrel_filtered"),
}


@dataclass(frozen=True)
class NodeDataset:
    """A graph whose vertices have classes, with fixed splits.

    Args:
        name: of the data set.
        complex: rank 1, with float32 features ``x[0]``.
        y: (n,) classes 0..num_classes - 1; -1 for a vertex without a class, which is in no split.
        num_classes: number of classes.
        train, val, test: (splits, n) bool; some vertices may be in none of them.
        metric: ``accuracy`` or ``roc_auc``, as is customary.
    """

    name: str
    complex: CellComplex
    y: Tensor
    num_classes: int
    train: Tensor
    val: Tensor
    test: Tensor
    metric: str

    @property
    def num_splits(self) -> int:
        """Number of fixed splits."""
        return len(self.train)

    @property
    def num_features(self) -> int:
        """Width of ``x[0]``."""
        return self.complex.x[0].shape[1]


def load_nodes(name: str, *, row_normalize: bool | None = None) -> NodeDataset:
    """A node classification data set with its ten fixed splits.

    texas, wisconsin, cornell, cornell_legacy, film, squirrel, chameleon, cora, citeseer, pubmed
    with the splits of Geom-GCN (Pei et al., ICLR 2020; 48/32/20 %); roman_empire, amazon_ratings,
    minesweeper, tolokers, questions, chameleon_filtered, squirrel_filtered (Platonov et al.,
    ICLR 2023; 50/25/25 %, filtered ones 48/32/20 %).

    Until July 2022 the file of Cornell held the features and classes of Texas. Numbers published
    before belong to ``cornell_legacy``.

    Args:
        name: of the data set.
        row_normalize: divide features by their sum over each vertex (zeros stay zeros). By default
            as in the published code: yes for the bags of words of Geom-GCN and Planetoid, no for
            the others.

    Raises:
        ValueError: for an unknown name, or features that cannot be normalised.
        DownloadError: if the files can be had neither from the mirror nor from their public
            address, or hold something else than the known data set.
    """
    if name not in SOURCES:
        raise ValueError(f"unknown data set {name!r}; there are {sorted(SOURCES)}")
    source = SOURCES[name]
    arrays = read_arrays(name)
    x, y = torch.from_numpy(arrays.x), torch.from_numpy(arrays.y)
    if row_normalize is None:
        row_normalize = source.collection != "heterophilous-graphs"
    if row_normalize:
        x = normalize_rows(x)
    edges = torch.from_numpy(arrays.edges)
    complex = CellComplex.from_edges(len(y), edges, self_loops="drop", x={0: x})
    train, val, test = map(torch.from_numpy, (arrays.train, arrays.val, arrays.test))
    num_classes = int(y.max()) + 1
    return NodeDataset(name, complex, y, num_classes, train, val, test, source.metric)


def normalize_rows(x: Tensor) -> Tensor:
    """``x_ij / sum_j x_ij`` for features that are not negative; rows of zeros stay zeros."""
    if bool((x < 0).any()):
        raise ValueError("features with negative entries have no meaningful sum: do not normalise")
    total = x.sum(1, keepdim=True)
    return x / torch.where(total > 0, total, 1.0)


def read_arrays(name: str) -> NodeArrays:
    """The data set as published, from the mirror or the public files."""
    source = SOURCES[name]
    mirrored = from_mirror(f"node/{name}.npz", source.sha256)
    try:
        arrays = _public(source) if mirrored is None else from_mirror_form(read_npz(mirrored))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        place = folder() / "datasets" / "nodes" if mirrored is None else mirrored
        raise DownloadError(
            f"of the files of {name} in {place} one is not what it should be ({error}): {REMEDY}"
        ) from error
    if source.collection == "planetoid":
        arrays = arrays.without_fillers()
    if mirrored is None and source.digest not in (None, found := arrays.digest()):
        raise DownloadError(
            f"the public files of {name} hold other data than expected (digest {found}, expected "
            f"{source.digest}): if they are damaged delete them from the cache, else name a folder "
            "that holds the data sets in TOPODIFF_MIRROR"
        )
    return arrays


def _public(source: Source) -> NodeArrays:
    if source.collection == "heterophilous-graphs":
        return from_yandex_form(read_npz(_get(source.collection, f"{source.file}.npz")))
    splits = [_get("geom-gcn", f"splits/{source.file}_split_0.6_0.2_{k}.npz") for k in range(10)]
    if source.collection == "planetoid":
        files = {part: _get("planetoid", f"ind.{source.file}.{part}") for part in FILES}
        return NodeArrays(*read_planetoid(files), *read_splits(splits))
    nodes, edges = (
        _get(source.collection, f"new_data/{source.file}/out1_{part}.txt")
        for part in ("node_feature_label", "graph_edges")
    )
    # film lists the numbers of the features that are there
    return read_geom_gcn(nodes, edges, splits, 932 if source.file == "film" else None)


def _get(collection: str, file: str) -> Path:
    name = f"{collection}/{file}"
    url = f"{_ADDRESSES[collection]}/{file}"
    return fetch(url, f"nodes/{name}", SHA256.get(name), progress=sys.stderr.isatty())
