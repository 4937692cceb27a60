"""What follows from tensors that may change in place, as parameters do under an optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from topodiff.complexes.outlasting import outlasting, transformed

Value = TypeVar("Value")


def present(t: Tensor) -> tuple:
    """What differs once the numbers of a tensor have changed, in place or by ``t.data = other``.

    Changes in place of ``t.data``, or of a numpy array with the same memory, nobody counts: they
    cannot be seen. Memory is told by its storage, which lives as long as it is remembered; its
    address may go to another tensor.
    """
    return t._version, t.untyped_storage(), t.storage_offset(), t.stride()


class Live(Generic[Value]):
    """The value of a formula, kept for as long as the tensors in it stay as they are, as far as
    :func:`present` can tell.

    Where a gradient to them is recorded, the formula is evaluated anew each time, so that every
    product of an operator can be differentiated on its own; so it is for tensors made in inference
    mode, whose changes nobody counts, and under ``torch.func``. Copies and pickles come out empty.
    """

    def __init__(self) -> None:
        self._kept: tuple[list, Value] | None = None

    def __call__(
        self, tensors: Sequence[Tensor], formula: Callable[[], Value], *also: object
    ) -> Value:
        """``formula()``, which depends on ``tensors`` and on what ``also`` says."""
        if transformed():  # wrapped tensors have no memory
            return formula()
        recorded = torch.is_grad_enabled()
        state = [*also]
        # a loop, since this comes before every product of a small operator
        for t in tensors:
            if (recorded and t.requires_grad) or t.is_inference():
                return formula()
            state.append(present(t))
        if self._kept is None or self._kept[0] != state:
            self._kept = state, outlasting(formula)()
        return self._kept[1]

    def __reduce__(self) -> tuple:
        # a copy has other memory
        return Live, ()
