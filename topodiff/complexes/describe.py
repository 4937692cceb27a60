"""What a complex holds, for people, and whether two complexes hold the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from topodiff.complexes import storage

if TYPE_CHECKING:
    from topodiff.complexes.complex import CellComplex


def describe(complex: CellComplex) -> str:
    """One line: numbers of cells and complexes, shape and dtype of all data."""
    names = ["vertices", "edges"] + [f"{r}-cells" for r in range(2, complex.rank + 1)]
    parts = [", ".join(f"{n} {name}" for n, name in zip(complex.shape, names, strict=False))]
    if complex._ptr is not None:
        parts.insert(0, f"{complex.num_complexes} complexes")
    for field in storage.PER_RANK:
        for r, tensor in sorted(getattr(complex, field).items()):
            parts.append(f"{field}[{r}]: {_shape_and_dtype(tensor)}")
    for field in storage.WHOLE:
        if (tensor := getattr(complex, field)) is not None:
            parts.append(f"{field}: {_shape_and_dtype(tensor)}")
    return f"CellComplex({'; '.join(parts)})"


def _shape_and_dtype(tensor: Tensor) -> str:
    return f"{'x'.join(map(str, tensor.shape))} {str(tensor.dtype).removeprefix('torch.')}"


def same(a: CellComplex, b: CellComplex) -> bool:
    """Same cells, order, signs and data, bit for bit, on whatever device; NaN equals NaN."""
    mine, theirs = storage.to_tensors(a), storage.to_tensors(b)
    if a.shape != b.shape or mine.keys() != theirs.keys():
        return False
    return all(_identical(tensor, theirs[name]) for name, tensor in mine.items())


def _identical(a: Tensor, b: Tensor) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    b = b.to(a.device)
    return bool(((a == b) | ((a != a) & (b != b))).all())
