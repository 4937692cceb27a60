"""torch-scatter, where it is installed, as one more implementation of the reductions.

torch-scatter reads its indices unchecked, so they are checked here first.
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


def segment_extreme(x: Tensor, ptr: Tensor, largest: bool, where: bool) -> tuple[Tensor, Tensor]:
    check_ptr(ptr, x.shape[0])
    import torch_scatter

    reduce = torch_scatter.segment_max_csr if largest else torch_scatter.segment_min_csr
    out, entry = reduce(x, ptr.long())
    return out, entry.masked_fill_(entry == x.shape[0], -1) if where else entry.new_empty(0)


def scatter_sum(x: Tensor, index: Tensor, num_segments: int, mean: bool) -> Tensor:
    check_index(index, num_segments)
    import torch_scatter

    reduce = "mean" if mean else "sum"
    return torch_scatter.scatter(x, index.long(), 0, dim_size=num_segments, reduce=reduce)


def scatter_extreme(
    x: Tensor, index: Tensor, num_segments: int, largest: bool, where: bool
) -> tuple[Tensor, Tensor]:
    check_index(index, num_segments)
    import torch_scatter

    reduce = torch_scatter.scatter_max if largest else torch_scatter.scatter_min
    out, entry = reduce(x, index.long(), 0, dim_size=num_segments)
    return out, entry.masked_fill_(entry == x.shape[0], -1) if where else entry.new_empty(0)


_OPERATIONS = (segment_sum, segment_extreme, scatter_sum, scatter_extreme)


def load() -> Implementation:
    try:
        import torch_scatter  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: built for another PyTorch
        raise ImportError(f"torch-scatter cannot be imported: {error}") from error
    dtypes = frozenset({torch.float32, torch.float64})
    return Implementation("torch_scatter", {f.__name__: f for f in _OPERATIONS}, dtypes=dtypes)
