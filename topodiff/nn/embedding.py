"""From the data on the cells of a complex to one hidden vector per cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral

import torch
from torch import Tensor, nn

from topodiff import kernels
from topodiff.complexes import CellComplex
from topodiff.complexes.colours import Colours, colour_boundaries, colour_pairs, colour_rows
from topodiff.complexes.integers import whole_number, whole_numbers
from topodiff.kernels.checks import check_choice
from topodiff.nn.features import alike, check_finite
from topodiff.nn.messages import boundary_sum
from topodiff.nn.reset import reset_children

InChannels = Mapping[int, int | Sequence[int]]
"""rank -> number of real features, or the numbers of categories of integer columns."""


class CategoricalEmbedding(nn.Module):
    """``h = sum over columns k of E_k[x_k]`` for integer features, ``h = W x + b`` for real ones.

    Args:
        in_channels: the numbers of categories, one per integer column, or the number of real
            features.
        hidden_channels: width of the result.
    """

    offset: Tensor
    size: Tensor

    def __init__(self, in_channels: int | Sequence[int], hidden_channels: int) -> None:
        super().__init__()
        whole_number("hidden_channels", hidden_channels, 1)
        if isinstance(in_channels, Integral):  # also of numpy
            in_channels = whole_number("in_channels", in_channels, 1)
        self.in_channels, self.hidden_channels = in_channels, hidden_channels
        if isinstance(in_channels, int):
            self.linear = nn.Linear(in_channels, hidden_channels)
            return
        size = whole_numbers("numbers of categories", in_channels)
        if size.dim() != 1 or size.numel() == 0 or int(size.min()) < 1:
            raise ValueError(f"every column needs at least one category, got {in_channels}")
        self.weight = nn.Parameter(torch.empty(int(size.sum()), hidden_channels))
        self.register_buffer("size", size, persistent=False)
        self.register_buffer("offset", size.cumsum(0) - size, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Standard normal tables as ``torch.nn.Embedding``; a linear map as ``torch.nn.Linear``."""
        if isinstance(self.in_channels, int):
            self.linear.reset_parameters()
        else:
            nn.init.normal_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Rows of features (n, columns) or (n,) -> (n, hidden_channels).

        Raises:
            TypeError, ValueError: features of the wrong kind or width, or not finite, or a category
                out of range.
        """
        x = x.unsqueeze(1) if x.dim() == 1 else x
        self._check(x)
        if isinstance(self.in_channels, int):
            weight = self.linear.weight
            check_finite(x)
            return self.linear(alike(x, weight)).to(weight.dtype)  # which autocast lowers
        columns = x.shape[1]
        ptr = torch.arange(0, x.numel() + 1, columns, device=x.device)
        return kernels.gather_reduce(self.weight, (x + self.offset).reshape(-1), ptr)

    def _check(self, x: Tensor) -> None:
        width = self.in_channels if isinstance(self.in_channels, int) else len(self.in_channels)
        if x.dim() != 2:
            raise ValueError(f"features must have shape (n, {width}), got {tuple(x.shape)}")
        if x.shape[1] != width:
            raise ValueError(f"expected {width} features per cell, got {x.shape[1]}")
        if x.is_floating_point() != isinstance(self.in_channels, int):
            wanted = "real" if isinstance(self.in_channels, int) else "integer (categorical)"
            raise TypeError(f"expected {wanted} features, got {x.dtype}")
        if not isinstance(self.in_channels, int):
            check_categories(x, self.size)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.hidden_channels}"


def check_categories(x: Tensor, size: Tensor) -> None:
    """ValueError for a category in (n, columns) that is not 0 to ``size - 1`` of its column."""
    bad = (x < 0) | (x >= size)
    if bool(bad.any()):
        row, column = bad.nonzero()[0].tolist()
        count = int(size[column])
        raise ValueError(
            f"row {row}, column {column} holds category {int(x[row, column])}; "
            f"there are {count} (0 to {count - 1})"
        )


def check_ranks(in_channels: InChannels) -> None:
    """TypeError for no mapping of ranks; ValueError where rank 0 is missing."""
    if not isinstance(in_channels, Mapping):
        raise TypeError(
            "in_channels is a mapping from ranks to numbers of features, such as {0: 4} for 4 real "
            f"features on every vertex, got {in_channels!r}"
        )
    for rank in in_channels:
        whole_number("a rank of in_channels", rank, 0)
    if 0 not in in_channels:
        raise ValueError(f"in_channels must describe rank 0, got ranks {sorted(in_channels)}")


def missing_features(rank: int) -> ValueError:
    """Of a model that was made for them."""
    return ValueError(
        f"the model was made for features on the {rank}-cells, but the complex has none: "
        f"give x[{rank}] or leave rank {rank} out of in_channels"
    )


class CellEmbedding(nn.Module):
    """One hidden vector per cell, for all ranks (Bodnar et al. 2021, appendix on molecules).

    Vertices and edges: the embedding of their features. Cells without features of their own get
    the sum (mean) of the embeddings of their vertices; cells of rank >= 2 with features get that
    sum plus the embedding of their features.

    The sum over vertices is computed from faces, ``s_c = (1/r) sum over faces of s``, exact for
    simplices and 2-cells of any size; for polytopes of rank >= 3 that are not simplices a vertex
    weighs as often as it lies in faces.

    Args:
        in_channels: rank -> numbers of categories of the integer columns, or number of real
            features. Rank 0 is needed.
        hidden_channels: width of the result.
        max_rank: cells above it are not used.
        init_reduce: ``"sum"`` or ``"mean"`` over the vertices of a cell.
        dropout: probability of an entry to be zeroed.
    """

    def __init__(
        self,
        in_channels: InChannels,
        hidden_channels: int,
        max_rank: int,
        init_reduce: str = "sum",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("init_reduce", init_reduce, ("sum", "mean"))
        check_ranks(in_channels)
        whole_number("max_rank", max_rank, 0)
        self.hidden_channels, self.max_rank = hidden_channels, max_rank
        self.init_reduce = init_reduce
        self.features = nn.ModuleDict(
            {
                str(r): CategoricalEmbedding(n, hidden_channels)
                for r, n in sorted(in_channels.items())
                if r <= max_rank
            }
        )
        self.dropout = nn.Dropout(dropout)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex) -> list[Tensor]:
        """Vectors (n_r, hidden_channels) of the ranks r = 0..min(K.rank, max_rank).

        Raises:
            ValueError: where features that the model was made for are missing.
        """
        top = min(K.rank, self.max_rank)
        own = {r: self._own(K, r) for r in range(top + 1) if str(r) in self.features}
        total = own[0]
        embedded = [total]
        for r in range(1, top + 1):
            if r > 1 or r < top or r not in own:
                total = vertex_sum(K, r, total)
            if r == 1 and r in own:
                embedded.append(own[r])
            else:
                mean = total / num_vertices(K, r, total) if self.init_reduce == "mean" else total
                embedded.append(mean + own[r] if r in own else mean)
        return [self.dropout(h) for h in embedded]

    def colours(self, K: CellComplex) -> list[Colours] | None:
        """Cells of the same colour get the same vector. None where features are real numbers, or
        such that :meth:`forward` says what is wrong."""
        top = min(K.rank, self.max_rank)
        own = {}
        for r in range(top + 1):
            if str(r) in self.features:
                x = K.x.get(r)
                if x is None or x.is_floating_point() or x.dim() > 2:
                    return None
                own[r] = colour_rows(x)
        total = own[0]
        found = [total]
        for r in range(1, top + 1):
            total = colour_boundaries(K, r, None, total.of)
            if r == 1 and r in own:
                found.append(own[r])
            else:
                found.append(colour_pairs(total.of, own[r].of) if r in own else total)
        return found

    def _own(self, K: CellComplex, rank: int) -> Tensor:
        x = K.x.get(rank)
        if x is None and K.num_cells(rank):
            raise missing_features(rank)
        if x is None:
            return next(self.parameters()).new_zeros(0, self.hidden_channels)
        return self.features[str(rank)](x)


def vertex_sum(K: CellComplex, rank: int, below: Tensor) -> Tensor:
    """Sums over the vertices of r-cells from those of their faces, ``(1/r) sum over faces``."""
    total = boundary_sum(K, rank, below)
    return total / rank if rank > 1 else total


def num_vertices(K: CellComplex, rank: int, like: Tensor) -> Tensor:
    """(n_rank, 1) the weight of all vertices of a cell in :func:`vertex_sum`."""
    count = like.new_ones(K.num_cells(0), 1)
    for r in range(1, rank + 1):
        count = vertex_sum(K, r, count)
    return count
