"""A batch of molecules as plain arrays: cheap to send between processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from topodiff.complexes import CellComplex
from topodiff.complexes.build import edge_boundary
from topodiff.molecules.features import feature_set

Array = np.ndarray


@dataclass
class LiftedArrays:
    """Arrays (all int64) of B molecules with n_0 atoms, n_1 bonds and n_2 rings in total.

    Attributes:
        ptr: per rank the (B + 1,) first cell of each molecule.
        x: per rank the features, flat.
        edges: (2 n_1,) tail, head, tail, head, ...
        faces, cells, signs: (nnz,) entries of the boundary matrix of the rings.
    """

    ptr: tuple[Array, Array, Array]
    x: tuple[Array, Array, Array]
    edges: Array
    faces: Array
    cells: Array
    signs: Array

    def to_complex(self, features: str, *, batched: bool = True) -> CellComplex:
        """The union of the molecules, always of rank 2; one plain complex if not ``batched``."""
        tensor = torch.from_numpy
        n_0, n_1, n_2 = (int(p[-1]) for p in self.ptr)
        columns = [len(c) for c in feature_set(features).ranks]
        cells = torch.stack([tensor(self.faces), tensor(self.cells)])
        return CellComplex(
            (n_0, n_1, n_2),
            [edge_boundary(tensor(self.edges).reshape(-1, 2).T), (cells, tensor(self.signs))],
            ptr=[tensor(p) for p in self.ptr] if batched else None,
            x={r: tensor(self.x[r]).reshape(-1, c) for r, c in enumerate(columns) if c},
        )

    @staticmethod
    def concatenate(parts: Sequence[LiftedArrays]) -> LiftedArrays:
        """The molecules of all parts, in order."""
        counts = np.array([[p[-1] for p in part.ptr] for part in parts]).reshape(-1, 3)
        first = np.zeros_like(counts)
        np.cumsum(counts[:-1], axis=0, out=first[1:])

        def join(name: str, rank: int | None) -> Array:
            shift = [0] * len(parts) if rank is None else first[:, rank]
            return _join([getattr(p, name) + s for p, s in zip(parts, shift, strict=True)])

        return LiftedArrays(
            ptr=tuple(  # type: ignore[arg-type]
                _join([[0], *(p.ptr[r][1:] + f[r] for p, f in zip(parts, first, strict=True))])
                for r in range(3)
            ),
            x=tuple(_join([p.x[r] for p in parts]) for r in range(3)),  # type: ignore[arg-type]
            edges=join("edges", 0),
            faces=join("faces", 1),
            cells=join("cells", 2),
            signs=join("signs", None),
        )


def _join(parts: list) -> Array:
    return np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64, copy=False)
