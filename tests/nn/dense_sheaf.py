"""The published equations of neural sheaf diffusion, transcribed with dense matrices and loops."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import elu

from topodiff.complexes import CellComplex
from topodiff.nn import FrameLearner, NeuralSheafDiffusion, SheafLearner
from topodiff.sheaves import Orthogonal


def maps_and_weight(learner: SheafLearner, x: Tensor, v: int, u: int) -> tuple[Tensor, Tensor]:
    """``F_{v<e}`` (d, d) for e = {v, u}, and the weight of e, from x (n, d', channels)."""
    d, name = learner.family.stalk_dim, learner.family.name
    if learner.kind == "sum":
        pair = torch.cat([x[v].sum(0), x[u].sum(0)])
    else:
        pair = torch.cat([x[v].flatten(), x[u].flatten()])
    matrix = torch.eye(d, dtype=x.dtype)
    if learner.weight is not None:
        of_pair = torch.cat([learner.weight[0], learner.weight[1]], 1)
        params = of_pair @ pair
        if learner.kind == "attention":
            return matrix - params.reshape(d, d).softmax(1), torch.ones(())
        params = params.tanh()
        if name == "scalar":
            matrix = params * matrix
        elif name == "diagonal":
            matrix = torch.diag(params)
        elif name == "general":
            matrix = params.reshape(d, d)
        elif name == "orthogonal":
            matrix = householder(params, d)
        else:
            matrix = Orthogonal(d, learner.family.rotation.method)(torch.pi * params)
    weight = torch.ones(())
    if learner.edge_weight is not None:
        a = torch.cat([learner.edge_weight[0, 0], learner.edge_weight[1, 0]])
        back = torch.cat([x[u].flatten(), x[v].flatten()])
        there = torch.cat([x[v].flatten(), x[u].flatten()])
        weight = (a @ there).sigmoid() * (a @ back).sigmoid()
    return matrix, weight


def frame(learner: FrameLearner, K: CellComplex, x: Tensor, v: int) -> Tensor:
    """``O_v`` (d, d) of a flat bundle."""
    tail, head = K.edge_index
    around = torch.cat([head[tail == v], tail[head == v]])
    mean = x[around].mean(0) if len(around) else torch.zeros_like(x[v])
    params = learner.weight[0] @ x[v].flatten() + learner.weight[1] @ mean.flatten()
    return learner.family(params.tanh())


def householder(params: Tensor, d: int) -> Tensor:
    """Product of reflections along the columns of a unit lower triangular matrix."""
    lower = torch.eye(d, dtype=params.dtype)
    place = 0
    for j in range(d):
        for i in range(j + 1, d):
            lower = lower.index_put((torch.tensor(i), torch.tensor(j)), params[place])
            place += 1
    q = torch.eye(d, dtype=params.dtype)
    for v in lower.T:
        q = q @ (torch.eye(d, dtype=params.dtype) - 2 * torch.outer(v, v) / (v @ v))
    return q


def laplacian(model: NeuralSheafDiffusion, layer, learner, K: CellComplex, x: Tensor) -> Tensor:
    """(n d', n d') normalised Laplacian of the sheaf learnt from x, with the fixed filters."""
    n, whole = K.shape[0], model.stalk_dim
    d = learner.family.stalk_dim
    rows = []
    for u, v in K.edge_index.T.tolist():
        row = torch.zeros(d, n, d, dtype=x.dtype)
        if model.flat:
            of_u, of_v = frame(learner, K, x, u), frame(learner, K, x, v)
            weight = torch.ones(())
        else:
            of_u, weight = maps_and_weight(learner, x, u, v)
            of_v, _ = maps_and_weight(learner, x, v, u)
        row[:, u], row[:, v] = -weight * of_u, weight * of_v
        rows.append(row.reshape(d, n * d))
    delta = torch.cat(rows) if rows else torch.zeros(0, n * d, dtype=x.dtype)
    blocks = (delta.T @ delta).reshape(n, d, n, d).transpose(1, 2)
    adjacency = torch.zeros(n, n, dtype=x.dtype)
    adjacency[K.edge_index[0], K.edge_index[1]] = 1
    adjacency = adjacency + adjacency.T
    degree = torch.diag(adjacency.sum(0))
    out = torch.zeros(n, n, whole, whole, dtype=x.dtype)
    out[:, :, :d, :d] = blocks
    fixed = [degree + adjacency] * layer.low_pass + [degree - adjacency] * layer.high_pass
    for k, operator in enumerate(fixed):
        out[:, :, d + k, d + k] = operator
    out = out.transpose(1, 2).reshape(n * whole, n * whole)
    if not layer.normalized:
        return out
    scale = torch.zeros_like(out)
    for v in range(n):
        at = slice(v * whole, (v + 1) * whole)
        block = out[at, at]
        if layer.normalized == "augmented":
            block = block + torch.eye(whole, dtype=x.dtype)
        if bool(block.any()):
            scale[at, at] = inverse_root(block)
    return scale @ out @ scale


def inverse_root(m: Tensor) -> Tensor:
    """``m^{-1/2}`` by the iteration of Denman and Beavers, whose gradient is that of a product."""
    root, inverse = m, torch.eye(len(m), dtype=m.dtype)
    for _ in range(30):
        root, inverse = (root + inverse.inverse()) / 2, (inverse + root.inverse()) / 2
    return inverse


def forward(model: NeuralSheafDiffusion, K: CellComplex, x: Tensor) -> Tensor:
    """The model without dropout."""
    n, d, f = K.shape[0], model.stalk_dim, model.hidden_channels
    h = elu(x @ model.input.weight + model.input.bias)
    if model.second is not None:
        h = h @ model.second.weight.T + model.second.bias
    x = h.reshape(n * d, f)
    operator = None
    for t, layer in enumerate(model.layers):
        if layer.learner is not None:
            operator = laplacian(model, layer, layer.learner, K, x.reshape(n, d, f))
        y = x
        if layer.left is not None:
            y = torch.kron(torch.eye(n, dtype=y.dtype), layer.left) @ y
        if layer.right is not None:
            y = y @ layer.right.T
        y = elu(operator @ y)
        x = (1 + model.epsilon[t].tanh()).repeat(n)[:, None] * x - y
    return x.reshape(n, d * f) @ model.output.weight.T + model.output.bias
