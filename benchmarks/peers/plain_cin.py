"""CIN as it is usually written: one row per message, concatenations, one module after another.

Reads the parameters of a ``topodiff.nn.CIN`` (batch norm, relu, no options), so that both compute
the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from topodiff.complexes import CellComplex
from topodiff.nn import CIN, CINLayer, LinearNorm


class PlainCIN(nn.Module):
    """The plain formulation of ``model``, on the same parameters."""

    def __init__(self, model: CIN) -> None:
        super().__init__()
        self.model = model

    def forward(self, K: CellComplex) -> Tensor:
        model = self.model
        x = embed(model, K)
        for layer in model.layers:
            x = cin_layer(layer, K, x)
        pooled = [
            h.new_zeros(K.num_complexes, h.shape[1]).index_add_(0, K.membership(r), h)
            for r, h in enumerate(x)
        ]
        readout = model.readout
        hidden = sum(linear(h).relu() for linear, h in zip(readout.ranks, pooled, strict=True))
        return readout.out(hidden)


def embed(model: CIN, K: CellComplex) -> list[Tensor]:
    """Atoms and bonds from their tables, rings from their atoms through their bonds."""
    tables = model.embedding.features
    atoms = functional.embedding(K.x[0].flatten(), tables["0"].weight)
    bonds = functional.embedding(K.x[1].flatten(), tables["1"].weight)
    on_bonds = boundary_sum(K, 1, atoms)
    return [atoms, bonds, boundary_sum(K, 2, on_bonds) / 2]


def boundary_sum(K: CellComplex, rank: int, x: Tensor) -> Tensor:
    face, cell = K.boundary_index(rank)
    return x.new_zeros(K.num_cells(rank), x.shape[1]).index_add_(0, cell, x[face])


def linear_norm(module: LinearNorm, x: Tensor, group: int = 0) -> Tensor:
    """Linear, batch norm, relu of one of the networks that ``module`` holds side by side."""
    groups = len(module.weight)
    bias, weight, shift, mean, var = (
        t.chunk(groups)[group]
        for t in (
            module.bias,
            module.norm.weight,
            module.norm.bias,
            module.norm.running_mean,
            module.norm.running_var,
        )
    )
    x = functional.linear(x, module.weight[group], bias)
    return functional.batch_norm(x, mean, var, weight, shift, module.training).relu()


def cin_layer(layer: CINLayer, K: CellComplex, x: list[Tensor]) -> list[Tensor]:
    out = []
    for r, h in enumerate(x):
        up = boundary = h
        if r + 1 < len(x):
            pairs, network = K.upper_adjacency(r), layer.upper[r]
            weight = torch.cat([network.weight[0], network.weight[1]], 1)
            pair = torch.cat([h[pairs.source], x[r + 1][pairs.via]], 1)
            sent = functional.linear(pair, weight, network.bias).relu()
            up = h + torch.zeros_like(h).index_add_(0, pairs.target, sent)
        if r:
            boundary = h + boundary_sum(K, r, x[r - 1])
        mlp = layer.mlp[r]
        branches = [
            linear_norm(mlp.second, linear_norm(mlp.first, branch, group), group)
            for group, branch in enumerate((up, boundary))
        ]
        out.append(linear_norm(layer.combine[r], torch.cat(branches, 1)))
    return out
