"""Citation graphs with few labels: the splits on which diffusion models are compared.

Cora, citeseer and pubmed with features as they are published (not divided by their sums), as in
the published code of GRAND (Chamberlain et al., ICML 2021). Random splits follow Shchur et al.
(*Pitfalls of graph neural network evaluation*, 2018).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.datasets.nodes import NodeDataset, load_nodes
from topodiff.kernels.checks import check_choice

NAMES = ("cora", "citeseer", "pubmed")
SPLITS = ("planetoid", "fixed", "random")
PER_CLASS, DEVELOPMENT = 20, 1500
_VALID, _TEST = 500, 1000
Masks = tuple[Tensor, Tensor, Tensor]


def load_citations(name: str, splits: str, num_splits: int = 100) -> NodeDataset:
    """A citation graph with splits for few labels.

    Args:
        name: ``cora``, ``citeseer`` or ``pubmed``.
        splits: ``planetoid``: the one of Yang et al. (ICML 2016), 20 vertices of each class, 500
            and 1000, on the whole graph, as a third of citeseer's labels for training lie outside
            of the largest component. ``random``: on the largest connected component; for each
            number of a split, its seed, 1500 vertices for development, of which 20 of each class
            for training and the others for validation; all others are for testing. ``fixed``: the
            one of these that GRAND's published code draws in place of Planetoid's split unless it
            is told to take the whole graph.
        num_splits: how many random splits.

    Raises:
        ValueError: for an unknown name or kind of splits, or less than one of them.
    """
    if name not in NAMES:
        raise ValueError(f"there are the citation graphs {NAMES}, got {name!r}")
    check_choice("splits", splits, SPLITS)
    whole_number("num_splits", num_splits, 1)
    data = load_nodes(name, row_normalize=False)
    if splits == "planetoid":
        return _with(data, [planetoid_split(data.y)])
    data = largest_component(data)
    if splits == "fixed":
        return _with(data, [fixed_split(data.y)])
    return _with(data, [random_split(data.y, seed) for seed in range(num_splits)])


def largest_component(data: NodeDataset) -> NodeDataset:
    """The data set on the largest connected component (of several alike, the first), in which
    vertices keep their order."""
    n = data.complex.num_cells(0)
    tail, head = data.complex.edge_index
    graph = sp.coo_matrix((np.ones(len(tail)), (tail.numpy(), head.numpy())), shape=(n, n))
    component = torch.from_numpy(sp.csgraph.connected_components(graph, directed=False)[1]).long()
    chosen = component == component.bincount().argmax()
    number = chosen.cumsum(0) - 1
    edges = number[torch.stack([tail, head])[:, chosen[tail]]]
    x = {0: data.complex.x[0][chosen]}
    return dataclasses.replace(
        data,
        complex=CellComplex.from_edges(int(chosen.sum()), edges, x=x),
        y=data.y[chosen],
        train=data.train[:, chosen],
        val=data.val[:, chosen],
        test=data.test[:, chosen],
    )


def planetoid_split(y: Tensor) -> Masks:
    """train, val, test (n,) bool of all vertices in the order of Planetoid's files: 20 of each
    class come first, then 500 for validation; the last 1000 with a class are for testing."""
    number = torch.arange(len(y))
    train = number < PER_CLASS * (int(y.max()) + 1)
    val = ~train & (number < int(train.sum()) + _VALID)
    test = torch.zeros_like(train)
    test[(y >= 0).nonzero().flatten()[-_TEST:]] = True
    return train, val, test


def random_split(
    y: Tensor, seed: int, *, per_class: int = PER_CLASS, development: int = DEVELOPMENT
) -> Masks:
    """train, val, test (n,) bool; vertices without a class (-1) are in none.

    Args:
        y: (n,) classes.
        seed: the split depends on y and seed alone.
        per_class: training vertices of each class.
        development: training and validation vertices.

    Raises:
        ValueError: for a seed whose vertices for development have too few of a class.
    """
    generator = np.random.default_rng(seed)
    known = (y >= 0).nonzero().flatten().numpy()
    if development >= len(known):
        raise ValueError(f"{development} of {len(known)} vertices leave none for testing")
    order = torch.from_numpy(generator.permutation(known))
    first, test = order[:development], order[development:]
    chosen = []
    for c in range(int(y.max()) + 1):
        of_class = first[y[first] == c]
        if len(of_class) < per_class:
            raise ValueError(
                f"seed {seed}: of class {c} there are {len(of_class)} vertices among "
                f"{development}, not {per_class}"
            )
        chosen.append(of_class[:per_class])
    return _masks(len(y), torch.cat(chosen), first, test)


def fixed_split(y: Tensor, seed: int = 12345) -> Masks:
    """train, val, test (n,) bool: the split of this seed as GRAND's published code draws it
    (set_train_val_test_split, from numpy's older generator). Vertices without a class (-1) count as
    class 0 in the draw, as in its data, and are then left out."""
    draw = np.random.RandomState(seed)
    first = draw.choice(len(y), DEVELOPMENT, replace=False)
    draw = np.random.RandomState(seed)
    of_class = y.clamp(min=0).numpy()[first]
    train = [
        draw.choice(first[of_class == c], PER_CLASS, replace=False) for c in range(int(y.max()) + 1)
    ]
    rest = np.setdiff1d(np.arange(len(y)), first)
    indices = map(torch.from_numpy, (np.concatenate(train), first, rest))
    trained, valid, tested = (mask & (y >= 0) for mask in _masks(len(y), *indices))
    return trained, valid, tested


def _masks(n: int, train: Tensor, development: Tensor, test: Tensor) -> Masks:
    """Masks from numbers of vertices; those for validation are the others of ``development``."""
    trained, developed, tested = (
        torch.zeros(n, dtype=torch.bool).index_fill_(0, index, True)
        for index in (train, development, test)
    )
    return trained, developed & ~trained, tested


def _with(data: NodeDataset, splits: Sequence[Masks]) -> NodeDataset:
    train, val, test = (torch.stack(masks) for masks in zip(*splits, strict=True))
    return dataclasses.replace(data, train=train, val=val, test=test)
