"""Complexes as named tensors, and as safetensors files (no pickle, memory-mapped, atomic)."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from topodiff.complexes.complex import CellComplex

FORMAT = "topodiff-complex-1"
PER_RANK = ("x", "weights", "labels")
WHOLE = ("positions", "y")


def to_tensors(complex: CellComplex) -> dict[str, Tensor]:
    """All tensors of a complex by name, for example ``boundary.1.index`` or ``x.0``."""
    tensors = {}
    for r in range(1, complex.rank + 1):
        tensors[f"boundary.{r}.index"] = complex.boundary_index(r)
        tensors[f"boundary.{r}.sign"] = complex.boundary_sign(r)
    if complex._ptr is not None:
        tensors |= {f"ptr.{r}": p for r, p in enumerate(complex._ptr)}
        tensors["ranks"] = complex.ranks
    for field in PER_RANK:
        tensors |= {f"{field}.{r}": t for r, t in getattr(complex, field).items()}
    for field in WHOLE:
        if (tensor := getattr(complex, field)) is not None:
            tensors[field] = tensor
    return tensors


def from_tensors(shape: Sequence[int], tensors: Mapping[str, Tensor]) -> CellComplex:
    """Inverse of :func:`to_tensors`."""
    from topodiff.complexes.complex import CellComplex

    top = range(1, len(shape))
    per_rank = {
        field: {r: t for r in range(len(shape)) if (t := tensors.get(f"{field}.{r}")) is not None}
        for field in PER_RANK
    }
    return CellComplex(
        shape,
        [(tensors[f"boundary.{r}.index"], tensors[f"boundary.{r}.sign"]) for r in top],
        ptr=[tensors[f"ptr.{r}"] for r in range(len(shape))] if "ptr.0" in tensors else None,
        ranks=tensors.get("ranks"),
        positions=tensors.get("positions"),
        y=tensors.get("y"),
        **per_rank,
    )


def save(complex: CellComplex, path: str | Path) -> None:
    """Write to a temporary file in the same folder, then rename: a reader never sees half."""
    from safetensors.torch import save_file

    path = Path(path)
    tensors = {k: t.detach().cpu().contiguous().clone() for k, t in to_tensors(complex).items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(tensors, temporary, {"format": FORMAT, "shape": json.dumps(complex.shape)})
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: str | Path) -> CellComplex:
    """Read a complex; ValueError if the file is damaged or holds something else."""
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            meta = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from None
    if meta.get("format") != FORMAT or not re.fullmatch(r"\[[\d, ]+\]", meta.get("shape", "")):
        raise ValueError(f"{path} does not hold a topodiff complex (format {FORMAT!r})")
    try:
        return from_tensors(json.loads(meta["shape"]), tensors)
    except KeyError as error:
        raise ValueError(f"{path} lacks the array {error}") from None
