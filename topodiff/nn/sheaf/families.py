"""Families of restriction maps: how many parameters a map has, and the map that they make."""

from __future__ import annotations

import math

from torch import Tensor

from topodiff.complexes.integers import whole_number
from topodiff.kernels.checks import check_choice
from topodiff.sheaves import Orthogonal, SpecialOrthogonal
from topodiff.sheaves.maps import Maps

MAP_FAMILIES = ("identity", "scalar", "diagonal", "orthogonal", "special_orthogonal", "general")
MAPS = (*MAP_FAMILIES, "bundle")
_ROTATIONS = ("orthogonal", "special_orthogonal")
# what parameters within +-1, as activations make them, are multiplied by; see MapFamily
_TURN = {"angle": 2 * math.pi, "euler": 2 * math.pi, "givens": 2 * math.pi}
_TURN |= {"exp": math.pi, "rodrigues": math.pi, "cayley": 2.0}


class MapFamily:
    """Maps R^d -> R^d from parameters (..., num_params).

    Parameters of rotations within +-1, such as tanh makes, are enough for the transports ``F_head^T
    F_tail`` to reach all of SO(d), half a turn in the limit, so that -1 can part classes (searched
    for up to d = 5). For this angles (``angle``, ``givens``, ``euler``) are 2 pi times the
    parameters, rotation vectors (``exp``, ``rodrigues``) pi times, and those of ``cayley`` twice,
    as in the published ``(I + A)^-1 (I - A)``; ``householder``, as published, and ``quaternion``
    take them as they are.
    For d = 2 a single map turns by up to pi with ``exp``, and by less than pi / 2 from where it is
    at zero with ``cayley`` and ``householder``.

    Args:
        name: one of :data:`MAP_FAMILIES`.
        stalk_dim: d.
        parametrization: of rotations, a method of :class:`topodiff.sheaves.Orthogonal`; by default
            ``householder`` for O(d), and that of ``SpecialOrthogonal`` for SO(d). With another than
            ``householder`` O(d) and SO(d) are the same.

    Attributes:
        num_params: of one map.
        orthogonal: all maps are.
    """

    def __init__(self, name: str, stalk_dim: int, parametrization: str | None = None) -> None:
        check_choice("maps", name, MAP_FAMILIES)
        whole_number("stalk_dim", stalk_dim, 1)
        if name in _ROTATIONS and stalk_dim == 1:
            raise ValueError(
                f"{name} maps of stalk_dim 1 are constants: use stalk_dim >= 2, or maps='scalar'"
            )
        if parametrization is not None and name not in _ROTATIONS:
            raise ValueError(f"a parametrization is for maps in {_ROTATIONS}, not for {name!r}")
        self.name, self.stalk_dim = name, stalk_dim
        self.orthogonal = name in ("identity", *_ROTATIONS)
        self.rotation: SpecialOrthogonal | None = None
        if name == "orthogonal":
            self.rotation = Orthogonal(stalk_dim, parametrization or "householder")
        elif name == "special_orthogonal":
            self.rotation = SpecialOrthogonal(stalk_dim, parametrization)
        sizes = {"identity": 0, "scalar": 1, "diagonal": stalk_dim, "general": stalk_dim**2}
        self.num_params = self.rotation.num_params if self.rotation else sizes[name]

    def __call__(self, params: Tensor) -> Maps:
        """(nnz, num_params) -> maps in the form of :mod:`topodiff.sheaves.maps`."""
        if self.rotation is not None:
            turn = _TURN.get(self.rotation.method)
            return self.rotation(params if turn is None else turn * params)
        if self.name == "identity":
            return None
        if self.name == "scalar":
            return params.squeeze(-1)
        if self.name == "general":
            return params.unflatten(-1, (self.stalk_dim, self.stalk_dim))
        return params

    def __repr__(self) -> str:
        return f"maps={self.rotation or repr(self.name)}"
