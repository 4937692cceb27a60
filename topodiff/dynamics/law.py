"""What the laws here share: how parameters depend on time, and where they are found."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from topodiff.dynamics.energy import Energy
from topodiff.operators import LinearOperator


class Piecewise:
    """Constant on each of L equal intervals of [0, end]: the layers of a network as time.

    Where an attribute of a law is one, or of a function that the law holds, solvers stop between
    intervals, and no step sees the parameters of two.

    Args:
        values: tensor (L, ...), or a sequence of L tensors (or of anything else, modules say).
        end: end of the last interval; the last value holds beyond it.
    """

    def __init__(self, values: Tensor | Sequence[Any], end: float) -> None:
        if not end > 0:
            raise ValueError(f"end must be positive, got {end}")
        if len(values) == 0:
            raise ValueError("values are empty: give one for each interval")
        self.values, self.end = values, end

    def __call__(self, t: Tensor | float) -> Any:
        count = len(self.values)
        # a time that should be the start of an interval may be less by rounding
        now = float(t.detach()) if isinstance(t, Tensor) else float(t)
        position = now / self.end * count + 1e-4
        return self.values[min(max(int(position), 0), count - 1)]

    @property
    def breaks(self) -> list[float]:
        """Where one interval ends and the next begins."""
        return [self.end * k / len(self.values) for k in range(1, len(self.values))]

    def __repr__(self) -> str:
        return f"Piecewise({len(self.values)} intervals, end={self.end:g})"


Control = float | Tensor | Piecewise | Callable[[Tensor], Tensor]
"""A parameter of a law: constant, piecewise constant, or a function of time."""


def at(control: Any, t: Tensor) -> Any:
    """The parameter at time t."""
    return control(t) if callable(control) else control


def source_at(source: Any, t: Tensor, x: Tensor, name: str = "source") -> Tensor:
    """s(t) for a state x; zeros where there is none.

    Raises:
        ValueError: for a source of another shape.
    """
    found = at(source, t)
    if found is None:
        return torch.zeros_like(x)
    if found.shape != x.shape:
        raise ValueError(
            f"the {name} must have the shape of the state, {tuple(x.shape)}; got "
            f"{tuple(found.shape)}"
        )
    return found


class Law:
    """``dx/dt = law(t, x)``; of second order, ``d2x/dt2 = law.acceleration(t, x, v)``.

    See :class:`topodiff.solvers.law.Law` for what solvers make of the attributes.

    Attributes:
        order: in time.
        autonomous: t does not matter.
        linear: the law is ``-A x`` with ``A = linear_operator(t)``, nothing else (order 2: and
            ``- damping v``).
        symmetric: the Jacobian is symmetric, as for gradient flows.
    """

    order = 1
    autonomous = True
    linear = False
    symmetric = False

    def linear_operator(self, t: Tensor) -> LinearOperator | None:
        """The stiff part A, or None."""
        return None

    def breaks(self) -> list[float]:
        """Times at which a :class:`Piecewise` parameter jumps, rising."""
        return sorted({t for piecewise in _piecewise(self, set()) for t in piecewise.breaks})

    def within(self, start: float, end: float) -> Law:
        """The law between two times that no break divides, which jumps nowhere: its parameters
        are those of this interval at both ends too."""
        return _held_at((start + end) / 2, self, {})

    def parameters(self) -> list[Tensor]:
        """All tensors that require a gradient in the law, its operators and energies, and those of
        modules and of other functions with a method ``parameters``."""
        found: dict[int, Tensor] = {}
        for tensor in _tensors(vars(self), set()):
            if tensor.requires_grad:
                found[id(tensor)] = tensor
        return list(found.values())

    def __repr__(self) -> str:
        return f"{type(self).__name__}(order={self.order})"


def _tensors(value: Any, seen: set[int]) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item, seen)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item, seen)
    elif isinstance(value, (Law, Energy, LinearOperator, Piecewise)) and id(value) not in seen:
        seen.add(id(value))
        yield from _tensors(vars(value), seen)
    elif callable(getattr(value, "parameters", None)):  # modules, and functions that say so
        yield from value.parameters()


def is_number(control: Any) -> bool:
    """Whether a parameter at some time is one number, and not one for each channel."""
    return not isinstance(control, Tensor) or control.numel() == 1


def _parts(value: Any) -> dict[str, Any]:
    """Attributes of a law, or of a function that is an object, through which it may depend on
    time."""
    followed = isinstance(value, Law) or callable(value)
    if not followed or isinstance(value, (type, nn.Module, LinearOperator)):
        return {}
    return getattr(value, "__dict__", {})


def _piecewise(value: Any, seen: set[int]) -> Iterator[Piecewise]:
    if isinstance(value, Piecewise):
        yield value
    elif id(value) not in seen:
        seen.add(id(value))
        for item in _parts(value).values():
            yield from _piecewise(item, seen)


def _held_at(t: float, value: Any, done: dict[int, Any]) -> Any:
    """A copy with the values at time t in the place of all that is piecewise."""
    if isinstance(value, Piecewise):
        return Piecewise([value(t)], value.end)
    if id(value) not in done:
        done[id(value)] = value
        if any(True for _ in _piecewise(value, set())):
            done[id(value)] = copy.copy(value)
            for name, item in _parts(value).items():
                setattr(done[id(value)], name, _held_at(t, item, done))
    return done[id(value)]


def rescaled(factor: float | Tensor, operator: LinearOperator) -> LinearOperator:
    """``s A`` for a number or a tensor with one entry, with gradients to it."""
    if isinstance(factor, Tensor):
        if factor.numel() != 1:
            raise ValueError(f"the factor of an operator is one number, got {tuple(factor.shape)}")
        return factor.reshape(()) * operator
    return operator if factor == 1 else factor * operator
