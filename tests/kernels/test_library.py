"""Derivatives to second order, torch.library contracts, torch.compile."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from kernel_calls import CALLS
from kernel_cases import COMPILED, implementation, make_case
from kernel_operations import OPERATIONS

from topodiff.kernels import operations as ops
from topodiff.testing import assert_compiles

CASE = make_case([2, 0, 3, 2, 1, 4], 5, (3,), seed=3)
NAMES = ["reference", "cpu"] if COMPILED else ["reference"]


def smooth_inputs(name: str) -> list[torch.Tensor]:
    """Inputs without ties and away from kinks."""
    g = torch.Generator().manual_seed(1)
    fields = [getattr(CASE, field) for field in OPERATIONS[name].inputs]
    return [
        torch.randn(f.shape, generator=g, dtype=torch.float64, requires_grad=True) for f in fields
    ]


@pytest.mark.parametrize("implementation_name", NAMES)
@pytest.mark.parametrize("name", OPERATIONS)
def test_first_and_second_derivatives(name: str, implementation_name: str) -> None:
    inputs = smooth_inputs(name)
    with implementation(implementation_name):
        assert torch.autograd.gradcheck(lambda *x: OPERATIONS[name].run(CASE, *x), inputs)
        assert torch.autograd.gradgradcheck(lambda *x: OPERATIONS[name].run(CASE, *x), inputs)


DIFFERENTIABLE = set(CALLS) - {"chebyshev_sum", "select_segments", "refine_colours"}


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("implementation_name", NAMES)
@pytest.mark.parametrize("name", sorted(DIFFERENTIABLE))
def test_many_gradients_at_once(name: str, implementation_name: str) -> None:
    """With ``is_grads_batched``, as vectorised Jacobians have them."""
    run, arguments = CALLS[name]
    real = [n for n, t in arguments.items() if t is not None and t.is_floating_point()]
    arguments = arguments | {n: arguments[n].double() for n in real}
    inputs = {n: arguments[n].requires_grad_() for n in real if n != "count"}
    with implementation(implementation_name):
        assert torch.autograd.gradcheck(
            lambda *x: run(**arguments | dict(zip(inputs, x, strict=True))),
            tuple(inputs.values()),
            check_batched_grad=True,
        )


def _x(rows: int) -> torch.Tensor:
    return torch.randn(rows, 3, requires_grad=True)


def _library_calls() -> dict[str, tuple]:
    c, nnz = CASE, CASE.index.shape[0]
    faces, cells = c.num_faces, c.ptr.shape[0] - 1
    rows = torch.randint(-1, nnz, (cells, 3))
    weight = torch.randn(nnz, requires_grad=True)
    arrays = (c.index, c.cell, weight, c.ptr, c.face_ptr, c.by_face)
    coface = (c.index, c.ptr, c.face_ptr, c.by_face, "silu")
    return {
        "segment_sum": (_x(nnz), c.ptr, True),
        "segment_expand": (_x(cells), c.ptr, nnz, False),
        "segment_extreme": (_x(nnz), c.ptr, True, True),
        "segment_softmax": (_x(nnz), c.ptr),
        "segment_softmax_backward": (_x(nnz).detach(), _x(nnz).detach(), c.ptr),
        "scatter_sum": (_x(nnz), c.index, faces, True),
        "scatter_expand": (_x(faces), c.index, True),
        "scatter_extreme": (_x(nnz), c.index, faces, False, True),
        "place": (_x(cells), rows, nnz, False),
        "pick": (_x(nnz), rows),
        "gather_sum": (_x(faces), c.index, c.ptr, weight, True),
        "gather_extreme": (_x(faces), c.index, c.ptr, weight, True, True),
        "spread_sum": (_x(cells), c.index, c.ptr, weight, faces, True),
        "gather_dot": (_x(faces), _x(cells), c.index, c.ptr, True),
        "incidence_sum": (_x(cells), *arrays, False),
        "coface_message": (_x(faces), _x(cells), *coface),
        "coface_message_backward": (
            _x(faces).detach(), _x(faces).detach(), None, *coface, True, False,
        ),
        "sort_by_key": (c.index, faces),
    }  # fmt: skip


@pytest.mark.parametrize("implementation_name", NAMES)
@pytest.mark.parametrize("name", _library_calls())
def test_opcheck(name: str, implementation_name: str) -> None:
    with implementation(implementation_name):
        torch.library.opcheck(getattr(ops, name).overload, _library_calls()[name])


def test_opcheck_covers_every_operation() -> None:
    defined = {name for name, value in vars(ops).items() if hasattr(value, "overload")}
    assert defined == set(_library_calls())


@pytest.mark.parametrize("name", ["segment max", "weighted gather mean", "coface silu", "boundary"])
def test_compiles_without_graph_breaks(name: str) -> None:
    assert_compiles(partial(OPERATIONS[name].run, CASE), *smooth_inputs(name))
