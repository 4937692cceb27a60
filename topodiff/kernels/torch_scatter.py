"""torch-scatter, where it is installed, as one more implementation of sums and means.

torch-scatter reads its indices unchecked, so they are checked here first. Its extremes are left
out: they pass over NaN, and take segments whose entries are all infinite for empty ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from topodiff.kernels.backend import Implementation
from topodiff.kernels.reference import check_index, check_ptr


def segment_sum(x: Tensor, ptr: Tensor, mean: bool) -> Tensor:
    check_ptr(ptr, x.shape[0])
    import torch_scatter

    return torch_scatter.segment_csr(x, ptr.long(), reduce="mean" if mean else "sum")


def scatter_sum(x: Tensor, index: Tensor, num_segments: int, mean: bool) -> Tensor:
    check_index(index, num_segments)
    import torch_scatter

    reduce = "mean" if mean else "sum"
    return torch_scatter.scatter(x, index.long(), 0, dim_size=num_segments, reduce=reduce)


_OPERATIONS = (segment_sum, scatter_sum)


def load() -> Implementation:
    try:
        import torch_scatter  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: built for another PyTorch
        raise ImportError(f"torch-scatter cannot be imported: {error}") from error
    dtypes = frozenset({torch.float32, torch.float64})
    return Implementation("torch_scatter", {f.__name__: f for f in _OPERATIONS}, dtypes=dtypes)
