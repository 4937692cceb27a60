"""Segments of an array: against lists, bad input."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import COMPILED, implementation

from topodiff import kernels

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]
PTR = torch.tensor([0, 2, 2, 5, 6])
VALUES = torch.tensor([7, 3, 9, 9, 1, 4])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", [[], [1], [2, 0], [3, 1, 3, 2], [0, 1, 2, 3]])
def test_equals_lists(name, which):
    segments = [VALUES[PTR[s] : PTR[s + 1]].tolist() for s in which]
    with implementation(name):
        ptr, found = kernels.select_segments(PTR, VALUES, torch.tensor(which, dtype=torch.long))
    assert found.tolist() == [value for segment in segments for value in segment]
    assert ptr.diff().tolist() == [len(s) for s in segments]
    assert int(ptr[0]) == 0


@pytest.mark.parametrize("name", NAMES)
def test_segments_that_do_not_exist(name):
    with implementation(name):
        for wrong in (-1, 4):
            with pytest.raises(ValueError, match=r"index must lie in 0\.\.3; got"):
                kernels.select_segments(PTR, VALUES, torch.tensor([0, wrong]))


@pytest.mark.skipif(not COMPILED, reason="no compiled kernels")
def test_ptr_that_falls_or_leaves_the_array():
    for wrong in ([0, 2, 1, 5, 6], [0, 2, 2, 9, 6], [-1, 2, 2, 5, 6]):
        with pytest.raises(ValueError, match="ptr must rise"):
            kernels.select_segments(torch.tensor(wrong), VALUES, torch.arange(4))
