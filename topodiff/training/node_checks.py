"""What can be wrong with the data and outputs of models that classify vertices."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from topodiff.complexes import CellComplex
from topodiff.kernels.checks import check_choice

NODE_METRICS = ("accuracy", "roc_auc")


def check_nodes(complex: CellComplex, y: Tensor, masks: Mapping[str, Tensor], name: str) -> None:
    """ValueError for features, classes ``y`` (n_0,), masks or a metric that cannot be used."""
    n = complex.num_cells(0)
    if 0 not in complex.x:
        raise ValueError("x[0] is missing: give features to the vertices")
    bad = (~complex.x[0].isfinite()).flatten(1).any(1).nonzero().flatten()
    if bad.numel():
        raise ValueError(
            f"features of {bad.numel()} vertices are not finite, the first is vertex {int(bad[0])}"
        )
    check_choice("metric", name, NODE_METRICS)
    for what, tensor in (("y", y), *masks.items()):
        if tensor.shape != (n,):
            raise ValueError(f"{what} of {n} vertices has shape ({n},), got {tuple(tensor.shape)}")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise ValueError(f"y holds numbers of classes, whole numbers, got {y.dtype}: y.long()")
    for what, mask in masks.items():
        if mask.dtype != torch.bool or not bool(mask.any()):
            raise ValueError(f"{what} is a mask (bool) with at least one vertex")
        if int(y[mask].min()) < 0:
            raise ValueError(f"y is negative at a vertex of {what}: leave it out of the mask")


def check_classes(y: Tensor, name: str, where: str) -> None:
    """ValueError unless the classes ``y`` define the metric ``name``."""
    if name == "roc_auc" and set(y.tolist()) != {0, 1}:
        raise ValueError(f"roc_auc needs the classes 0 and 1, and both, on {where}")


def check_outputs(outputs: Tensor, vertices: int, classes: int) -> None:
    """ValueError unless ``outputs`` are (vertices, classes), or of more classes."""
    if outputs.ndim != 2 or len(outputs) != vertices or outputs.shape[1] < classes:
        raise ValueError(
            f"y has classes up to {classes - 1}: the model must give ({vertices}, {classes}) "
            f"outputs or wider ones, got {tuple(outputs.shape)}"
        )
