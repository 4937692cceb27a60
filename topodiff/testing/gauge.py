"""Functions on sheaves do not depend on the bases of the stalks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.sheaves import CellularSheaf
from topodiff.testing.compare import assert_close


def assert_gauge_equivariant(
    function: Callable[[CellularSheaf, Tensor], Tensor],
    sheaf: CellularSheaf,
    x: Tensor,
    *,
    seeds: int = 3,
    tolerance: float | None = None,
) -> None:
    """``f(g F, g x) = g f(F, x)`` for rotations and reflections g of the stalks of the vertices,
    and ``f(h F, x) = f(F, x)`` for those h of the edges.

    Args:
        function: of a sheaf and a state (n_0, stalk_dim, channels), to a state of the same shape;
            in evaluation mode, and without randomness.
        sheaf: of any maps; afterwards they are matrices.
        x: (n_0, stalk_dim, channels).
        seeds: number of random changes of basis tried.
        tolerance: relative; see :func:`topodiff.testing.compare.assert_close`.
    """
    with torch.no_grad():
        before = function(sheaf, x)
        for seed in range(seeds):
            generator = torch.Generator().manual_seed(seed)
            g, h = (
                _orthogonal(sheaf.complex.num_cells(r), sheaf.stalk_dim, x, generator)
                for r in (0, 1)
            )
            turned = sheaf.gauge_transform({0: g}, orthogonal=True)
            assert_close(function(turned, g @ x), g @ before, "f(g F, g x)", tolerance)
            turned = sheaf.gauge_transform({1: h}, orthogonal=True)
            assert_close(function(turned, x), before, "f(h F, x)", tolerance)


def _orthogonal(n: int, d: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """(n, d, d) random orthogonal matrices."""
    normal = torch.randn(n, d, d, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(normal)[0].to(like)
