"""A constant operator as one sparse matrix: what inner iterations multiply by."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff import kernels
from topodiff.complexes.outlasting import outlasting, transformed
from topodiff.operators import LinearOperator

_FEWEST_PRODUCTS = 16


class Assembled(LinearOperator):
    """The matrix of an operator in compressed rows, values detached; its product reads every
    entry once, where ``delta^T W delta`` reads cochains of two ranks."""

    def __init__(
        self, operator: LinearOperator, dtype: torch.dtype, matrix: sp.csr_matrix | None = None
    ) -> None:
        super().__init__(operator.row_shape, operator.col_shape, dtype, operator.device)
        self.symmetric = operator.symmetric
        self.positive_semidefinite = operator.positive_semidefinite
        self.matrix = (operator._matrix() if matrix is None else matrix).tocsr()
        self._rows = _compressed(self.matrix, dtype)
        self._columns = None if self.symmetric else _compressed(self.matrix.T.tocsr(), dtype)
        self._bound = operator.spectral_bound() if matrix is None else None

    def affine(self, scale: float, shift: float) -> Assembled:
        """``scale A + shift I``."""
        eye = sp.identity(self.shape[0], dtype=self.matrix.dtype, format="csr")
        found = Assembled(self, self._any_dtype(), scale * self.matrix + shift * eye)
        found.positive_semidefinite = self.positive_semidefinite and scale >= 0 and shift >= 0
        return found

    @property
    def dtype_of_matrix(self) -> torch.dtype:
        """Of its values."""
        return self._rows[2].dtype

    def chebyshev_sum(
        self, x: Tensor, coefficients: np.ndarray, scale: float, shift: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``sum_k c_tk T_k(scale A + shift I) x`` (times, *x.shape), x (n, channels), and the last
        two terms; see :func:`topodiff.kernels.chebyshev_sum`."""
        index, ptr, value = self._rows
        weights = torch.from_numpy(np.ascontiguousarray(coefficients))
        return kernels.chebyshev_sum(x, index, ptr, value, weights, scale, shift)

    def _product(self, x: Tensor, csr: tuple[Tensor, Tensor, Tensor], shape: tuple) -> Tensor:
        index, ptr, value = csr
        flat = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        return kernels.gather_reduce(flat, index, ptr, value).reshape(*shape, x.shape[-1])

    def _apply(self, x: Tensor) -> Tensor:
        return self._product(x, self._rows, self.row_shape)

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return self._product(y, self._columns or self._rows, self.col_shape)

    def _matrix(self) -> sp.csr_matrix:
        return self.matrix

    def _absolute(self) -> LinearOperator:
        return Assembled(self, self._any_dtype(), abs(self.matrix))

    def spectral_bound(self) -> float:
        if self._bound is None:
            self._bound = super().spectral_bound()
        return self._bound


def _compressed(matrix: sp.csr_matrix, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    matrix.sort_indices()
    small = max(matrix.nnz, *matrix.shape) < np.iinfo(np.int32).max
    kind = np.int32 if small else np.int64
    index = torch.from_numpy(matrix.indices.astype(kind))
    ptr = torch.from_numpy(matrix.indptr.astype(kind))
    return index, ptr, torch.from_numpy(np.asarray(matrix.data)).to(dtype)


# the matrix of each operator that is alive, with the numbers that it was made from
_known: WeakKeyDictionary[LinearOperator, tuple[tuple, Assembled]] = WeakKeyDictionary()
_VALUES = (bool, int, float, complex, str, type(None), torch.dtype, torch.device)


class _Same:
    """Equal for the same object while it is alive."""

    def __init__(self, value: Any) -> None:
        try:
            self.ref: Callable[[], Any] = weakref.ref(value)
        except TypeError:
            self.ref = lambda: value

    def __eq__(self, other: object) -> bool:
        found = self.ref()
        return isinstance(other, _Same) and found is not None and found is other.ref()

    __hash__ = None  # type: ignore[assignment]


class _Numbers:
    """Equal for the same numbers. Versions of tensors say too little: ``w.data``, which optimisers
    and ``vector_to_parameters`` write to, and shared numpy arrays do not count their changes."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Numbers) or self.tensor.dtype != other.tensor.dtype:
            return False
        return torch.equal(self.tensor, other.tensor)

    __hash__ = None  # type: ignore[assignment]


def _contents(value: Any, seen: set[int], kept: bool = False) -> Any:
    """What to compare: an operator by its attributes, a tensor by its numbers, of which a copy is
    made if they are to be kept."""
    if isinstance(value, _VALUES):
        return value
    if isinstance(value, Tensor):
        return _Numbers(value.detach().clone() if kept else value.detach())
    if isinstance(value, (list, tuple)):
        return tuple(_contents(item, seen, kept) for item in value)
    if isinstance(value, dict):
        return tuple((key, _contents(item, seen, kept)) for key, item in value.items())
    if isinstance(value, LinearOperator) and id(value) not in seen:
        seen.add(id(value))
        return _Same(value), _contents(vars(value), seen, kept)
    return _Same(value)


def assembled(operator: LinearOperator, like: Tensor, products: float = math.inf) -> LinearOperator:
    """The matrix of the operator, kept for the next time, if ``products`` with it repay the
    assembly; or the operator itself, also on other devices than the CPU, in half precision, and if
    it has no matrix.
    """
    precise = operator._any_dtype() in (torch.float32, torch.float64)
    if operator.device.type != "cpu" or isinstance(operator, Assembled) or not precise:
        return operator
    if transformed():  # values may be wrapped
        return operator
    known = _known.get(operator)
    if known is not None and known[0] == (like.dtype, _contents(operator, set())):
        return known[1]
    if products < _FEWEST_PRODUCTS:
        return operator
    try:
        found = outlasting(Assembled)(operator, like.dtype)
    except NotImplementedError:
        return operator
    _known[operator] = (like.dtype, _contents(operator, set(), kept=True)), found
    return found
