"""The tensors that an operator holds, and the same operator with others in their place.

A gradient formula written by hand needs the tensors behind ``A @ x`` as its inputs. It gets them as
aliases, none of which depends on another, so that derivatives with respect to them are partial ones
and autograd carries them on from there.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from topodiff.operators import LinearOperator


def _walk(value: Any, found: dict[int, Tensor], seen: set[int]) -> None:
    if isinstance(value, Tensor):
        found[id(value)] = value
    elif isinstance(value, (list, tuple)):
        for item in value:
            _walk(item, found, seen)
    elif isinstance(value, LinearOperator) and id(value) not in seen:
        seen.add(id(value))
        for item in vars(value).values():
            _walk(item, found, seen)


def all_tensors(operator: LinearOperator) -> list[Tensor]:
    """All tensors in the operator and the operators that it is made of."""
    found: dict[int, Tensor] = {}
    _walk(operator, found, set())
    return list(found.values())


def held_tensors(operator: LinearOperator) -> list[Tensor]:
    """Those of them that require a gradient."""
    return [tensor for tensor in all_tensors(operator) if tensor.requires_grad]


def _rebuilt(value: Any, aliases: dict[int, Tensor], done: dict[int, Any]) -> Any:
    if isinstance(value, Tensor):
        return aliases.get(id(value), value)
    if type(value) in (list, tuple):
        return type(value)(_rebuilt(item, aliases, done) for item in value)
    if not isinstance(value, LinearOperator):
        return value
    if id(value) not in done:
        new = done[id(value)] = copy.copy(value)
        for name, item in vars(value).items():
            setattr(new, name, _rebuilt(item, aliases, done))
    return done[id(value)]


def with_aliases(operator: LinearOperator) -> tuple[LinearOperator, list[Tensor]]:
    """The operator on aliases of its tensors, and the aliases; none where gradients are off.

    Raises:
        ValueError: if its products depend on tensors that it does not hold as attributes.
    """
    if not torch.is_grad_enabled():
        return operator, []
    held = held_tensors(operator)
    if not held:
        if not is_constant(operator):
            raise ValueError(
                f"products with {operator} carry gradients, but none of its attributes is a tensor "
                "that requires one: keep tensors as attributes of the operator (or lists of them)"
            )
        return operator, []
    aliases = {id(tensor): tensor.view_as(tensor) for tensor in held}
    return _rebuilt(operator, aliases, {}), list(aliases.values())


def is_constant(operator: LinearOperator) -> bool:
    """Whether products carry no gradient but that of the state."""
    if not torch.is_grad_enabled():
        return True
    dtype, device = operator._any_dtype(), operator.device
    product = operator._apply(torch.zeros(*operator.col_shape, 1, dtype=dtype, device=device))
    return not product.requires_grad
