"""Splits: what they promise, and known scaffolds."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topodiff.molecules import Split, column_split, random_split, scaffold_split


@given(st.integers(1, 200), st.integers(0, 5))
def test_random_split_is_a_partition_that_depends_on_the_seed_alone(size, seed):
    split = random_split(size, seed=seed)
    assert sorted(chain(*split)) == list(range(size))
    assert split == random_split(size, seed=seed)
    assert len(split.train) == size * 8 // 10
    assert len(split.val) == size // 10


def test_seeds_differ():
    assert random_split(100, seed=0) != random_split(100, seed=1)


def test_scaffold_split_by_hand():
    smiles = ["Cc1ccccc1", "Oc1ccccc1", "CCc1ccccc1", "Nc1ccccc1", "C1CCCCC1C", "OC1CCCCC1", "CC",
              "CCC", "c1ccncc1", "Cc1ccoc1"]  # fmt: skip
    # benzene (0-3), acyclic (6, 7), cyclohexane (4, 5), furan (9), pyridine (8)
    split = scaffold_split(smiles, (0.6, 0.2, 0.2))
    assert split == Split([0, 1, 2, 3, 6, 7], [4, 5], [9, 8])


def test_scaffold_split_shares_no_scaffold_and_ignores_stereo():
    smiles = [f"{'C' * k}C1CC{'C' * (k % 4)}C1" for k in range(40)]
    smiles += ["C[C@H]1CC[C@@H](C)CC1", "C[C@H]1CC[C@H](C)CC1"]
    split = scaffold_split(smiles)
    assert sorted(chain(*split)) == list(range(42))
    assert split == scaffold_split(smiles)
    parts = [next(p for p, part in enumerate(split) if i in part) for i in (40, 41)]
    assert parts[0] == parts[1]
    ring = [[i % 4 for i in part if i < 40] for part in split]
    assert not set(ring[0]) & set(ring[1]) | set(ring[0]) & set(ring[2])


def test_column_split():
    assert column_split(["train", "Test ", "valid", "val"]) == Split([0], [2, 3], [1])
    with pytest.raises(ValueError, match="molecule 1 has the split 'dev'"):
        column_split(["train", "dev"])


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.9, 0.2, 0.1), (1.2, -0.1, -0.1)])
def test_bad_fractions(fractions):
    with pytest.raises(ValueError, match="fractions"):
        random_split(10, fractions)


def test_bad_input():
    with pytest.raises(ValueError, match="at least one"):
        random_split(0)
    with pytest.raises(ValueError, match="not a molecule"):
        scaffold_split(["C", "C("])
