"""Linear systems without matrices, and their gradients without unrolled iterations."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from topodiff.operators import LinearOperator
from topodiff.solvers.held import is_constant
from topodiff.solvers.krylov.cg import conjugate_gradients
from topodiff.solvers.krylov.gmres import generalized_minimal_residual
from topodiff.solvers.krylov.minres import minimal_residual
from topodiff.solvers.krylov.preconditioners import BlockJacobi, Chebyshev
from topodiff.solvers.krylov.result import LinearSolution, Product
from topodiff.solvers.refuse import refuse_second, refuse_transforms

METHODS = {
    "cg": conjugate_gradients,
    "minres": minimal_residual,
    "gmres": generalized_minimal_residual,
}
PRECONDITIONERS = ("auto", "jacobi", "chebyshev")


def default_tolerance(dtype: torch.dtype) -> float:
    """eps^(3/4): 1.8e-12 for float64, 6.4e-6 for float32."""
    return torch.finfo(dtype).eps ** 0.75


def choose_method(method: str, operator: LinearOperator) -> str:
    """The method of that name; ``"auto"``: cg, minres or gmres, by what the operator is.

    Raises:
        ValueError: for cg or minres on an operator that is not known to be symmetric.
    """
    if method == "auto":
        if operator.positive_semidefinite:
            return "cg"
        return "minres" if operator.symmetric else "gmres"
    if method != "gmres" and not operator.symmetric:
        raise ValueError(
            f"{method} needs a symmetric operator, and {operator} is not known to be one "
            '(operator.symmetric is False): take method="gmres"'
        )
    return method


def check_options(
    dtype: torch.dtype, method: str, preconditioner: Any, tol: float | None, max_iterations: int
) -> None:
    """TypeError, ValueError for what no linear solve takes."""
    if dtype not in (torch.float32, torch.float64):
        raise TypeError(f"linear systems are solved in float32 and float64, got {dtype}")
    if method not in ("auto", *METHODS):
        raise ValueError(f"method must be auto, {', '.join(METHODS)}; got {method!r}")
    known = preconditioner is None or callable(preconditioner) or preconditioner in PRECONDITIONERS
    if not known:
        raise ValueError(
            f"preconditioner must be None, a callable or one of {', '.join(PRECONDITIONERS)}; "
            f"got {preconditioner!r}"
        )
    if not (tol is None or tol > 0) or max_iterations < 1:
        raise ValueError(
            f"tol must be positive and max_iterations >= 1, got {tol} and {max_iterations}"
        )


class LinearSystem:
    """An operator with the method and preconditioner for it; solves with it and its transpose.

    Args:
        operator: A, square.
        dtype: of the states.
        method, preconditioner, tol, max_iterations: as of :func:`linear_solve`.
        lower: lower bound of the spectrum, where one is known.
    """

    def __init__(
        self,
        operator: LinearOperator,
        dtype: torch.dtype,
        method: str = "auto",
        preconditioner: Any = "auto",
        tol: float | None = None,
        max_iterations: int = 1000,
        lower: float | None = None,
    ) -> None:
        operator._check_square()
        check_options(dtype, method, preconditioner, tol, max_iterations)
        self.operator = operator
        self.method = choose_method(method, operator)
        self.tol = default_tolerance(dtype) if tol is None else tol
        self.max_iterations = max_iterations
        self.preconditioner = self._choose(preconditioner, dtype, lower)

    def _choose(self, given: Any, dtype: torch.dtype, lower: float | None) -> Any:
        if given is None or callable(given):
            return given
        if given == "chebyshev":
            return Chebyshev(self.operator, lower)
        if given == "jacobi" or self.operator.positive_semidefinite:
            return BlockJacobi(self.operator, dtype)
        return None

    @torch.no_grad()
    def solve(
        self, b: Tensor, guess: Tensor | None = None, transpose: bool = False
    ) -> LinearSolution:
        """``A x = b``, or ``A^T x = b``, for b of any shape that A takes."""
        operator = self.operator.T if transpose else self.operator
        shape = b.shape
        lead = operator._check_state(b)
        channels = shape[lead:].numel()

        def flat(x: Tensor) -> Tensor:
            return x.reshape(operator.shape[0], channels)

        def apply(x: Tensor) -> Tensor:
            return flat(operator._apply(x.reshape(*operator.col_shape, channels)))

        precondition: Product | None = self.preconditioner
        if precondition is not None and transpose and not self.operator.symmetric:
            precondition = self.preconditioner.transpose
        before = getattr(self.preconditioner, "products", 0)
        rhs, first = flat(b), None if guess is None else flat(guess)
        if first is not None:
            # no residual is small beside a b of 0
            first = torch.where((rhs == 0).all(0), 0.0, first)
        size = _size(rhs, first)
        if size is not None:
            rhs, first = rhs / size, None if first is None else first / size
        found = METHODS[self.method](apply, rhs, first, self.tol, self.max_iterations, precondition)
        x = found.x if size is None else found.x * size
        products = found.products + getattr(self.preconditioner, "products", 0) - before
        return found._replace(x=x.reshape(shape), products=products)

    def adjoint(self, gradient: Tensor) -> Tensor:
        """``A^-T gradient``, with a warning if that fails."""
        return self._of_gradient(gradient, True)

    def inverse(self, gradient: Tensor) -> Tensor:
        """``A^-1 gradient``, likewise."""
        return self._of_gradient(gradient, False)

    def _of_gradient(self, gradient: Tensor, transpose: bool) -> Tensor:
        found = self.solve(gradient, transpose=transpose)
        if found.status != "converged":
            warnings.warn(
                f"the linear solve of a backward pass ended with status {found.status!r} and "
                f"relative residual {found.residual:.2g}: gradients are inexact", stacklevel=2,
            )  # fmt: skip
        return found.x


def _size(b: Tensor, guess: Tensor | None) -> Tensor | None:
    """(channels,) of (n, channels): for each channel the power of 2 below its largest entry, or
    None if all squares are within range. Taken out, it leaves all digits as they are and dot
    products that do not underflow."""
    if not b.numel():
        return None
    largest = b.abs().amax(0)
    least, most = (float(end) for end in largest.aminmax())
    edge = torch.finfo(b.dtype).tiny ** 0.25
    if edge < least and most < 1 / edge:
        return None
    if guess is not None:
        largest = torch.maximum(largest, guess.abs().amax(0))
    usable = (largest > 0) & largest.isfinite()
    exponent = torch.frexp(torch.where(usable, largest, 1.0)).exponent
    return torch.ldexp(torch.ones_like(largest), exponent - 1)


class _Implicit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, residual: Tensor, x: Tensor, adjoint: Product, solve: Product | None
    ) -> Tensor:
        ctx.adjoint, ctx.solve = adjoint, solve
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        if ctx.solve is None:
            refuse_second("an implicit equation that does more than a constant linear one")
        found = ctx.adjoint(grads[0].detach())
        if ctx.solve is not None:
            found = implicit(grads[0], found, ctx.solve, ctx.adjoint)
        return found, None, None, None


def implicit(residual: Tensor, x: Tensor, adjoint: Product, solve: Product | None = None) -> Tensor:
    """x with the gradient of the solution of ``r(x, p) = 0`` (implicit function theorem).

    Args:
        residual: ``r(x, p)`` evaluated at the constant x, with its graph to the parameters p; the
            sign is such that ``dr/dx = -A``.
        x: the solution, constant.
        adjoint: ``g -> A^-T g``.
        solve: ``g -> A^-1 g`` if A is constant and r is ``b - A x``, for derivatives of all orders;
            others have none beyond the first.
    """
    if not (residual.requires_grad and torch.is_grad_enabled()):
        return x
    found: Tensor = _Implicit.apply(residual, x, adjoint, solve)
    return found


def _check_guess(guess: Any, b: Tensor) -> None:
    if not isinstance(guess, Tensor) or guess.dtype != b.dtype:
        given = guess.dtype if isinstance(guess, Tensor) else type(guess).__name__
        raise TypeError(f"the guess must be a tensor of {b.dtype} like b, got {given}")
    if guess.shape != b.shape or guess.device != b.device:
        raise ValueError(
            f"the guess must have the shape {tuple(b.shape)} and device {b.device} of b, got "
            f"{tuple(guess.shape)} on {guess.device}"
        )


def linear_solve(
    operator: LinearOperator,
    b: Tensor,
    *,
    method: str = "auto",
    preconditioner: Any = "auto",
    tol: float | None = None,
    max_iterations: int = 1000,
    guess: Tensor | None = None,
) -> LinearSolution:
    """``x`` with ``A x = b``, channel by channel, with gradients to b and to what A holds.

    The backward pass solves ``A^T y = gradient``; nothing of the iteration is kept. Derivatives of
    all orders for a constant A, else the first alone: more are a RuntimeError.

    Args:
        operator: A, square.
        b: (*row_shape, *channels).
        method: ``"cg"`` (symmetric positive definite), ``"minres"`` (symmetric), ``"gmres"``, or
            ``"auto"``, which goes by the tags of the operator.
        preconditioner: ``"jacobi"`` (block Jacobi), ``"chebyshev"``, a callable r -> z (for gmres
            with a ``transpose`` for backward), None; ``"auto"``: Jacobi for semidefinite operators.
        tol: on ``|b - A x| / |b|``; by default eps^(3/4).
        max_iterations: where to give up, with status ``"max_iterations"`` and the last iterate.
        guess: where to start, instead of 0.

    Raises:
        ValueError: for cg or minres on an operator that is not known to be symmetric.
        TypeError, ValueError: for a b or a guess of another shape, dtype or device.
    """
    refuse_transforms()
    operator._check_state(b)
    if guess is not None:
        _check_guess(guess, b)
    with torch.no_grad():
        system = LinearSystem(operator, b.dtype, method, preconditioner, tol, max_iterations)
    found = system.solve(b.detach(), guess)
    if not torch.is_grad_enabled():
        return found
    if is_constant(operator):
        return found._replace(x=implicit(b, found.x, system.adjoint, system.inverse))
    return found._replace(x=implicit(b - operator @ found.x, found.x, system.adjoint))
