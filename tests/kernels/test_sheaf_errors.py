"""Products with stalks refuse wrong arguments before anything is computed."""

from __future__ import annotations

import pytest
import torch
from kernel_cases import COMPILED, implementation

from topodiff.kernels import block_matmul, sheaf_matmul
from topodiff.kernels import sheaf as ops

NAMES = ["reference", "cpu"] if COMPILED else ["reference"]
# the path 0 - 1 - 2
FACE, FACE_PTR, BY_FACE = (
    torch.tensor([0, 1, 1, 2]),
    torch.tensor([0, 1, 3, 4]),
    torch.tensor([0, 1, 2, 3]),
)
CELL, CELL_PTR = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 2, 4])
X, Y = torch.ones(3, 2, 5), torch.ones(2, 2, 5)


def changed(index: torch.Tensor, at: int, value: int) -> torch.Tensor:
    index = index.clone()
    index[at] = value
    return index


def blocks(face=FACE, face_ptr=FACE_PTR, by_face=BY_FACE, x=X, diagonal=None, maps=None):  # type: ignore[no-untyped-def]
    maps = torch.ones(2, 2, 2) if maps is None else maps
    return block_matmul(x, diagonal, maps, face, face_ptr, by_face)


def adjoint(face=FACE, cell=CELL, cell_ptr=CELL_PTR, face_ptr=FACE_PTR, by_face=BY_FACE, y=Y):  # type: ignore[no-untyped-def]
    return sheaf_matmul(y, torch.ones(4, 2, 2), face, cell, cell_ptr, face_ptr, by_face)


def coboundary(face=FACE, cell_ptr=CELL_PTR, x=X, maps=None):  # type: ignore[no-untyped-def]
    maps = torch.ones(4, 2, 2) if maps is None else maps
    return sheaf_matmul(x, maps, face, CELL, cell_ptr, FACE_PTR, BY_FACE, transpose=True)


BAD_VALUES = {
    "vertex too large": lambda: blocks(face=changed(FACE, 2, 3)),
    "negative vertex": lambda: blocks(face=changed(FACE, 0, -1)),
    "by_face too large": lambda: blocks(by_face=changed(BY_FACE, 3, 4)),
    "negative by_face": lambda: blocks(by_face=changed(BY_FACE, 0, -(2**40))),
    "face_ptr falls": lambda: blocks(face_ptr=changed(FACE_PTR, 2, 0)),
    "face_ptr far off": lambda: blocks(face_ptr=changed(FACE_PTR, 1, 2**40)),
    "negative face_ptr": lambda: blocks(face_ptr=changed(FACE_PTR, 1, -3)),
    "face_ptr ends early": lambda: blocks(face_ptr=changed(FACE_PTR, 3, 3)),
    "face_ptr starts late": lambda: blocks(face_ptr=changed(FACE_PTR, 0, 1)),
    "cell": lambda: adjoint(cell=changed(CELL, 1, 2)),
    "by_face of the adjoint": lambda: adjoint(by_face=changed(BY_FACE, 1, 9)),
    "face of the coboundary": lambda: coboundary(face=changed(FACE, 1, 2**40)),
    "cell_ptr": lambda: coboundary(cell_ptr=changed(CELL_PTR, 1, 5)),
    "outer cell": lambda: ops.sheaf_outer(
        Y, X, FACE, changed(CELL, 2, -1), CELL_PTR, FACE_PTR, BY_FACE, 3
    ),
    "outer face": lambda: ops.sheaf_outer(
        Y, X, changed(FACE, 2, 3), CELL, CELL_PTR, FACE_PTR, BY_FACE, 2
    ),
    "outer vertex": lambda: ops.block_outer(X, X, changed(FACE, 3, 3), FACE_PTR, BY_FACE, 1),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", BAD_VALUES)
def test_bad_values(what: str, name: str) -> None:
    with implementation(name), pytest.raises(ValueError, match=r"(must lie in|must rise).*got"):
        BAD_VALUES[what]()


@pytest.mark.skipif(not COMPILED, reason="the compiled kernels are not built")
@pytest.mark.parametrize("where", [1, 700, 12_345, 20_000, 39_999])
@pytest.mark.parametrize("value", [-1, 2**40])
def test_one_bad_ptr_among_many_on_many_threads(where: int, value: int) -> None:
    face = torch.arange(40_000).repeat_interleave(2)
    face_ptr = changed(torch.arange(0, 80_001, 2), where, value)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        with implementation("cpu"), pytest.raises(ValueError, match="must rise"):
            block_matmul(
                torch.ones(40_000, 2, 3),
                None,
                torch.ones(40_000),
                face,
                face_ptr,
                torch.arange(80_000),
            )
    finally:
        torch.set_num_threads(before)


BAD_ARGUMENTS = {
    "flat state": (ValueError, r"x must have shape \(cells, stalk_dim", lambda: blocks(x=X[0])),
    "rows of the state": (ValueError, "x must have 3 rows, got 2", lambda: blocks(x=X[:2])),
    "odd face": (
        ValueError,
        "two vertices for each edge, got 3",
        lambda: blocks(face=FACE[:3], by_face=BY_FACE[:3]),
    ),
    "number of blocks": (
        ValueError,
        r"blocks must have shape \(2,\), \(2, 2\) or \(2, 2, 2\), got \(3, 2, 2\)",
        lambda: blocks(maps=torch.ones(3, 2, 2)),
    ),
    "size of the maps": (
        ValueError,
        r"maps must have shape .* got \(4, 3, 3\)",
        lambda: coboundary(maps=torch.ones(4, 3, 3)),
    ),
    "dtype of the maps": (
        TypeError,
        "maps must be a tensor of torch.float32 as x, got torch.float64",
        lambda: coboundary(maps=torch.ones(4).double()),
    ),
    "maps as a list": (TypeError, "got list", lambda: coboundary(maps=[1.0] * 4)),
    "diagonal": (
        ValueError,
        r"diagonal must have shape \(3,\).* got \(2,\)",
        lambda: blocks(diagonal=torch.ones(2)),
    ),
    "mixed indices": (TypeError, "expected one dtype", lambda: blocks(face_ptr=FACE_PTR.int())),
    "integer state": (TypeError, "floating point", lambda: blocks(x=X.long())),
}


@pytest.mark.parametrize("what", BAD_ARGUMENTS)
def test_bad_arguments(what: str) -> None:
    error, message, call = BAD_ARGUMENTS[what]
    with pytest.raises(error, match=message):
        call()
