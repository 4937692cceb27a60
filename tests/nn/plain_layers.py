"""The layers of CIN as published: one row per message, concatenations, plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from topodiff.complexes import CellComplex
from topodiff.kernels.activations import activate
from topodiff.nn import MLP, CINLayer, LinearNorm, NormActivation
from topodiff.nn.linear import SplitLinear


def norm_activation(module: NormActivation, x: Tensor, group: int) -> Tensor:
    """One group of channels."""
    columns = slice(group * module.channels, (group + 1) * module.channels)
    if module.norm == "layer":
        weight, bias = module.weight[columns], module.bias[columns]
        x = functional.layer_norm(x, (module.channels,), weight, bias, module.eps)
    if module.norm == "batch":
        weight, bias = module.weight[columns], module.bias[columns]
        mean = var = None
        if not module.training or len(x) < 2:
            mean, var = module.running_mean[columns], module.running_var[columns]
        x = functional.batch_norm(x, mean, var, weight, bias, mean is None, 0.1, module.eps)
    return activate(x, module.activation)


def linear_norm(module: LinearNorm, x: Tensor, group: int = 0) -> Tensor:
    bias = module.bias.chunk(len(module.weight))[group]
    return norm_activation(module.norm, functional.linear(x, module.weight[group], bias), group)


def mlp(module: MLP, x: Tensor, group: int) -> Tensor:
    return linear_norm(module.second, linear_norm(module.first, x, group), group)


def messages(layer: CINLayer, network: SplitLinear | None, adjacency, x: Tensor, via: Tensor):
    sent = x[adjacency.source]
    if network is not None:
        pair = torch.cat([sent, via[adjacency.via]], 1)
        weight = torch.cat([network.weight[0], network.weight[1]], 1)
        sent = activate(functional.linear(pair, weight, network.bias), layer.activation)
    return torch.zeros_like(x).index_add_(0, adjacency.target, sent)


def cin_layer(layer: CINLayer, K: CellComplex, x: list[Tensor]) -> list[Tensor]:
    out = []
    for r, h in enumerate(x):
        up, bd, down = torch.zeros_like(h), torch.zeros_like(h), torch.zeros_like(h)
        if r + 1 < len(x):
            network = layer.upper[r] if layer.coface_features else None
            up = messages(layer, network, K.upper_adjacency(r), h, x[r + 1])
        if r > 0:
            face, cell = K.boundary_index(r)
            bd = bd.index_add(0, cell, x[r - 1][face])
        branches = [mlp(layer.mlp[r], h + up, 0), mlp(layer.mlp[r], h + bd, 1)]
        if layer.lower_messages:
            if r > 0:
                network = layer.lower[r - 1] if layer.coface_features else None
                down = messages(layer, network, K.lower_adjacency(r), h, x[r - 1])
            branches.append(mlp(layer.mlp[r], h + down, 2))
        out.append(linear_norm(layer.combine[r], torch.cat(branches, 1)))
    return out
