"""Scaling of features that describe whole complexes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FeatureScaler:
    """``clamp((s(x) - mean) / std, -limit, limit)`` with ``s(x) = sign(x) log(1 + |x|)``.

    Descriptors of molecules differ by many orders of magnitude and have heavy tails; after this
    none can push a prediction far out of what was seen in training. Missing values become the
    mean. Columns that do not vary in the training set are left out.
    """

    mean: Tensor
    std: Tensor
    limit: float = 4.0

    @classmethod
    def fit(cls, features: Tensor) -> FeatureScaler:
        """Means and deviations of the *training* features (n, width)."""
        values = _squash(features)
        known = values.isfinite()
        count = known.sum(0).clamp(min=1)
        mean = values.where(known, 0.0).sum(0) / count
        variance = (values - mean).where(known, 0.0).square().sum(0) / count
        return cls(mean.float(), variance.sqrt().float())

    def __call__(self, features: Tensor) -> Tensor:
        """(n, width) -> (n, number of columns that vary), float32."""
        keep = self.std > 1e-6
        scaled = (_squash(features)[:, keep] - self.mean[keep]) / self.std[keep]
        return scaled.nan_to_num(0.0).clamp(-self.limit, self.limit).float()

    @property
    def width(self) -> int:
        """Number of columns after scaling."""
        return int((self.std > 1e-6).sum())


def _squash(features: Tensor) -> Tensor:
    x = features.double()
    x = torch.where(x.isfinite(), x, torch.nan)
    return x.sign() * x.abs().log1p()
