"""The operations that benchmarks/kernels.py times, each with its peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from topodiff import kernels

try:
    import torch_scatter
except (ImportError, OSError):
    torch_scatter = None

Function = Callable[..., Tensor]


@dataclass
class Problem:
    """Entries in sorted segments, each naming a random row; rows are as many as segments."""

    nnz: int
    channels: int
    ptr: Tensor
    segment: Tensor
    index: Tensor
    index_ptr: Tensor
    by_index: Tensor
    entries: Tensor
    rows: Tensor
    weight: Tensor

    @property
    def n(self) -> int:
        return self.ptr.shape[0] - 1


def make_problem(nnz: int, channels: int) -> Problem:
    g = torch.Generator().manual_seed(0)
    n = max(1, nnz // 8)
    segment = torch.randint(0, n, (nnz,), generator=g).sort().values
    index = torch.randint(0, n, (nnz,), generator=g)
    ptr, _ = kernels.sort_by_key(segment, n)
    index_ptr, by_index = kernels.sort_by_key(index, n)
    entries = torch.randn(nnz, channels, generator=g)
    rows, weight = torch.randn(n, channels, generator=g), torch.randn(nnz, generator=g)
    return Problem(nnz, channels, ptr, segment, index, index_ptr, by_index, entries, rows, weight)


@dataclass
class Case:
    name: str
    inputs: Callable[[Problem], list[Tensor]]
    ours: Callable[[Problem], Function]
    peers: Callable[[Problem], dict[str, Function]]
    limit: str = ""  # the bandwidth it is measured against
    bytes_moved: Callable[[Problem], int] = lambda p: 0
    forward_only: tuple[str, ...] = field(default_factory=tuple)


def _entries(p: Problem) -> list[Tensor]:
    return [p.entries]


def _wide(index: Tensor, x: Tensor) -> Tensor:
    return index[:, None].expand_as(x)


def _sum_peers(p: Problem, index: Tensor, is_sorted: bool, reduce: str) -> dict[str, Function]:
    """Peers of a sum, mean or maximum of entries by index."""
    extreme = {"max": "amax"}.get(reduce, reduce)
    peers: dict[str, Function] = {
        "scatter_reduce": lambda x: x.new_zeros(p.n, p.channels).scatter_reduce(
            0, _wide(index, x), x, extreme, include_self=False
        )
    }
    if reduce == "sum":
        peers["index_add"] = lambda x: x.new_zeros(p.n, p.channels).index_add(0, index, x)
        peers["scatter_add"] = lambda x: x.new_zeros(p.n, p.channels).scatter_add(
            0, _wide(index, x), x
        )
    if is_sorted:
        initial = 0 if reduce == "max" else None
        if initial is None:
            peers["segment_reduce"] = lambda x: torch.segment_reduce(
                x, reduce, offsets=p.ptr, axis=0, initial=0 if reduce == "sum" else None
            ).nan_to_num()
    if torch_scatter is not None:
        if is_sorted:
            peers["torch_scatter"] = lambda x: torch_scatter.segment_csr(x, p.ptr, reduce=reduce)
        else:
            peers["torch_scatter"] = lambda x: torch_scatter.scatter(
                x, index, 0, dim_size=p.n, reduce=reduce
            )
    return peers


def _segment_case(reduce: str) -> Case:
    return Case(
        f"segment {reduce}",
        _entries,
        lambda p: lambda x: kernels.segment_reduce(x, p.ptr, reduce),
        lambda p: _sum_peers(p, p.segment, True, reduce),
        "copy",
        lambda p: 4 * p.channels * (p.nnz + p.n) + 8 * p.n,
    )


def _scatter_case(reduce: str) -> Case:
    return Case(
        f"scatter {reduce}",
        _entries,
        lambda p: lambda x: kernels.scatter_reduce(x, p.index, p.n, reduce),
        lambda p: _sum_peers(p, p.index, False, reduce),
        "gather",
        lambda p: 4 * p.channels * (p.nnz + p.n) + 8 * p.nnz,
    )


def _softmax_peers(p: Problem) -> dict[str, Function]:
    def composed(x: Tensor) -> Tensor:
        wide = _wide(p.segment, x)
        top = x.detach().new_zeros(p.n, p.channels)
        top = top.scatter_reduce(0, wide, x.detach(), "amax", include_self=False)
        e = (x - top.index_select(0, p.segment)).exp()
        total = x.new_zeros(p.n, p.channels).index_add(0, p.segment, e)
        return e / total.index_select(0, p.segment)

    peers: dict[str, Function] = {"torch": composed}
    if torch_scatter is not None:
        peers["torch_scatter"] = lambda x: torch_scatter.composite.scatter_softmax(x, p.segment, 0)
    return peers


def _weights_peers(p: Problem) -> dict[str, Function]:
    def positive(x: Tensor) -> Tensor:
        return x + (x.square() + 4).sqrt()

    def composed(x: Tensor) -> Tensor:
        f = positive(x)
        total = x.new_zeros(p.n, p.channels).index_add(0, p.segment, f)
        return (f / total.index_select(0, p.segment)).mean(1)

    def scatter(x: Tensor) -> Tensor:
        f = positive(x)
        total = torch_scatter.gather_csr(torch_scatter.segment_csr(f, p.ptr), p.ptr)
        return (f / total).mean(1)

    peers: dict[str, Function] = {"torch": composed}
    return peers if torch_scatter is None else {**peers, "torch_scatter": scatter}


def _gather_peers(p: Problem) -> dict[str, Function]:
    def plain(x: Tensor, w: Tensor) -> Tensor:
        messages = x.index_select(0, p.index) * w[:, None]
        return x.new_zeros(p.n, p.channels).index_add(0, p.segment, messages)

    def bag(x: Tensor, w: Tensor) -> Tensor:
        return embedding_bag(p.index, x, p.ptr[:-1], mode="sum", per_sample_weights=w)

    def sparse(x: Tensor, w: Tensor) -> Tensor:
        return torch.sparse_csr_tensor(p.ptr, p.index, w, (p.n, p.n), check_invariants=False) @ x

    peers: dict[str, Function] = {"index_add": plain, "embedding_bag": bag, "sparse_csr": sparse}
    if torch_scatter is not None:
        peers["torch_scatter"] = lambda x, w: torch_scatter.segment_csr(
            x.index_select(0, p.index) * w[:, None], p.ptr, reduce="sum"
        )
    return peers


def _incidence_ours(p: Problem) -> Function:
    arrays = (p.index, p.segment, p.weight, p.ptr, p.index_ptr, p.by_index)
    return lambda x: kernels.incidence_matmul(x, *arrays, transpose=True)


def _fixed_weight(p: Problem) -> dict[str, Function]:
    matrix = torch.sparse_csr_tensor(p.ptr, p.index, p.weight, (p.n, p.n), check_invariants=False)
    peers = {
        name: (lambda x, f=f: f(x, p.weight))
        for name, f in _gather_peers(p).items()
        if name != "sparse_csr"
    }
    return {**peers, "sparse_csr": lambda x: matrix @ x}


def _coface_peers(p: Problem) -> dict[str, Function]:
    """The same message with one row per incidence, in plain PyTorch and with torch-scatter."""

    def plain(a: Tensor, b: Tensor) -> Tensor:
        z = (a.index_select(0, p.index) + b.index_select(0, p.segment)).relu()
        total = z.new_zeros(p.n, p.channels).index_add(0, p.segment, z)
        others = total.index_select(0, p.segment) - z
        return z.new_zeros(p.n, p.channels).index_add(0, p.index, others)

    def scatter(a: Tensor, b: Tensor) -> Tensor:
        z = (a.index_select(0, p.index) + torch_scatter.gather_csr(b, p.ptr)).relu()
        others = torch_scatter.gather_csr(torch_scatter.segment_csr(z, p.ptr), p.ptr) - z
        return torch_scatter.scatter(others, p.index, 0, dim_size=p.n)

    peers: dict[str, Function] = {"torch": plain}
    return peers if torch_scatter is None else {**peers, "torch_scatter": scatter}


CASES = [
    *[_segment_case(reduce) for reduce in ("sum", "mean", "max")],
    Case(
        "segment softmax",
        _entries,
        lambda p: lambda x: kernels.segment_softmax(x, p.ptr),
        _softmax_peers,
        "copy",
        lambda p: 8 * p.channels * p.nnz + 8 * p.n,
    ),
    Case(
        "segment weights (squareplus)",
        _entries,
        lambda p: lambda x: kernels.segment_weights(x, p.ptr, squash="squareplus"),
        _weights_peers,
        "copy",
        lambda p: 4 * p.nnz * (p.channels + 1) + 8 * p.n,
    ),
    *[_scatter_case(reduce) for reduce in ("sum", "mean", "max")],
    Case(
        "weighted gather sum",
        lambda p: [p.rows, p.weight],
        lambda p: lambda x, w: kernels.gather_reduce(x, p.index, p.ptr, w),
        _gather_peers,
        "gather",
        lambda p: 4 * p.channels * (p.nnz + p.n) + 12 * p.nnz,
        forward_only=("sparse_csr",),  # its gradient of the weights builds a dense matrix
    ),
    Case(
        "coboundary",
        lambda p: [p.rows],
        _incidence_ours,
        _fixed_weight,
        "gather",
        lambda p: 4 * p.channels * (p.nnz + p.n) + 12 * p.nnz,
    ),
    Case(
        "coface message (relu)",
        lambda p: [p.rows, p.rows.flip(0)],
        lambda p: (
            lambda a, b: kernels.coface_message(
                a, b, p.index, p.ptr, p.index_ptr, p.by_index, "relu"
            )
        ),
        _coface_peers,
        "gather",
        lambda p: 4 * p.channels * (2 * p.nnz + p.n) + 8 * p.nnz,
    ),
]
