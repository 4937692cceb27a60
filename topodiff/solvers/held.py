"""The tensors that an operator holds, and the same operator with others in their place.

A gradient formula written by hand needs the tensors behind ``A @ x`` as its inputs. It gets them as
aliases, none of which depends on another, so that derivatives with respect to them are partial ones
and autograd carries them on from there.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from topodiff.operators import LinearOperator


def _walk(value: Any, found: dict[int, Tensor], seen: set[int]) -> None:
    if isinstance(value, Tensor):
        found[id(value)] = value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            _walk(item, found, seen)
    elif isinstance(value, LinearOperator) and id(value) not in seen:
        seen.add(id(value))
        for item in vars(value).values():
            _walk(item, found, seen)


def held_tensors(operator: LinearOperator) -> list[Tensor]:
    """All tensors that require a gradient in the operator and the operators that it is made of."""
    found: dict[int, Tensor] = {}
    _walk(operator, found, set())
    return [tensor for tensor in found.values() if tensor.requires_grad]


def _rebuilt(value: Any, aliases: dict[int, Tensor], done: dict[int, Any]) -> Any:
    if isinstance(value, Tensor):
        return aliases.get(id(value), value)
    if type(value) in (list, tuple):
        return type(value)(_rebuilt(item, aliases, done) for item in value)
    if type(value) is dict:
        return {key: _rebuilt(item, aliases, done) for key, item in value.items()}
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
            raise ValueError(_hidden(operator))
        return operator, []
    aliases = {id(tensor): tensor.view_as(tensor) for tensor in held}
    return _rebuilt(operator, aliases, {}), list(aliases.values())


def check_held(operator: LinearOperator, product: Tensor, given: Iterable[Tensor]) -> None:
    """ValueError if a product depends on more than the aliases and other tensors ``given``."""
    if leaves(product, given):
        raise ValueError(_hidden(operator))


def _hidden(operator: LinearOperator) -> str:
    return (
        f"products with {operator} carry gradients to tensors that are not among its attributes: "
        "keep tensors as attributes of the operator, or in lists, tuples and dicts of them"
    )


def leaves(f: Tensor, given: Iterable[Tensor] = ()) -> set[int]:
    """Identities of all leaves on which f depends otherwise than through the tensors given."""
    given = list(given)
    known = {id(tensor) for tensor in given}
    if f.grad_fn is None:
        return {id(f)} - known if f.requires_grad else set()
    found: set[int] = set()
    seen: set[Any] = {tensor.grad_fn for tensor in given}
    stack: list[Any] = [f.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        stack.extend(parent for parent, _ in node.next_functions)
    return found - known


def is_constant(operator: LinearOperator) -> bool:
    """Whether products carry no gradient but that of the state."""
    if not torch.is_grad_enabled():
        return True
    dtype, device = operator._any_dtype(), operator.device
    product = operator._apply(torch.zeros(*operator.col_shape, 1, dtype=dtype, device=device))
    return not product.requires_grad
