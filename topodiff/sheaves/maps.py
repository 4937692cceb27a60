"""Restriction maps in their four forms, and the algebra between them.

One linear map R^d -> R^d per entry is held as: None (identity), (nnz,) scalar, (nnz, d) diagonal,
or (nnz, d, d). Functions here keep the cheapest form that can hold their result.
"""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor

from topodiff.complexes.outlasting import transformed
from topodiff.kernels.finite import row_not_finite
from topodiff.kernels.precision import at_least_single

Maps = Tensor | None


def check_maps(
    name: str,
    maps: Maps,
    places: str,
    count: int,
    stalk_dim: int,
    device: torch.device,
    *,
    scalars: bool = True,
) -> None:
    """TypeError or ValueError unless ``maps`` has one of the four forms, of finite numbers, on
    ``device``; ``places`` are what there are ``count`` of."""
    if maps is None:
        return
    if not isinstance(maps, Tensor) or not maps.is_floating_point():
        given = maps.dtype if isinstance(maps, Tensor) else type(maps).__name__
        raise TypeError(f"{name} must be a floating-point tensor or None, got {given}")
    n, d = count, stalk_dim
    if maps.shape not in ((n,), (n, d), (n, d, d))[not scalars :]:
        raise ValueError(
            f"{name} must have shape {f'({n},) for scalars, ' if scalars else ''}({n}, {d}) for "
            f"diagonals or ({n}, {d}, {d}), one map for each of {n} {places}, of stalk_dim {d}; "
            f"got {tuple(maps.shape)}"
        )
    if maps.device != device:
        raise ValueError(
            f"{name} is on {maps.device}, the complex on {device}: move one of them with .to()"
        )
    check_finite(name, maps)


def check_finite(name: str, maps: Tensor) -> None:
    """ValueError names the first map that is not finite. It waits for a GPU; transforms and
    compilation, which have no numbers yet, go without."""
    if torch.compiler.is_compiling() or transformed():
        return
    row = row_not_finite(maps)
    if row is not None:
        raise ValueError(f"{name}[{row}] is not finite")


@overload
def multiply(a: Tensor, b: Maps) -> Tensor: ...
@overload
def multiply(a: Maps, b: Maps) -> Maps: ...
def multiply(a: Maps, b: Maps) -> Maps:
    """``a b``, entry by entry (b acts first)."""
    if a is None or b is None:
        return b if a is None else a
    if a.dim() == 3 and b.dim() == 3:
        return a @ b
    if a.dim() == 3:
        return a * (b[:, None, :] if b.dim() == 2 else b[:, None, None])
    a = a.reshape(a.shape + (1,) * (b.dim() - a.dim()))
    return a * (b if b.dim() >= a.dim() else b.unsqueeze(-1))


def add(a: Tensor, b: Tensor) -> Tensor:
    """``a + b``, entry by entry."""
    if a.dim() > b.dim():
        a, b = b, a
    if b.dim() == 3 and a.dim() < 3:
        a = to_matrices(a, len(a), b.shape[-1], b)
    return a.reshape(a.shape + (1,) * (b.dim() - a.dim())) + b


def transpose(maps: Maps) -> Maps:
    """The transposed maps."""
    return maps.mT if maps is not None and maps.dim() == 3 else maps


def inverse(maps: Maps, orthogonal: bool = False, name: str = "map") -> Maps:
    """The inverse maps; of float16 and bfloat16 computed in float32.

    Raises:
        ValueError: for a singular map, with its name and position.
    """
    if maps is None:
        return None
    if orthogonal:
        return transpose(maps)
    if maps.dim() < 3:
        singular = maps == 0
        found = maps.reciprocal()
    else:
        found, info = torch.linalg.inv_ex(at_least_single(maps))
        singular = info != 0
    if bool(singular.any()):
        raise ValueError(f"{name} {int(singular.nonzero()[0, 0])} is singular and has no inverse")
    return found.to(maps.dtype)


def take(maps: Maps, index: Tensor) -> Maps:
    """The maps of the given entries."""
    return None if maps is None else maps.index_select(0, index)


def to_matrices(maps: Maps, count: int, stalk_dim: int, like: Tensor) -> Tensor:
    """(count, d, d), with dtype and device of ``like`` for identity maps."""
    if maps is None:
        return torch.eye(stalk_dim, dtype=like.dtype, device=like.device).expand(count, -1, -1)
    if maps.dim() == 1:
        maps = maps.unsqueeze(1).expand(-1, stalk_dim)
    return maps if maps.dim() == 3 else torch.diag_embed(maps)
