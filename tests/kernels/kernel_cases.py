"""Random segment structures, and implementations whose results start as NaN (for the tests)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

from topodiff import kernels
from topodiff.kernels import cpu

COMPILED = "cpu" in kernels.available()
CHANNELS = [
    (), (0,), (1,), (2,), (3,), (5,), (8,), (17,), (33,), (60,), (64,), (70,), (131,), (2, 3),
]  # fmt: skip
# every implementation that is not the oracle; the compiled one once per instruction set
IMPLEMENTATIONS = [("torch_scatter", None)] if "torch_scatter" in kernels.available() else []
if COMPILED:
    IMPLEMENTATIONS += [("cpu", name) for name in cpu.INSTRUCTION_SETS]


@dataclass
class Case:
    """A bipartite incidence (cells by faces) with values on both sides and on the entries."""

    ptr: Tensor
    index: Tensor  # face of each entry
    cell: Tensor
    face_ptr: Tensor
    by_face: Tensor
    entries: Tensor  # (nnz, *channels)
    faces: Tensor  # (num_faces, *channels)
    cells: Tensor  # (num_cells, *channels)
    weight: Tensor

    @property
    def num_faces(self) -> int:
        return self.faces.shape[0]


def _strided(x: Tensor) -> Tensor:
    """The same values, not contiguous."""
    return torch.stack([x, torch.full_like(x, -1)], dim=-1)[..., 0] if x.dim() else x


def make_case(
    lengths: list[int],
    num_faces: int,
    channels: tuple[int, ...],
    dtype: torch.dtype = torch.float64,
    index_dtype: torch.dtype = torch.int64,
    strided: bool = False,
    seed: int = 0,
) -> Case:
    g = torch.Generator().manual_seed(seed)
    counts = torch.tensor(lengths, dtype=torch.int64)
    ptr = torch.zeros(len(lengths) + 1, dtype=torch.int64)
    ptr[1:] = counts.cumsum(0)
    nnz = int(ptr[-1])
    index = torch.randint(0, max(num_faces, 1), (nnz,), generator=g)
    with kernels.use("reference"):
        face_ptr, by_face = kernels.sort_by_key(index, num_faces)
    arrays = [ptr, index, torch.repeat_interleave(counts), face_ptr, by_face]
    arrays = [a.to(index_dtype) for a in arrays]
    rows = (nnz, num_faces, len(lengths))
    # values on a grid: ties for the extremes, exact sums
    values = [torch.randint(-8, 9, (n, *channels), generator=g).to(dtype) / 4 for n in rows]
    weight = torch.randint(-4, 5, (nnz,), generator=g).to(dtype) / 2
    tensors = [*arrays, *values, weight]
    return Case(*([_strided(t) for t in tensors] if strided else tensors))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    num_faces = draw(st.integers(1, 12))
    longest = draw(st.sampled_from([2, 3, 7, 40]))
    return make_case(
        draw(st.lists(st.integers(0, longest), max_size=12)),
        num_faces,
        draw(st.sampled_from(CHANNELS)),
        draw(st.sampled_from([torch.float32, torch.float64])),
        draw(st.sampled_from([torch.int32, torch.int64])),
        draw(st.booleans()),
        draw(st.integers(0, 1000)),
    )


def _poisoned(like: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """Memory in which every value is wrong until it is written."""
    out = like.new_empty(shape, dtype=dtype)
    return out.fill_(float("nan") if out.is_floating_point() else -(10**9))


@contextmanager
def implementation(name: str, instruction_set: str | None = None) -> Iterator[None]:
    """Run on one implementation; the compiled one limited to an instruction set and poisoned."""
    with pytest.MonkeyPatch.context() as patch, kernels.use(name):
        if name == "cpu":
            patch.setattr(cpu, "_empty", _poisoned)
            if cpu.limit_instruction_set(instruction_set) != (instruction_set or "avx512"):
                pytest.skip(f"this processor has no {instruction_set}")
        try:
            yield
        finally:
            if name == "cpu":
                cpu.limit_instruction_set()
