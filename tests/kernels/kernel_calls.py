"""Every public operation of more than one tensor: how it is called, and with which tensors."""

from __future__ import annotations

import torch

from topodiff import kernels as k

# the path 0 - 1 - 2
FACE = {"face": torch.tensor([0, 1, 1, 2])}
GRAPH = FACE | {"face_ptr": torch.tensor([0, 1, 3, 4]), "by_face": torch.arange(4)}
INCIDENCE = GRAPH | {"cell": torch.tensor([0, 0, 1, 1]), "cell_ptr": torch.tensor([0, 2, 4])}
COFACE = {name: INCIDENCE[name] for name in ("face", "cell_ptr", "face_ptr", "by_face")}
ROWS = {"index": torch.tensor([0, 1, 1, 2]), "ptr": torch.tensor([0, 1, 3, 4])}
X, E, W = torch.randn(3, 2, 5), torch.randn(4, 2), torch.randn(4)
LAPLACIAN = {"diagonal": torch.randn(3, 2), "blocks": torch.randn(2, 2, 2), **GRAPH}
NORM = {name: torch.rand(5) for name in ("mean", "var", "gamma", "beta")}
MAPS = torch.randn(4, 2, 2)


def norm_linear(x, mean, var, gamma, beta, weight, bias, count):
    norm = k.Norm(mean, var, gamma, beta)
    return k.norm_linear(x, weight, bias, norm, statistics=True, count=count)


def norm_activation(x, mean, var, gamma, beta):
    return k.norm_activation(x, k.Norm(mean, var, gamma, beta))


def reduced(reduce, run, **arguments):
    return lambda **a: run(**a, reduce=reduce), arguments


INDEXED = {"x": E, "index": ROWS["index"]}
CALLS = {
    "segment_reduce": (k.segment_reduce, {"x": E, "ptr": ROWS["ptr"]}),
    "segment_reduce max": reduced("max", k.segment_reduce, x=E, ptr=ROWS["ptr"]),
    "segment_softmax": (k.segment_softmax, {"x": E, "ptr": ROWS["ptr"]}),
    "scatter_reduce": (lambda **a: k.scatter_reduce(**a, num_segments=3), INDEXED),
    "scatter_reduce min": (
        lambda **a: k.scatter_reduce(**a, num_segments=3, reduce="min"),
        INDEXED,
    ),
    "gather": (k.gather, INDEXED),
    "gather_reduce": (k.gather_reduce, {"x": X, **ROWS, "weight": W}),
    "gather_reduce max": reduced("max", k.gather_reduce, x=X, **ROWS, weight=W),
    "incidence_matmul": (k.incidence_matmul, {"x": X[:2], "sign": W, **INCIDENCE}),
    "coface_message": (k.coface_message, {"p": X, "q": X[:2], **COFACE}),
    "coface_message without p": (k.coface_message, {"p": None, "q": X[:2], **COFACE}),
    "sheaf_matmul": (k.sheaf_matmul, {"x": X[:2], "maps": MAPS, **INCIDENCE}),
    "block_matmul": (k.block_matmul, {"x": X, **LAPLACIAN}),
    "small_matmul": (k.small_matmul, {"a": MAPS, "b": MAPS}),
    "transports": (k.transports, {"maps": MAPS, "factor": W[:2]}),
    "edge_blocks": (k.edge_blocks, {"maps": E, **GRAPH}),
    "edge_dot": (k.edge_dot, {"q": X, "k": X, **ROWS}),
    "edge_attention": (k.edge_attention, {"q": X, "k": X, "x": X, **ROWS}),
    "segment_weights": (
        k.segment_weights,
        {"scores": E, "ptr": ROWS["ptr"], "order": torch.arange(4)},
    ),
    "residual": (k.residual, {"x": X, "z": X, "factor": W[:2]}),
    "oscillator": (lambda **a: k.oscillator(**a, step=0.1), {"x": X, "v": X, "z": X}),
    "stalk_linear": (k.stalk_linear, {"x": X, "left": MAPS[0], "right": torch.eye(5)}),
    "pair_linear": (k.pair_linear, {"x": X, "weight": torch.randn(2, 3, 10), **GRAPH}),
    "diffusion_step": (
        k.diffusion_step,
        {"x": X, "left": MAPS[0], "right": torch.eye(5), **LAPLACIAN, "factor": W[:2]},
    ),
    "chebyshev_sum": (
        k.chebyshev_sum,
        {"x": X[:, 0], **ROWS, "value": W, "coefficients": torch.ones(1, 3, dtype=torch.float64)},
    ),
    "norm_activation": (norm_activation, {"x": X[:, 0], **NORM}),
    "norm_linear": (
        norm_linear,
        {"x": X[:, 0], **NORM, "weight": torch.randn(1, 4, 5), "bias": W, "count": torch.ones(3)},
    ),
    "select_segments": (
        k.select_segments,
        {"ptr": ROWS["ptr"], "values": torch.arange(4), "which": torch.tensor([1])},
    ),
    "refine_colours": (
        k.refine_colours,
        {
            "own": torch.arange(3),
            "ptr": ROWS["ptr"],
            "neighbour": ROWS["index"],
            "colour": torch.arange(3),
        },
    ),
}
