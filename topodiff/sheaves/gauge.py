"""Gauge transformations: a change of basis in the stalks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from topodiff.complexes.integers import whole_number
from topodiff.sheaves.maps import Maps, check_maps, inverse, multiply, take

if TYPE_CHECKING:
    from topodiff.sheaves.sheaf import CellularSheaf


def gauge_transform(
    sheaf: CellularSheaf, gauges: Mapping[int, Tensor] | Tensor, *, orthogonal: bool = False
) -> CellularSheaf:
    """The same sheaf in the coordinates ``x'_c = g_c x_c``: ``F'_{f<c} = g_c F_{f<c} g_f^-1``.

    Transports change as ``T'_{uv} = g_v T_{uv} g_u^-1``; the Laplacian of vertices, where gauges of
    edges are orthogonal or left out, as ``L' = g^-T L g^-1``.

    Args:
        sheaf: any sheaf.
        gauges: rank -> (n_r, d, d), (n_r, d) or (n_r,) invertible, of the dtype of the sheaf; a
            tensor for vertices alone.
        orthogonal: promise that gauges are orthogonal; a sheaf of orthogonal maps stays one.

    Raises:
        TypeError, ValueError: wrong rank, shape, dtype or device, or a gauge that is singular or
            not finite.
    """
    from topodiff.sheaves.sheaf import CellularSheaf

    g: dict[int, Tensor] = dict(gauges) if isinstance(gauges, Mapping) else {0: gauges}
    complex = sheaf.complex
    for r, change in g.items():
        n = complex.num_cells(whole_number("the rank of a gauge", r, 0, complex.rank))
        check_maps(f"gauges[{r}]", change, f"{r}-cells", n, sheaf.stalk_dim, sheaf.device)
    dtypes = {t.dtype for t in g.values() if t is not None} | ({sheaf.dtype} - {None})
    if len(dtypes) > 1:
        raise TypeError(f"gauges and the sheaf must share one dtype, got {dtypes}: use .to(dtype)")
    back = {r: inverse(change, orthogonal, "gauge") for r, change in g.items()}
    maps: dict[int, Maps] = {}
    for r, old in sheaf.maps.items():
        incidence = complex.incidence(r)
        new = multiply(old, take(back.get(r - 1), incidence.face))
        maps[r] = multiply(take(g.get(r), incidence.cell), new)
    kept = sheaf.orthogonal and orthogonal
    return CellularSheaf(complex, sheaf.stalk_dim, maps, weights=sheaf.weights, orthogonal=kept)
