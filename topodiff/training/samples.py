"""What a model is trained on: complexes, targets and optional features of whole complexes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_numbers


@dataclass(frozen=True)
class Samples:
    """A data set: ``complexes`` is a batched complex of n complexes.

    Args:
        complexes: n complexes in one batch.
        y: (n, columns) targets, NaN for missing; None where only predictions are wanted. Kept as
            float64.
        features: (n, width) numbers that describe each complex as a whole, or None.
        lines: (n,) line of the file from which each complex comes, for messages.
        feature_names: (width,) names of the features, or None.
    """

    complexes: CellComplex
    y: Tensor | None = None
    features: Tensor | None = None
    lines: Sequence[int] | None = None
    feature_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        n = len(self.complexes)
        for name in ("y", "features"):
            tensor = getattr(self, name)
            if tensor is not None and (tensor.ndim != 2 or len(tensor) != n):
                raise ValueError(
                    f"{name} of {n} complexes has shape ({n}, columns), got {tuple(tensor.shape)}"
                )
        if self.lines is not None and len(self.lines) != n:
            raise ValueError(f"{n} complexes and {len(self.lines)} lines")
        width = 0 if self.features is None else self.features.shape[1]
        if self.feature_names is not None and len(self.feature_names) != width:
            raise ValueError(f"{width} features and {len(self.feature_names)} names of them")
        if self.y is not None:
            object.__setattr__(self, "y", self.y.double())

    def __len__(self) -> int:
        return len(self.complexes)

    def select(self, indices: Sequence[int] | Tensor) -> Samples:
        """The samples of these numbers, in this order; TypeError for masks."""
        which = whole_numbers("numbers of samples (masks are none)", indices)
        return Samples(
            self.complexes.select(which),
            None if self.y is None else self.y[which],
            None if self.features is None else self.features[which],
            None if self.lines is None else [self.lines[i] for i in which.tolist()],
            self.feature_names,
        )

    def to(self, device: torch.device | str) -> Samples:
        """The same on another device."""
        return Samples(
            self.complexes.to(device),
            None if self.y is None else self.y.to(device),
            None if self.features is None else self.features.to(device),
            self.lines,
            self.feature_names,
        )

    def digest(self) -> str:
        """SHA-256 of cells, data, targets and features: tells whether data sets are the same."""
        found = hashlib.sha256(repr(self.complexes).encode())
        K = self.complexes
        boundaries = [K.boundary_index(r) for r in range(1, K.rank + 1)]
        tensors = [*K.ptr, *boundaries, *(x for _, x in sorted(K.x.items()))]
        for tensor in (*tensors, self.y, self.features):
            if tensor is not None:
                found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()
