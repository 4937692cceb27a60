"""Lazy linear operators: what they share."""

from __future__ import annotations

import math
import warnings
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg
import torch
from torch import Tensor

from topodiff.kernels.precision import at_least_single
from topodiff.sheaves.maps import to_matrices

if TYPE_CHECKING:
    from topodiff.operators.algebra import Identity

Shape = tuple[int, ...]
Number = float | Tensor


def _numpy_dtype(dtype: torch.dtype) -> np.dtype:
    """That of float32 where numpy or scipy have none."""
    return at_least_single(torch.zeros(0, dtype=dtype)).numpy().dtype


class LinearOperator:
    """A linear map between spaces of cochains that is applied without building its matrix.

    A cochain has the shape (n, channels), or (n, d, channels) where the operator acts on stalks;
    any number of channel dimensions, none included, will do. Rows and columns of matrices are
    numbered cell by cell, the stalk index fastest, and a state may be given in that flat form too.

    Attributes:
        row_shape, col_shape: (n,) or (n, d) of results and arguments.
        dtype: of the numbers that the operator holds; None if it holds none (signs only) and takes
            any floating-point state. Matrices then have the default dtype.
        device: of the operator and of the states that it takes.
        symmetric: the matrix is known to be symmetric.
        positive_semidefinite: it is symmetric and known to have no negative eigenvalue.
    """

    symmetric = False
    positive_semidefinite = False

    def __init__(
        self, row_shape: Shape, col_shape: Shape, dtype: torch.dtype | None, device: torch.device
    ) -> None:
        self.row_shape = row_shape
        self.col_shape = col_shape
        self.dtype = dtype
        self.device = device

    # -- for subclasses: x and the result have exactly one channel dimension ---------------------

    def _apply(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def _apply_transpose(self, y: Tensor) -> Tensor:
        if self.symmetric:
            return self._apply(y)
        raise NotImplementedError

    def _matrix(self) -> sp.csr_matrix:
        raise NotImplementedError

    def _absolute(self) -> LinearOperator:
        """An operator whose entries bound the absolute values of the entries of this one."""
        raise NotImplementedError

    def _blocks(self) -> Tensor:
        """Diagonal blocks, (n,), (n, d) or (n, d, d); these come from the matrix, without
        gradient."""
        d = self.col_shape[1] if len(self.col_shape) == 2 else 1
        matrix = sp.bsr_matrix(self.to_scipy(), blocksize=(d, d))
        row = np.repeat(np.arange(self.row_shape[0]), np.diff(matrix.indptr))
        on = matrix.indices == row
        blocks = np.zeros((self.row_shape[0], d, d), matrix.dtype)
        blocks[row[on]] = matrix.data[on]
        found = torch.from_numpy(blocks).to(self.device)
        return found if len(self.col_shape) == 2 else found[:, 0, 0]

    # -- products --------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the matrix."""
        return math.prod(self.row_shape), math.prod(self.col_shape)

    def __matmul__(self, x):  # type: ignore[no-untyped-def]
        """``A @ x`` for a state, with gradients to it and to the numbers that A holds; ``A @ B``.

        Raises:
            TypeError, ValueError: for a state of another shape, dtype or device.
        """
        if isinstance(x, LinearOperator):
            from topodiff.operators.algebra import Product

            return Product(self, x)
        lead = self._check_state(x)
        flat = lead != len(self.col_shape)
        channels = x.shape[lead:]
        out = self._apply(x.reshape(*self.col_shape, math.prod(channels)))
        return out.reshape(*(self.shape[:1] if flat else self.row_shape), *channels)

    def _check_state(self, x: Tensor) -> int:
        """How many leading dimensions of x number the columns: those of col_shape, or one
        (flat)."""
        if not isinstance(x, Tensor) or not x.is_floating_point():
            given = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"the state must be a floating-point tensor, got {given}")
        if self.dtype is not None and x.dtype != self.dtype:
            raise TypeError(
                f"the state is {x.dtype}, the operator {self.dtype}: convert the state with .to(), "
                "or build the operator from numbers of that dtype"
            )
        if x.device != self.device:
            raise ValueError(f"the state is on {x.device}, the operator on {self.device}")
        if x.shape[: len(self.col_shape)] == self.col_shape:
            return len(self.col_shape)
        if x.dim() and x.shape[0] == self.shape[1]:
            return 1
        expected = ", ".join(map(str, self.col_shape))
        raise ValueError(
            f"the state must have shape ({expected}, *channels) for {self}, got {tuple(x.shape)}"
        )

    @property
    def T(self) -> LinearOperator:
        """The transpose."""
        from topodiff.operators.algebra import Transpose

        return self if self.symmetric else Transpose(self)

    def __add__(self, other: LinearOperator) -> LinearOperator:
        from topodiff.operators.algebra import Sum

        return Sum(self, other) if isinstance(other, LinearOperator) else NotImplemented

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return self + (-other) if isinstance(other, LinearOperator) else NotImplemented

    def __mul__(self, factor: Number) -> LinearOperator:
        """``s A`` for a real number, or a tensor without dimensions, with gradients to it."""
        from topodiff.operators.algebra import Scaled

        return Scaled(factor, self) if isinstance(factor, (Real, Tensor)) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, divisor: Number) -> LinearOperator:
        return self * (1 / divisor) if isinstance(divisor, (Real, Tensor)) else NotImplemented

    def __neg__(self) -> LinearOperator:
        return self * -1.0

    def identity(self) -> Identity:
        """The identity on the space on which this operator acts."""
        from topodiff.operators.algebra import Identity

        return Identity(self.col_shape, self.device)

    # -- matrices --------------------------------------------------------------------------------

    def _any_dtype(self) -> torch.dtype:
        return self.dtype or torch.get_default_dtype()

    def to_dense(self) -> Tensor:
        """The matrix, with gradients to the numbers that the operator holds."""
        return self @ torch.eye(self.shape[1], dtype=self._any_dtype(), device=self.device)

    def to_scipy(self) -> sp.csr_matrix:
        """The matrix as scipy CSR, values detached, and in float32 where the operator has less."""
        return self._matrix().tocsr().astype(_numpy_dtype(self._any_dtype()))

    def to_sparse(self) -> Tensor:
        """The matrix as a sparse CSR tensor, values detached."""
        m = self.to_scipy()
        m.sort_indices()
        with warnings.catch_warnings():  # once, that CSR is a beta state of PyTorch
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            return torch.sparse_csr_tensor(
                torch.from_numpy(m.indptr.astype(np.int64)),
                torch.from_numpy(m.indices.astype(np.int64)),
                torch.from_numpy(m.data).to(self._any_dtype()), m.shape, device=self.device,
                check_invariants=False,
            )  # fmt: skip

    def block_diagonal(self) -> Tensor:
        """(n, d, d) blocks on the diagonal (d = 1 without stalks); of square operators."""
        self._check_square()
        blocks = self._blocks().to(self._any_dtype())
        d = self.col_shape[1] if len(self.col_shape) == 2 else 1
        return to_matrices(blocks, self.col_shape[0], d, blocks)

    def diagonal(self) -> Tensor:
        """The diagonal, (n,) or (n, d); of square operators."""
        blocks = self.block_diagonal()
        return blocks.diagonal(dim1=-2, dim2=-1).reshape(self.col_shape)

    def _check_square(self) -> None:
        if self.row_shape != self.col_shape:
            raise ValueError(f"{self} is not square and has no diagonal")

    def scipy(self) -> scipy.sparse.linalg.LinearOperator:
        """View for scipy's solvers: the same products on numpy arrays, without gradients."""
        dtype = self.dtype or torch.float64

        def product(operator: LinearOperator, x: np.ndarray) -> np.ndarray:
            if np.iscomplexobj(x):
                return product(operator, x.real) + 1j * product(operator, x.imag)
            flat = torch.as_tensor(np.ascontiguousarray(x), dtype=dtype, device=self.device)
            # flat, whatever its shape looks like: one column for each channel
            channels = x.shape[1:]
            with torch.no_grad():
                out = operator._apply(flat.reshape(*operator.col_shape, math.prod(channels)))
            return at_least_single(out).reshape(operator.shape[0], *channels).cpu().numpy()

        return scipy.sparse.linalg.LinearOperator(
            self.shape, dtype=_numpy_dtype(dtype),
            matvec=lambda x: product(self, x), rmatvec=lambda x: product(self.T, x),
            matmat=lambda x: product(self, x), rmatmat=lambda x: product(self.T, x),
        )  # fmt: skip

    # -- spectrum --------------------------------------------------------------------------------

    @torch.no_grad()
    def spectral_bound(self) -> float:
        """Upper bound of the spectral norm: ``|A|_2^2 <= |A|_1 |A|_inf`` (Gershgorin's for
        symmetric A), from two products."""
        if 0 in self.shape:
            return 0.0
        absolute = self._absolute()
        dtype = self._any_dtype()
        rows = absolute._apply(torch.ones(*self.col_shape, 1, dtype=dtype, device=self.device))
        ones = torch.ones(*self.row_shape, 1, dtype=dtype, device=self.device)
        columns = absolute._apply_transpose(ones)
        return math.sqrt(float(rows.max()) * float(columns.max()))

    def spectral_norm(self, iterations: int = 30, seed: int = 0) -> float:
        """Estimate of the spectral norm from below; see :func:`topodiff.operators.lanczos`."""
        from topodiff.operators.spectrum import spectral_norm

        return spectral_norm(self, iterations, seed)

    def __repr__(self) -> str:
        tags = [t for t in ("symmetric", "positive_semidefinite") if getattr(self, t)]
        return f"{type(self).__name__}({', '.join([f'{self.shape[0]} x {self.shape[1]}', *tags])})"
