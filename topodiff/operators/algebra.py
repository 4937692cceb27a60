"""Operators made of operators: sums, products, multiples, transposes, block diagonals."""

from __future__ import annotations

import math

import scipy.sparse as sp
import torch
from torch import Tensor

from topodiff import kernels
from topodiff.operators.base import LinearOperator, Number, Shape
from topodiff.sheaves.maps import add, multiply, to_matrices, transpose


def _common_dtype(*operators: LinearOperator) -> torch.dtype | None:
    dtypes = {op.dtype for op in operators if op.dtype is not None}
    if len(dtypes) > 1:
        raise TypeError(f"operators of different dtypes do not combine: {operators}, {dtypes}")
    return dtypes.pop() if dtypes else None


class Transpose(LinearOperator):
    """``A^T``."""

    def __init__(self, operator: LinearOperator) -> None:
        op = operator
        super().__init__(op.col_shape, op.row_shape, op.dtype, op.device)
        self.operator = operator

    def _apply(self, x: Tensor) -> Tensor:
        return self.operator._apply_transpose(x)

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return self.operator._apply(y)

    def _matrix(self) -> sp.csr_matrix:
        return self.operator._matrix().T

    def _absolute(self) -> LinearOperator:
        return Transpose(self.operator._absolute())

    def _blocks(self) -> Tensor:
        return transpose(self.operator._blocks())  # type: ignore[return-value]

    @property
    def T(self) -> LinearOperator:
        return self.operator


class Sum(LinearOperator):
    """``A + B``."""

    def __init__(self, a: LinearOperator, b: LinearOperator) -> None:
        if (a.row_shape, a.col_shape) != (b.row_shape, b.col_shape):
            raise ValueError(f"operators of different shapes do not add: {a} and {b}")
        super().__init__(a.row_shape, a.col_shape, _common_dtype(a, b), a.device)
        self.a, self.b = a, b
        self.symmetric = a.symmetric and b.symmetric
        self.positive_semidefinite = a.positive_semidefinite and b.positive_semidefinite

    def _apply(self, x: Tensor) -> Tensor:
        return self.a._apply(x) + self.b._apply(x)

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return self.a._apply_transpose(y) + self.b._apply_transpose(y)

    def _matrix(self) -> sp.csr_matrix:
        return self.a._matrix() + self.b._matrix()

    def _absolute(self) -> LinearOperator:
        return Sum(self.a._absolute(), self.b._absolute())

    def _blocks(self) -> Tensor:
        return add(self.a._blocks(), self.b._blocks())


class Product(LinearOperator):
    """``A B``."""

    def __init__(self, a: LinearOperator, b: LinearOperator) -> None:
        if a.col_shape != b.row_shape:
            raise ValueError(f"the columns of {a} are not the rows of {b}")
        super().__init__(a.row_shape, b.col_shape, _common_dtype(a, b), a.device)
        self.a, self.b = a, b

    def _apply(self, x: Tensor) -> Tensor:
        return self.a._apply(self.b._apply(x))

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return self.b._apply_transpose(self.a._apply_transpose(y))

    def _matrix(self) -> sp.csr_matrix:
        return self.a._matrix() @ self.b._matrix()

    def _absolute(self) -> LinearOperator:
        return Product(self.a._absolute(), self.b._absolute())


class Scaled(LinearOperator):
    """``s A``.

    Args:
        factor: s, a real number or a tensor without dimensions, which counts as one in that it does
            not change the dtype, and has a gradient. Its sign, on which ``positive_semidefinite``
            depends, is read now.
        operator: A.

    Raises:
        TypeError: for a tensor with dimensions, or of complex numbers.
    """

    def __init__(self, factor: Number, operator: LinearOperator) -> None:
        if isinstance(factor, Tensor) and (factor.dim() or factor.is_complex()):
            raise TypeError(
                "the factor of an operator is a real number or a tensor without dimensions, got "
                f"{tuple(factor.shape)} of {factor.dtype}; BlockDiagonal has one for each cell"
            )
        super().__init__(operator.row_shape, operator.col_shape, operator.dtype, operator.device)
        self.factor = factor if isinstance(factor, Tensor) else float(factor)
        self.operator = operator
        self.symmetric = operator.symmetric
        self.positive_semidefinite = operator.positive_semidefinite and self._value() >= 0

    def _value(self) -> float:
        return float(self.factor.detach()) if isinstance(self.factor, Tensor) else self.factor

    def _apply(self, x: Tensor) -> Tensor:
        return self.factor * self.operator._apply(x)

    def _apply_transpose(self, y: Tensor) -> Tensor:
        return self.factor * self.operator._apply_transpose(y)

    def _matrix(self) -> sp.csr_matrix:
        return self._value() * self.operator._matrix()

    def _absolute(self) -> LinearOperator:
        return Scaled(abs(self._value()), self.operator._absolute())

    def _blocks(self) -> Tensor:
        return self.factor * self.operator._blocks()


class Identity(LinearOperator):
    """``I``, of any dtype."""

    symmetric = True
    positive_semidefinite = True

    def __init__(self, shape: Shape, device: torch.device) -> None:
        super().__init__(shape, shape, None, device)

    def _apply(self, x: Tensor) -> Tensor:
        return x

    def _matrix(self) -> sp.csr_matrix:
        return sp.identity(math.prod(self.col_shape), format="csr")

    def _absolute(self) -> LinearOperator:
        return self

    def _blocks(self) -> Tensor:
        return torch.ones(self.col_shape[0], device=self.device)


class BlockDiagonal(LinearOperator):
    """One number or one map for each cell.

    Args:
        blocks: (n,), (n, d) or (n, d, d); (n, d, d) must be symmetric, and none may have a negative
            eigenvalue.
        shape: (n,) or (n, d), of the states.
        dtype: of the operator; None for blocks that follow from the complex alone, which then take
            the dtype of the state.
    """

    symmetric = True
    positive_semidefinite = True

    def __init__(self, blocks: Tensor, shape: Shape, dtype: torch.dtype | None) -> None:
        super().__init__(shape, shape, dtype, blocks.device)
        self.given = blocks

    @property
    def blocks(self) -> Tensor:
        """The numbers or maps as they are now."""
        return self.given

    def _apply(self, x: Tensor) -> Tensor:
        return _multiply(self.blocks, x)

    def _matrix(self) -> sp.csr_matrix:
        n, d = self.col_shape[0], math.prod(self.col_shape[1:])
        blocks = self.blocks.detach()
        matrices = to_matrices(blocks, n, d, blocks).cpu().double().numpy()
        if n == 0:
            return sp.csr_matrix((0, 0), dtype=matrices.dtype)
        return sp.bsr_matrix((matrices, range(n), range(n + 1))).tocsr()

    def _absolute(self) -> LinearOperator:
        return BlockDiagonal(self.blocks.abs(), self.col_shape, self.dtype)

    def _blocks(self) -> Tensor:
        return self.blocks


def _multiply(blocks: Tensor, x: Tensor) -> Tensor:
    """Blocks times a state."""
    blocks = blocks.to(x.dtype)
    if blocks.dim() == 3:
        # a graph without edges: ten times as fast as torch.bmm, for matrices as small as these
        none = torch.zeros(0, dtype=torch.long, device=x.device)
        ptr = none.new_zeros(len(blocks) + 1)
        return kernels.block_matmul(x, blocks, blocks[:0], none, ptr, none)
    return blocks.reshape(blocks.shape + (1,) * (x.dim() - blocks.dim())) * x


class Congruence(LinearOperator):
    """``S A S`` for a symmetric block diagonal S: what normalises a Laplacian.

    Args:
        bound: a bound on the spectral norm that is known beforehand.
    """

    def __init__(
        self, scaling: BlockDiagonal, operator: LinearOperator, bound: float = math.inf
    ) -> None:
        dtype = _common_dtype(scaling, operator)
        super().__init__(operator.row_shape, operator.col_shape, dtype, operator.device)
        self.scaling, self.operator, self.bound = scaling, operator, bound
        self.symmetric = operator.symmetric
        self.positive_semidefinite = operator.positive_semidefinite

    def _apply(self, x: Tensor) -> Tensor:
        s = self.scaling.blocks
        return _multiply(s, self.operator._apply(_multiply(s, x)))

    def _apply_transpose(self, y: Tensor) -> Tensor:
        s = self.scaling.blocks
        return _multiply(s, self.operator._apply_transpose(_multiply(s, y)))

    def _matrix(self) -> sp.csr_matrix:
        scaling = self.scaling._matrix()
        return scaling @ self.operator._matrix() @ scaling

    def _absolute(self) -> LinearOperator:
        absolute = self.scaling._absolute()
        return Product(absolute, Product(self.operator._absolute(), absolute))

    def _blocks(self) -> Tensor:
        s = self.scaling.blocks
        return multiply(s, multiply(self.operator._blocks(), s))

    def spectral_bound(self) -> float:
        return min(self.bound, super().spectral_bound())
