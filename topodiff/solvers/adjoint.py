"""Which tensors the continuous adjoint has to reach, and whether it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from topodiff.solvers.held import check_held, leaves, with_aliases
from topodiff.solvers.law import OperatorLaw, as_float
from topodiff.solvers.problem import Problem
from topodiff.solvers.stability import radius_bound


def adjoint_parameters(problem: Problem, given: Any) -> tuple[Tensor, ...]:
    """The tensors behind the law: those of the operator, ``given``, or ``law.parameters()``.

    Raises:
        ValueError: if the law depends on others at the start or the end, whose gradient would be
            lost in silence; or for a heat flow that is too long to be traced back.
    """
    _check_reversible(problem)
    law = problem.system.law
    if isinstance(law, OperatorLaw):
        law.operator, aliases = with_aliases(law.operator)
        law.product = law.operator
        if aliases:
            x = problem.x0.detach()
            check_held(law.operator, law.operator @ x, aliases)
        return tuple(aliases)
    if given is None:
        parameters = getattr(law, "parameters", None)
        given = () if parameters is None else parameters()
    params = tuple(p for p in given if p.requires_grad)
    _check_independent(params)
    x = problem.x0.detach()
    with torch.enable_grad():
        for t in (0.0, problem.end):
            check_reached(problem.system(t, x), params, params)
    problem.system.work.evaluations -= 2
    return params


def check_reached(f: Tensor, params: Iterable[Tensor], given: Iterable[Tensor] = ()) -> None:
    """ValueError if a derivative depends on leaves other than the parameters, otherwise than
    through the arguments ``given``."""
    missing = leaves(f, given) - {id(p) for p in params}
    if missing:
        raise ValueError(
            f"backward='adjoint' would lose the gradients of {len(missing)} tensors on which the "
            "law depends: give it parameters(), or pass adjoint_params; or take another backward"
        )


def _check_independent(params: Iterable[Tensor]) -> None:
    """ValueError if one parameter is made of another, whose gradient would be counted twice: once
    inside of the law and once on the way to it."""
    known = {id(p) for p in params}
    made = {p.grad_fn for p in params if p.grad_fn is not None}
    stack: list[Any] = [parent for node in made for parent, _ in node.next_functions]
    seen: set[Any] = set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        if node in made or (hasattr(node, "variable") and id(node.variable) in known):
            raise ValueError(
                "backward='adjoint' needs parameters of which none is made of another: give the "
                "law p.view_as(p) in place of a tensor p of which others are made"
            )
        seen.add(node)
        stack.extend(parent for parent, _ in node.next_functions)


def _check_reversible(problem: Problem) -> None:
    """The adjoint runs the law backward, where errors of a heat flow grow as exp(rho t) between
    the states that are kept."""
    system = problem.system
    operator = system.operator(0.0) if system.order == 1 else None
    if operator is None:
        return
    times = [as_float(t) for t in problem.times]
    longest = max((b - a for a, b in pairwise(times)), default=0.0)
    growth = longest * radius_bound(operator)
    allowed = -math.log(torch.finfo(problem.x0.dtype).eps) / 2
    if growth > allowed:
        raise ValueError(
            f"backward='adjoint' would trace a diffusion back over {longest:.3g} time units, which "
            f"multiplies errors by up to exp({growth:.3g}): save states at most "
            f"{longest * allowed / growth:.3g} apart with save_at, or take another backward"
        )
