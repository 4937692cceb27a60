"""A constant operator as one sparse matrix: what inner iterations multiply by."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff import kernels
from topodiff.operators import LinearOperator


class Assembled(LinearOperator):
    """The matrix of an operator in compressed rows, values detached; its product reads every
    entry once, where ``delta^T W delta`` reads cochains of two ranks."""

    def __init__(self, operator: LinearOperator, dtype: torch.dtype) -> None:
        super().__init__(operator.row_shape, operator.col_shape, dtype, operator.device)
        self.symmetric = operator.symmetric
        self.positive_semidefinite = operator.positive_semidefinite
        self.matrix = operator._matrix().tocsr()
        self._rows = _compressed(self.matrix, dtype)
        self._columns = None if self.symmetric else _compressed(self.matrix.T.tocsr(), dtype)
        self._bound = operator.spectral_bound

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

    def spectral_bound(self) -> float:
        return self._bound()


def _compressed(matrix: sp.csr_matrix, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    matrix.sort_indices()
    small = max(matrix.nnz, *matrix.shape) < np.iinfo(np.int32).max
    kind = np.int32 if small else np.int64
    index = torch.from_numpy(matrix.indices.astype(kind))
    ptr = torch.from_numpy(matrix.indptr.astype(kind))
    return index, ptr, torch.from_numpy(np.asarray(matrix.data)).to(dtype)


def assembled(operator: LinearOperator, like: Tensor, products: float = math.inf) -> LinearOperator:
    """The matrix of the operator if ``products`` with it repay the assembly, or the operator: on
    other devices than the CPU, and if it has no matrix."""
    if products < 16 or operator.device.type != "cpu" or isinstance(operator, Assembled):
        return operator
    try:
        return Assembled(operator, like.dtype)
    except NotImplementedError:
        return operator
