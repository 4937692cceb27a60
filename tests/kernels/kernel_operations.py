"""Every public operation as a function of a case and its differentiable inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kernel_cases import Case
from torch import Tensor

from topodiff import kernels
from topodiff.kernels.checks import REDUCTIONS


@dataclass
class Operation:
    run: Callable[..., Tensor]  # run(case, *inputs)
    inputs: tuple[str, ...]  # fields of the case


def _coface(c: Case, p: Tensor | None, q: Tensor | None, activation: str) -> Tensor:
    return kernels.coface_message(p, q, c.index, c.ptr, c.face_ptr, c.by_face, activation)


def _incidence(c: Case, x: Tensor, sign: Tensor | None, transpose: bool) -> Tensor:
    return kernels.incidence_matmul(
        x, c.index, c.cell, sign, c.ptr, c.face_ptr, c.by_face, transpose
    )


OPERATIONS: dict[str, Operation] = {
    "gather": Operation(lambda c, x: kernels.gather(x, c.index), ("faces",)),
    "segment_softmax": Operation(lambda c, x: kernels.segment_softmax(x, c.ptr), ("entries",)),
    "boundary": Operation(lambda c, x, w: _incidence(c, x, w, False), ("cells", "weight")),
    "coboundary": Operation(lambda c, x, w: _incidence(c, x, w, True), ("faces", "weight")),
    "boundary, integer signs": Operation(
        lambda c, x: _incidence(c, x, 2 * (c.cell % 7) + 1, False), ("cells",)
    ),
    "coboundary, no signs": Operation(lambda c, x: _incidence(c, x, None, True), ("faces",)),
}
for _r in REDUCTIONS:
    OPERATIONS |= {
        f"segment {_r}": Operation(
            lambda c, x, r=_r: kernels.segment_reduce(x, c.ptr, r), ("entries",)
        ),
        f"scatter {_r}": Operation(
            lambda c, x, r=_r: kernels.scatter_reduce(x, c.index, c.num_faces, r), ("entries",)
        ),
        f"gather {_r}": Operation(
            lambda c, x, r=_r: kernels.gather_reduce(x, c.index, c.ptr, None, r), ("faces",)
        ),
        f"weighted gather {_r}": Operation(
            lambda c, x, w, r=_r: kernels.gather_reduce(x, c.index, c.ptr, w, r),
            ("faces", "weight"),
        ),
    }
for _a in kernels.ACTIVATIONS:
    OPERATIONS |= {
        f"coface {_a}": Operation(lambda c, p, q, a=_a: _coface(c, p, q, a), ("faces", "cells")),
    }
OPERATIONS |= {
    "coface, no p": Operation(lambda c, q: _coface(c, None, q, "silu"), ("cells",)),
    "coface, no q": Operation(lambda c, p: _coface(c, p, None, "tanh"), ("faces",)),
}
