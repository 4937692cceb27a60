"""Colour refinement: compiled against plain Python, the definition, bad input."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import COMPILED, implementation

from topodiff import kernels

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]


def random_round(cells: int, colours: int, seed: int) -> list[torch.Tensor]:
    """own, ptr, neighbour, colour."""
    g = torch.Generator().manual_seed(seed)
    ptr = torch.zeros(cells + 1, dtype=torch.long)
    ptr[1:] = torch.randint(0, 4, (cells,), generator=g).cumsum(0)
    rows = cells // 2 + 1
    return [
        torch.randint(-1, colours, (cells,), generator=g),
        ptr,
        torch.randint(rows, (int(ptr[-1]),), generator=g),
        torch.randint(colours, (rows,), generator=g),
    ]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("cells", "colours"), [(0, 1), (1, 1), (30, 2), (400, 3), (400, 100)])
def test_equal_where_own_colour_and_neighbours_are_equal(name, cells, colours):
    own, ptr, neighbour, colour = random_round(cells, colours, cells + colours)
    with implementation(name):
        refined, first = kernels.refine_colours(own, ptr, neighbour, colour)
    seen = [
        (int(own[i]), sorted(colour[neighbour[ptr[i] : ptr[i + 1]]].tolist())) for i in range(cells)
    ]
    for i in range(cells):
        k = int(refined[i])
        assert seen[i] == seen[int(first[k])]
        assert k == min(int(refined[j]) for j in range(cells) if seen[j] == seen[i])
    assert first.tolist() == [refined.tolist().index(k) for k in range(len(first))]


@pytest.mark.skipif(not COMPILED, reason="no compiled kernels")
@pytest.mark.parametrize("seed", range(5))
def test_implementations_agree(seed):
    arguments = random_round(3000, 4, seed)
    with implementation("reference"):
        expected = kernels.refine_colours(*arguments)
    with implementation("cpu"):
        found = kernels.refine_colours(*arguments)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.skipif(not COMPILED, reason="no compiled kernels")
def test_mistakes_are_reported():
    own, ptr, neighbour, colour = random_round(6, 2, 0)
    with pytest.raises(ValueError, match="own must have"):
        kernels.refine_colours(own[:5], ptr, neighbour, colour)
    with pytest.raises(TypeError, match="colour must be int64"):
        kernels.refine_colours(own, ptr, neighbour, colour.float())
    with pytest.raises(ValueError, match=r"index must lie in 0\.\.3; got 4"):
        kernels.refine_colours(own, ptr, neighbour.new_full(neighbour.shape, 4), colour)
    for wrong in (ptr + 1, ptr.flip(0)):
        with pytest.raises(ValueError, match="ptr must rise"):
            kernels.refine_colours(own, wrong, neighbour, colour)
    wrong = ptr.clone()
    wrong[3] = ptr[-1] + 1
    with pytest.raises(ValueError, match="ptr must rise"):
        kernels.refine_colours(own, wrong, neighbour, colour)
