"""The layers of CIN as published: one row per message, concatenations, plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from topodiff.complexes import CellComplex
from topodiff.kernels.activations import activate
from topodiff.nn import MLP, CINLayer, ConcatLinear, NormActivation


def norm_activation(module: NormActivation, x: Tensor) -> Tensor:
    if module.norm == "layer":
        x = functional.layer_norm(x, (module.channels,), module.weight, module.bias, module.eps)
    if module.norm == "batch":
        seen = None if module.training and len(x) > 1 else module.running_mean
        var = None if seen is None else module.running_var
        use_batch = seen is None
        x = functional.batch_norm(
            x, seen, var, module.weight, module.bias, use_batch, 0.1, module.eps
        )
    return activate(x, module.activation)


def mlp(module: MLP, x: Tensor) -> Tensor:
    for linear, norm in ((module[0], module[1]), (module[2], module[3])):
        x = norm_activation(norm, functional.linear(x, linear.weight, linear.bias))
    return x


def concat_linear(module: ConcatLinear, parts: list[Tensor]) -> Tensor:
    return functional.linear(torch.cat(parts, 1), torch.cat(list(module.weights), 1), module.bias)


def messages(layer: CINLayer, network: ConcatLinear | None, adjacency, x: Tensor, via: Tensor):
    sent = x[adjacency.source]
    if network is not None:
        sent = activate(concat_linear(network, [sent, via[adjacency.via]]), layer.activation)
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
        branches = [mlp(layer.upper_mlp[r], h + up), mlp(layer.boundary_mlp[r], h + bd)]
        if layer.lower_messages:
            if r > 0:
                network = layer.lower[r - 1] if layer.coface_features else None
                down = messages(layer, network, K.lower_adjacency(r), h, x[r - 1])
            branches.append(mlp(layer.lower_mlp[r], h + down))
        out.append(norm_activation(layer.norm[r], concat_linear(layer.combine[r], branches)))
    return out
