"""Orthogonal matrices from unconstrained parameters, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from topodiff.complexes.integers import whole_number
from topodiff.kernels import quaternions, rotations
from topodiff.kernels.checks import check_choice
from topodiff.kernels.precision import at_least_single, full_precision
from topodiff.kernels.skew import num_entries
from topodiff.sheaves import exponential, givens

MAX_CLOSED_FORM = 4


@dataclass(frozen=True)
class Family:
    """A parametrisation: its map (params, d) -> (..., d, d), and where it exists."""

    matrix: Callable[[Tensor, int], Tensor]
    dims: tuple[int, ...] = ()
    num_params: Callable[[int], int] = num_entries


_FAMILIES = {
    "cayley": Family(rotations.cayley),
    "exp": Family(exponential.exponential),
    "householder": Family(rotations.rotation),
    "givens": Family(givens.givens),
    "angle": Family(exponential.exponential, (2,)),
    "rodrigues": Family(exponential.exponential, (3,)),
    "euler": Family(givens.givens, (3,)),
    "quaternion": Family(quaternions.quaternion, (3, 4), lambda d: 4 * (d - 2)),
}
_REFLECTIONS = Family(rotations.reflections)


class SpecialOrthogonal:
    """Rotations: ``R(params) -> (..., d, d)`` with ``R^T R = I`` and ``det R = +1`` to rounding.

    It holds for any finite parameters, and gradients are finite there. Zero parameters give the
    identity. Everything runs on whole batches; there is no Python loop over them. Of float16 and
    bfloat16 it is computed in float32, and autocast changes nothing.

    ========== ============= =================== =================================================
    method     d             parameters          reaches
    ========== ============= =================== =================================================
    cayley     any           d (d - 1) / 2       rotations without an angle of pi
    exp        any           d (d - 1) / 2       all
    householder any          d (d - 1) / 2       all but a set of measure zero (d = 2: but -1)
    givens     any           d (d - 1) / 2       all (Euler angles; gimbal lock)
    angle      2             1                   all (= exp)
    rodrigues  3             3                   all (= exp)
    euler      3             3                   all (= givens)
    quaternion 3, 4          4, 8                all, twice, without singular points but one
    ========== ============= =================== =================================================

    What cayley and householder miss is a limit of what they reach, as parameters grow. Two angles
    of givens act alike where an angle between them is a quarter turn. The singular point of
    quaternion is p = (-1, 0, 0, 0), where the gradient is 0. Above d = 4 exp has no closed form:
    its linear solves and squarings are for few matrices.

    Args:
        dim: d >= 1; there are no parameters for d = 1.
        method: a name above. By default ``exp`` up to d = 4, where it has a closed form, and
            ``householder`` above, which needs neither a linear solve nor bounds on parameters.

    Attributes:
        num_params: length of the last dimension of ``params``.
        determinant: of all results, +1.

    Raises:
        ValueError: for d < 1, an unknown method, a method that d does not have.
    """

    determinant = 1

    def __init__(self, dim: int, method: str | None = None) -> None:
        dim = whole_number("dim", dim, 1)
        if method is None:
            method = "exp" if dim <= MAX_CLOSED_FORM else "householder"
        check_choice("method", method, _FAMILIES)
        self.dim = dim
        self.method = method
        self._family = self._choose()
        dims = self._family.dims
        if dims and dim not in dims:
            raise ValueError(f"method {method!r} exists for d = {dims} only, got d = {dim}")
        self.num_params = self._family.num_params(dim)

    def _choose(self) -> Family:
        return _FAMILIES[self.method]

    def __call__(self, params: Tensor) -> Tensor:
        """(..., num_params) -> (..., d, d).

        Raises:
            TypeError: parameters that are not floating point.
            ValueError: a last dimension other than ``num_params``.
        """
        if not isinstance(params, Tensor) or not params.is_floating_point():
            given = params.dtype if isinstance(params, Tensor) else type(params).__name__
            raise TypeError(f"params must be a floating-point tensor, got {given}")
        if params.dim() == 0 or params.shape[-1] != self.num_params:
            raise ValueError(
                f"params must have shape (..., {self.num_params}) for {self}, "
                f"got {tuple(params.shape)}"
            )
        if self.dim == 1:
            return params.sum(-1)[..., None, None] + self.determinant
        with full_precision(params):
            matrix = self._family.matrix(at_least_single(params), self.dim)
        return matrix if matrix.dtype is params.dtype else matrix.to(params.dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dim}, method={self.method!r})"


class Orthogonal(SpecialOrthogonal):
    """Orthogonal matrices, ``R^T R = I`` to rounding, of one determinant: a continuous family
    cannot change it.

    As :class:`SpecialOrthogonal`, but for ``householder``, the default: the plain product of d
    reflections, of determinant (-1)^d, as in the published sheaf models (Bodnar et al. 2022). Its
    value at zero parameters is -I, and it reaches all of that determinant but a set of measure
    zero, which is a limit. With every other method both classes are the same, of determinant +1.
    """

    def __init__(self, dim: int, method: str | None = "householder") -> None:
        super().__init__(dim, method)
        if self.method == "householder" and dim % 2:
            self.determinant = -1

    def _choose(self) -> Family:
        return _REFLECTIONS if self.method == "householder" else super()._choose()
