"""Splits of citation graphs with few labels: their laws, and the published counts."""

import numpy as np
import pytest
import torch

from topodiff.complexes import CellComplex
from topodiff.datasets import NodeDataset, citations, load_citations
from topodiff.datasets.citations import (
    fixed_split,
    largest_component,
    planetoid_split,
    random_split,
)


def labels(n=400, classes=4, unknown=7):
    y = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(0))
    y[:unknown] = -1
    return y


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_random_splits(seed):
    y = labels()
    train, val, test = random_split(y, seed, per_class=20, development=200)
    assert not (train & val | train & test | val & test).any()
    assert torch.equal(train | val | test, y >= 0)
    assert y[train].bincount().tolist() == [20] * 4
    assert int((train | val).sum()) == 200
    again = random_split(y, seed, per_class=20, development=200)
    assert all(torch.equal(a, b) for a, b in zip((train, val, test), again, strict=True))
    other = random_split(y, seed + 1, per_class=20, development=200)
    assert not torch.equal(other[0], train)


def test_the_fixed_split_is_that_of_the_published_code():
    y = labels(2485, 7, 0)
    train, val, test = fixed_split(y)
    assert torch.equal(train.int() + val.int() + test.int(), torch.ones(2485, dtype=torch.int))
    assert y[train].bincount().tolist() == [20] * 7
    assert int((train | val).sum()) == 1500
    # the first numbers that numpy's older generator gives for this seed and size
    first = np.random.RandomState(12345).choice(2485, 1500, replace=False)
    assert not test[torch.from_numpy(first)].any()
    assert not torch.equal(fixed_split(y, seed=1)[0], train)
    unknown = (y == 0) & (torch.arange(2485) % 9 == 0)
    found = fixed_split(torch.where(unknown, -1, y))
    assert all(torch.equal(a, b & ~unknown) for a, b in zip(found, (train, val, test), strict=True))


def test_classes_that_are_too_small():
    with pytest.raises(ValueError, match=r"seed 3: of class 2 .* among 60, not 20"):
        random_split(torch.tensor([0, 1] * 40 + [2] * 9), 3, development=60, per_class=20)
    with pytest.raises(ValueError, match="leave none for testing"):
        random_split(labels(), 0)


def test_planetoid_split():
    y = labels(3000, 4, 0)
    y[2900:2915] = -1
    train, val, test = planetoid_split(y)
    assert train.nonzero().flatten().tolist() == list(range(80))
    assert val.nonzero().flatten().tolist() == list(range(80, 580))
    assert (int(test.sum()), int(test.nonzero()[0])) == (1000, 1985)
    assert not test[y < 0].any()


def test_largest_component():
    edges = torch.tensor([[0, 2, 5, 3, 6], [1, 5, 4, 6, 4]])  # {0, 1}, {2, 3, 4, 5, 6}, {7}
    y = torch.arange(8)
    K = CellComplex.from_edges(8, edges, x={0: y[:, None].float()})
    masks = torch.stack([y % 3 == k for k in range(3)])[:, None]
    data = largest_component(NodeDataset("toy", K, y, 8, *masks, "accuracy"))
    assert data.y.tolist() == [2, 3, 4, 5, 6]
    assert data.complex.x[0].flatten().tolist() == [2, 3, 4, 5, 6]
    old = [tuple(data.y[list(edge)].tolist()) for edge in data.complex.cells(1)]
    assert old == [(2, 5), (3, 6), (4, 5), (4, 6)]
    assert torch.equal(data.val[0], data.y % 3 == 1)


# vertices and edges of the component; training, validation and test vertices of Planetoid's split
COUNTS = {
    "cora": (2485, 5069, [140, 500, 1000]),
    "citeseer": (2120, 3679, [120, 500, 1000]),
    "pubmed": (19717, 44324, [60, 500, 1000]),
}


@pytest.mark.parametrize("name", COUNTS)
def test_published_counts(mirror, name):
    n, m, sizes = COUNTS[name]
    whole = load_citations(name, "planetoid")
    assert [int(mask[0].sum()) for mask in (whole.train, whole.val, whole.test)] == sizes
    assert whole.y[whole.train[0]].bincount().tolist() == [20] * whole.num_classes
    fixed = load_citations(name, "fixed")
    assert fixed.complex.shape == (n, m)
    assert not (fixed.y[(fixed.train | fixed.val | fixed.test)[0]] < 0).any()
    assert fixed.y[fixed.train[0]].bincount().tolist()[1:] == [20] * (fixed.num_classes - 1)
    random = load_citations(name, "random", 2)
    assert random.complex.shape == (n, m)
    assert random.train.shape == (2, n)
    assert random.y[random.train[1]].bincount().tolist() == [20] * random.num_classes
    assert int(random.val[0].sum()) == 1500 - 20 * random.num_classes


def test_unknown_names():
    with pytest.raises(ValueError, match="num_splits must be a whole number >= 1, got 0"):
        load_citations("cora", "random", 0)
    with pytest.raises(ValueError, match="citation graphs"):
        load_citations("texas", "random")
    with pytest.raises(ValueError, match="one of planetoid, fixed, random; got"):
        load_citations(citations.NAMES[0], "geom")
