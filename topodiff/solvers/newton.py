"""Newton's method with Krylov solves inside, on Jacobian products alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from topodiff.operators import LinearOperator
from topodiff.solvers.krylov.solve import LinearSystem, default_tolerance, implicit
from topodiff.solvers.law import Scalar, System, as_float
from topodiff.solvers.solution import OK

_HALVINGS = 8


class _Shifted(LinearOperator):
    """``I - c J`` for the Jacobian J of ``x -> f(t, x)``, on the state as one vector."""

    def __init__(self, system: System, t: Scalar, c: float, x: Tensor) -> None:
        n = x.numel()
        super().__init__((n,), (n,), x.dtype, x.device)
        self.symmetric = system.symmetric
        self.system, self.t, self.c, self.state = system, t, c, x
        with torch.enable_grad():
            self.x = x.detach().requires_grad_()
            self.f = system(t, self.x)
        self._forward: Callable[[Tensor], Tensor] | None = None

    def _apply(self, v: Tensor) -> Tensor:
        return v - self.c * self._jvp(v.reshape(self.state.shape)).reshape(v.shape)

    def _apply_transpose(self, v: Tensor) -> Tensor:
        return v - self.c * self._vjp(v.reshape(self.state.shape)).reshape(v.shape)

    def _jvp(self, v: Tensor) -> Tensor:
        if self.symmetric:
            return self._vjp(v)
        if self.system.jvp is not None:
            with torch.no_grad():
                return self.system.jvp(self.system.time(self.t), self.state, v)
        if self._forward is None:
            self._forward = self._double()
        return self._forward(v)

    def _double(self) -> Callable[[Tensor], Tensor]:
        """``J v`` as the derivative of ``u -> J^T u``, which is linear, along v."""
        if not self.f.requires_grad:
            return torch.zeros_like
        with torch.enable_grad():
            u = torch.zeros_like(self.f, requires_grad=True)
            (g,) = torch.autograd.grad(
                self.f, self.x, u, create_graph=True, allow_unused=True, materialize_grads=True
            )

        def product(v: Tensor) -> Tensor:
            if not g.requires_grad:
                return torch.zeros_like(v)
            found = torch.autograd.grad(g, u, v, retain_graph=True, allow_unused=True)[0]
            return torch.zeros_like(v) if found is None else found

        return product

    def _vjp(self, v: Tensor) -> Tensor:
        if not self.f.requires_grad:
            return torch.zeros_like(v)
        found = torch.autograd.grad(self.f, self.x, v, retain_graph=True, allow_unused=True)[0]
        return torch.zeros_like(v) if found is None else found


class NewtonKrylov:
    """Solves ``x - c f(t, x) = b`` (Knoll and Keyes, Jacobian-free Newton-Krylov methods, 2004).

    Inner tolerances by Eisenstat and Walker (1996, choice 2); a step that does not reduce the
    residual is halved. Stops at ``|x - c f - b| <= tol (|b| + |x|)``.
    """

    def __init__(
        self,
        system: System,
        method: str,
        tol: float | None,
        max_iterations: int,
        newton_iterations: int,
    ) -> None:
        if newton_iterations < 1:
            raise ValueError(f"newton_iterations must be >= 1, got {newton_iterations}")
        self.system, self.method, self.tol = system, method, tol
        self.max_iterations, self.newton_iterations = max_iterations, newton_iterations

    def solve(self, t: Scalar, c: Scalar, b: Tensor, guess: Tensor) -> tuple[Tensor, str]:
        # what it saves on the way is its own: a checkpoint around it would make the whole segment
        # again to give each of these tensors back
        with torch.autograd.graph.saved_tensors_hooks(_as_it_is, _as_it_is):
            x, status = self._iterate(t, as_float(c), b.detach(), guess.detach())
        if not torch.is_grad_enabled():
            return x, status
        # what only gradients ask for is no work of the solution
        before = self.system.work.evaluations
        residual = b - x + c * self.system(t, x)
        self.system.work.evaluations = before

        def adjoint(gradient: Tensor) -> Tensor:
            before = self.system.work.evaluations
            operator = _Shifted(self.system, t, as_float(c), x)
            self.system.work.evaluations = before
            system = LinearSystem(
                operator, x.dtype, self._method(operator), None, self.tol, self.max_iterations
            )
            return system.adjoint(gradient.reshape(-1)).reshape(x.shape)

        return implicit(residual, x, adjoint), status

    def _method(self, operator: LinearOperator) -> str:
        return self.method if self.method != "auto" or operator.symmetric else "gmres"

    def _iterate(self, t: Scalar, c: float, b: Tensor, x: Tensor) -> tuple[Tensor, str]:
        tol = default_tolerance(x.dtype) if self.tol is None else self.tol
        size, forcing = float("nan"), 0.1
        for _ in range(self.newton_iterations):
            operator = _Shifted(self.system, t, c, x)
            residual = b - x + c * operator.f.detach()
            last, size = size, _norm(residual)
            goal = tol * (_norm(b) + _norm(x))
            if size <= goal:
                self._note(size, goal, tol)
                return x, OK
            if not size < float("inf"):
                return x, "not_finite"
            if size < last:
                forcing = min(0.1, max(0.9 * (size / last) ** 2, 0.1 * goal / size))
            solver = LinearSystem(
                operator, x.dtype, self._method(operator), None, forcing, self.max_iterations
            )
            found = solver.solve(residual.reshape(-1))
            self.system.work.iterations += found.iterations
            self.system.work.evaluations += found.products
            new = self._line_search(t, c, b, x, found.x.reshape(x.shape), size)
            if new is None:
                # no way down: at the limit of rounding, or lost
                self._note(size, goal, tol)
                return x, OK if size <= 100 * goal else "no_convergence"
            x = new
        size = _norm(b - x + c * self._value(t, x))
        goal = tol * (_norm(b) + _norm(x))
        self._note(size, goal, tol)
        return x, OK if size <= goal else "no_convergence"

    def _line_search(
        self, t: Scalar, c: float, b: Tensor, x: Tensor, step: Tensor, size: float
    ) -> Tensor | None:
        """``x + step``, the step halved until the residual falls."""
        for _ in range(_HALVINGS):
            new = x + step
            if _norm(b - new + c * self._value(t, new)) < size:
                return new
            step = step / 2
        return None

    @torch.no_grad()
    def _value(self, t: Scalar, x: Tensor) -> Tensor:
        return self.system(t, x).detach()

    def _note(self, size: float, goal: float, tol: float) -> None:
        relative = size * tol / goal if goal else size
        self.system.work.residual = max(self.system.work.residual, relative)


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _norm(x: Tensor) -> float:
    """Summed in float64, where squares of small float32 do not underflow."""
    return float(torch.linalg.vector_norm(x, dtype=torch.float64))
