"""Complexes as named tensors, and as safetensors files (no pickle, memory-mapped, atomic)."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from topodiff.complexes.files import replacing

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
    """Write a file that is whole or absent; see :func:`topodiff.complexes.files.replacing`."""
    from safetensors.torch import save_file

    path = Path(path)
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} into")
    tensors = {k: t.detach().cpu().contiguous().clone() for k, t in to_tensors(complex).items()}
    shape = json.dumps(complex.shape)
    meta = {"format": FORMAT, "shape": shape, "checksum": _checksum(shape, tensors)}
    with replacing(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode  # what the user's umask allows; save_file makes it 0600
        try:
            save_file(tensors, temporary, meta)
        except KeyError as error:
            raise TypeError(f"safetensors files hold no {error}: convert the data first") from None
        temporary.chmod(mode)


def _checksum(shape: str, tensors: Mapping[str, Tensor]) -> str:
    """CRC-32 of everything in a file; safetensors itself checks only that its header is sound."""
    crc = zlib.crc32(shape.encode())
    for name, tensor in sorted(tensors.items()):
        crc = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), crc)
        if tensor.numel():  # an empty tensor may have strides that cannot be viewed as bytes
            crc = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, crc)
    return f"{crc:08x}"


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
    if meta.get("checksum") != _checksum(meta["shape"], tensors):
        raise ValueError(f"{path} is damaged: its content does not match its checksum")
    return from_tensors(json.loads(meta["shape"]), tensors)
