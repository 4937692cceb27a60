"""Random incidences and graphs with a stalk at each cell, and every product on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from kernel_cases import IMPLEMENTATIONS
from torch import Tensor

from topodiff.kernels import block_matmul, sheaf_matmul
from topodiff.kernels import sheaf as ops

COMPILED_SETS = [which for which in IMPLEMENTATIONS if which[0] == "cpu"]


@dataclass
class SheafCase:
    """Incidences of cells and faces, a graph on the faces, and maps of one kind on both."""

    faces: Tensor  # (num_faces, d, channels)
    cells: Tensor  # (num_cells, d, channels)
    maps: Tensor  # one per incidence
    blocks: Tensor  # one per edge
    diagonal: Tensor | None  # one per face
    incidence: tuple[Tensor, ...]  # face, cell, cell_ptr, face_ptr, by_face
    graph: tuple[Tensor, ...]  # face, face_ptr, by_face


def _sorted(key: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    ptr = np.concatenate([[0], np.bincount(key, minlength=count).cumsum()])
    return ptr, np.argsort(key, kind="stable")


def _strided(x: Tensor) -> Tensor:
    """The same values, not contiguous."""
    return torch.stack([x, torch.full_like(x, -9)], dim=-1)[..., 0]


def make_sheaf_case(
    rng: np.random.Generator,
    num_faces: int,
    num_cells: int,
    num_edges: int,
    d: int,
    channels: int,
    kind: int = 3,
    diagonal_kind: int = 3,
    dtype: torch.dtype = torch.float64,
    index_dtype: torch.dtype = torch.int64,
    strided: bool = False,
    longest: int = 4,
) -> SheafCase:
    """Small integers as values: every order of summation gives the same bits.

    Kinds of maps: 1 scalars, 2 diagonals, 3 full, and for the diagonal 0 for none.
    """
    lengths = rng.integers(0, longest + 1, num_cells) if num_faces else np.zeros(num_cells, int)
    cell = np.repeat(np.arange(num_cells), lengths)
    face = rng.integers(0, max(num_faces, 1), cell.size)
    cell_ptr, _ = _sorted(cell, num_cells)
    ends = rng.integers(0, max(num_faces, 1), 2 * (num_edges if num_faces else 0))
    incidence = (face, cell, cell_ptr, *_sorted(face, num_faces))
    graph = (ends, *_sorted(ends, num_faces))

    def values(count: int, *shape: int) -> Tensor:
        x = torch.from_numpy(rng.integers(-3, 4, (count, *shape))).to(dtype)
        return _strided(x) if strided else x

    def index(array: np.ndarray) -> Tensor:
        x = torch.from_numpy(array).to(index_dtype)
        return _strided(x) if strided else x

    return SheafCase(
        faces=values(num_faces, d, channels),
        cells=values(num_cells, d, channels),
        maps=values(face.size, *[d] * (kind - 1)),
        blocks=values(ends.size // 2, *[d] * (kind - 1)),
        diagonal=values(num_faces, *[d] * (diagonal_kind - 1)) if diagonal_kind else None,
        incidence=tuple(index(a) for a in incidence),
        graph=tuple(index(a) for a in graph),
    )


# run(case, *inputs) and the fields of the case that are its inputs
PRODUCTS: dict[str, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    "coboundary": (
        lambda c, x, maps: sheaf_matmul(x, maps, *c.incidence, transpose=True),
        ("faces", "maps"),
    ),
    "adjoint": (lambda c, y, maps: sheaf_matmul(y, maps, *c.incidence), ("cells", "maps")),
    "blocks": (
        lambda c, x, blocks: block_matmul(x, None, blocks, *c.graph),
        ("faces", "blocks"),
    ),
    "blocks and diagonal": (
        lambda c, x, diagonal, blocks: block_matmul(x, diagonal, blocks, *c.graph),
        ("faces", "diagonal", "blocks"),
    ),
    "outer products of incidences": (
        lambda c, y, x: ops.sheaf_outer(y, x, *c.incidence, c.maps.dim()),
        ("cells", "faces"),
    ),
    "outer products of edges": (
        lambda c, g, x: ops.block_outer(g, x, *c.graph, c.blocks.dim()),
        ("faces", "mirrored"),
    ),
}


def inputs_of(name: str, case: SheafCase) -> list[Tensor]:
    """The differentiable inputs; ``mirrored`` is a second state on the faces."""
    fields = PRODUCTS[name][1]
    return [case.faces.flip(0) - 1 if f == "mirrored" else getattr(case, f) for f in fields]


def names_for(case: SheafCase) -> list[str]:
    """The products that a case has all inputs for."""
    return [n for n in PRODUCTS if case.diagonal is not None or "diagonal" not in PRODUCTS[n][1]]
