"""What sheaf diffusion needs of a graph and no parameter changes; found once for each graph."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from topodiff.complexes import CellComplex, Incidence
from topodiff.operators.blocks import Blocks, sheaf_blocks
from topodiff.sheaves.sections import incidence_at

_kept: WeakKeyDictionary[Incidence, dict] = WeakKeyDictionary()


class SheafGraph:
    """Vertices and edges of a complex, with arrays that depend on them alone.

    The arrays are kept as long as the complex (or another one that shares its topology) lives.
    """

    def __init__(self, complex: CellComplex) -> None:
        self.incidence = incidence_at(complex, 1)
        self._known = _kept.setdefault(self.incidence, {})

    def _once(self, key: tuple, compute: Callable[[], object]) -> object:
        if key not in self._known:
            with torch.no_grad():
                self._known[key] = compute()
        return self._known[key]

    @property
    def num_vertices(self) -> int:
        return self.incidence.num_faces

    def both_ends(self) -> tuple[Tensor, Tensor]:
        """For each incidence of a vertex v with an edge {v, u} the rows 2 v and 2 u + 1: index
        (2 nnz,), and the pointer (nnz + 1,) to its pairs."""
        return self._once(("both_ends",), self._both_ends)  # type: ignore[return-value]

    def _both_ends(self) -> tuple[Tensor, Tensor]:
        own = self.incidence.face
        other = own.view(-1, 2).flip(1).flatten()
        index = torch.stack([2 * own, 2 * other + 1], 1).flatten()
        return index, torch.arange(0, index.numel() + 1, 2, device=own.device)

    def identity_blocks(self, normalized: bool | str, like: Tensor) -> Blocks:
        """Blocks of the graph Laplacian: (n,) and (n_1,)."""
        return self._once(  # type: ignore[return-value]
            ("identity", normalized, like.dtype),
            lambda: sheaf_blocks(None, self.incidence, like=like, normalized=normalized),
        )

    def filter_blocks(self, low: bool, high: bool, normalized: bool | str, like: Tensor) -> Blocks:
        """Blocks of ``D + A`` (``low``) and ``D - A`` (``high``): (n,) and (n_1, number)."""

        def compute() -> Blocks:
            diagonal, blocks = self.identity_blocks(normalized, like)
            return diagonal, torch.stack([-blocks] * low + [blocks] * high, 1)

        return self._once(("filter", low, high, normalized, like.dtype), compute)  # type: ignore[return-value]
