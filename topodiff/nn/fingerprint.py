"""Circular fingerprints and the network on them, a strong and cheap baseline for molecules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral

import torch
from torch import Tensor, nn

from topodiff.complexes import CellComplex
from topodiff.complexes.integers import whole_number
from topodiff.nn.activation import NormActivation
from topodiff.nn.embedding import InChannels, check_categories, check_ranks, missing_features
from topodiff.nn.features import check_complex
from topodiff.nn.reset import reset_children
from topodiff.nn.vertex_model import check_arguments, check_not_negative

_ODD = (-7046029254386353131, -4658895280553007687, -7723592293110705685)  # of splitmix64


def mix(h: Tensor) -> Tensor:
    """A bijection of 64-bit integers that spreads every bit over all (splitmix64, Steele 2014)."""
    h = h + _ODD[0]
    h = (h ^ _shift(h, 30)) * _ODD[1]
    h = (h ^ _shift(h, 27)) * _ODD[2]
    return h ^ _shift(h, 31)


def _shift(h: Tensor, bits: int) -> Tensor:
    return (h >> bits) & ((1 << (64 - bits)) - 1)


def hash_rows(x: Tensor) -> Tensor:
    """(n,) 64-bit hash of the integer rows of (n, columns), of any width."""
    x = x.long()
    h = x.new_zeros(len(x))
    for column in x.reshape(len(x), math.prod(x.shape[1:])).T:
        h = mix(h + column)
    return h


class CircularFingerprint(nn.Module):
    """Counts of the neighbourhoods of all vertices, folded to ``size`` numbers per complex.

        c_v(0)   = hash(x_v)
        c_v(t+1) = hash(c_v(t), sum over edges vw of hash(c_w(t), x_vw))

    Every ``c_v(t)``, t = 0..radius, adds one to entry ``c_v(t) mod size``: the scheme of Morgan
    (1965) and of extended-connectivity fingerprints (Rogers and Hahn 2010) on whatever categorical
    features the complex carries on vertices and edges.

    Args:
        size: number of entries, at least 1.
        radius: number of rounds, at least 0.
    """

    def __init__(self, size: int = 2048, radius: int = 2) -> None:
        super().__init__()
        self.size = whole_number("size", size, 1)
        self.radius = whole_number("radius", radius, 0)

    def forward(self, K: CellComplex) -> Tensor:
        """(num_complexes, size) counts, in the default floating-point type."""
        member = K.membership(0)
        counts = torch.zeros(K.num_complexes * self.size, device=member.device)
        for color in self.colors(K):
            entry = member * self.size + color.remainder(self.size)
            counts.index_add_(0, entry, counts.new_ones(len(entry)))
        return counts.reshape(K.num_complexes, self.size)

    def colors(self, K: CellComplex) -> list[Tensor]:
        """(n_0,) 64-bit colours of the vertices, for every radius 0..radius."""
        for r, x in K.x.items():
            if r < 2 and x.is_floating_point():
                raise TypeError(f"fingerprints need categorical features, but x[{r}] is {x.dtype}")
        if 0 not in K.x:
            raise ValueError("fingerprints need features of the vertices, but x[0] is missing")
        tail, head = K.edge_index
        edge = hash_rows(K.x[1]) if 1 in K.x else torch.zeros_like(tail)
        color = hash_rows(K.x[0])
        found = [color]
        for _ in range(self.radius):
            around = torch.zeros_like(color)
            around.index_add_(0, tail, mix(mix(color[head]) + edge))
            around.index_add_(0, head, mix(mix(color[tail]) + edge))
            color = mix(mix(color) + around)
            found.append(color)
        return found

    def extra_repr(self) -> str:
        return f"size={self.size}, radius={self.radius}"


class FingerprintMLP(nn.Module):
    """A network on circular fingerprints, with the interface of the other models.

    ``log(1 + counts)``, then ``num_layers`` of (Linear, norm, activation, dropout), then Linear.

    Args:
        in_channels: ranks and categories of the features, as for the other models; must be
            categorical.
        hidden_channels, out_channels: widths.
        num_layers: number of hidden layers.
        size, radius: of the :class:`CircularFingerprint`.
        norm, activation: as for :class:`NormActivation`.
        dropout: probability after every hidden layer.
    """

    def __init__(
        self,
        in_channels: InChannels,
        hidden_channels: int,
        out_channels: int,
        num_layers: int = 2,
        *,
        size: int = 2048,
        radius: int = 2,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_ranks(in_channels)
        check_arguments(dropout, hidden_channels=hidden_channels, out_channels=out_channels)
        check_not_negative(num_layers=num_layers)
        self.sizes: dict[int, Sequence[int]] = {}
        for r, sizes in in_channels.items():
            if r > 1:
                continue
            if isinstance(sizes, int | Integral):
                raise TypeError(f"fingerprints need categorical features, not real ones: rank {r}")
            self.sizes[r] = tuple(sizes)
        self.fingerprint = CircularFingerprint(size, radius)
        widths = [size] + [hidden_channels] * num_layers
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(i, o), NormActivation(o, norm, activation), nn.Dropout(dropout))
            for i, o in pairwise(widths)
        )
        self.out = nn.Linear(widths[-1], out_channels)

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        reset_children(self)

    def forward(self, K: CellComplex) -> Tensor:
        """A batched complex -> (num_complexes, out_channels).

        Raises:
            TypeError, ValueError: for what is no complex; features that are missing, of the wrong
                kind or width, or a category out of range.
        """
        check_complex(K)
        for r, sizes in self.sizes.items():
            if r in K.x:
                self._check(K.x[r], sizes)
            elif K.num_cells(r):
                raise missing_features(r)
        h = self.fingerprint(K).to(self.out.weight.dtype).log1p()
        for layer in self.layers:
            h = layer(h)
        return self.out(h)

    def _check(self, x: Tensor, sizes: Sequence[int]) -> None:
        x = x.unsqueeze(1) if x.dim() == 1 else x
        if x.dim() != 2 or x.shape[1] != len(sizes):
            raise ValueError(f"features must have shape (n, {len(sizes)}), got {tuple(x.shape)}")
        check_categories(x, torch.tensor(sizes, device=x.device))
