"""Scaling of features that describe whole complexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FeatureScaler:
    """``clamp((s(x) - mean) / std, -limit, limit)`` with ``s(x) = sign(x) log(1 + |x|)``.

    Descriptors of molecules differ by many orders of magnitude and have heavy tails; after this
    none can push a prediction far out of what was seen in training. Missing values become the
    mean. Columns that do not vary in the training set are left out.

    ``names`` of the columns, where they are known, say which is which: later features may come in
    another order, and more of them.
    """

    mean: Tensor
    std: Tensor
    limit: float = 4.0
    names: Sequence[str] | None = None

    @classmethod
    def fit(cls, features: Tensor, names: Sequence[str] | None = None) -> FeatureScaler:
        """Means and deviations of the *training* features (n, width)."""
        values = _squash(features)
        known = values.isfinite()
        count = known.sum(0).clamp(min=1)
        mean = values.where(known, 0.0).sum(0) / count
        variance = (values - mean).where(known, 0.0).square().sum(0) / count
        names = None if names is None else [*names]
        return cls(mean.float(), variance.sqrt().float(), names=names)

    def __call__(self, features: Tensor, names: Sequence[str] | None = None) -> Tensor:
        """(n, width) -> (n, number of columns that vary), float32.

        Raises:
            ValueError: a column of the training features is missing; without names on both sides,
                another number of columns.
        """
        features = self._ordered(features, names)
        keep = self.std > 1e-6
        scaled = (_squash(features)[:, keep] - self.mean[keep]) / self.std[keep]
        return scaled.nan_to_num(0.0).clamp(-self.limit, self.limit).float()

    def _ordered(self, features: Tensor, names: Sequence[str] | None) -> Tensor:
        """The columns of the training features, in their order."""
        if names is not None and self.names is not None:
            place = {name: i for i, name in enumerate(names)}
            if missing := [name for name in self.names if name not in place]:
                raise ValueError(
                    f"the models know {len(missing)} features that are missing here, such as "
                    f"{missing[0]!r}"
                )
            features = features[:, [place[name] for name in self.names]]
        if features.shape[1] != len(self.mean):
            raise ValueError(
                f"the models know {len(self.mean)} features of whole complexes, "
                f"got {features.shape[1]}"
            )
        return features

    @property
    def width(self) -> int:
        """Number of columns after scaling."""
        return int((self.std > 1e-6).sum())


def _squash(features: Tensor) -> Tensor:
    x = features.double()
    x = torch.where(x.isfinite(), x, torch.nan)
    return x.sign() * x.abs().log1p()
