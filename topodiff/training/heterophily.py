"""The heterophily benchmark: models of vertices on graphs whose neighbours differ in class, with
the settings of :mod:`topodiff.training.heterophily_settings`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from topodiff import nn as models
from topodiff.datasets import NodeDataset, load_nodes
from topodiff.datasets.nodes import SOURCES
from topodiff.training.heterophily_settings import PUBLISHED, RAW_FEATURES, settings
from topodiff.training.node_benchmark import NodeBenchmark

# Constructors take (in_channels, hidden_channels, out_channels, **options).
MODELS: dict[str, Callable[..., nn.Module]] = {
    "mlp": models.NodeMLP,
    "gcn": models.GCN,
    "gat": models.GAT,
    "sage": models.GraphSAGE,
    "h2gcn": models.H2GCN,
    "gcnii": models.GCNII,
    "diag-nsd": partial(models.NeuralSheafDiffusion, maps="diagonal"),
    "od-nsd": partial(models.NeuralSheafDiffusion, maps="orthogonal"),
    "sod-nsd": partial(models.NeuralSheafDiffusion, maps="special_orthogonal"),
    "gen-nsd": partial(models.NeuralSheafDiffusion, maps="general"),
    "identity-nsd": partial(models.NeuralSheafDiffusion, maps="identity"),
}
DATASETS = (
    "texas", "wisconsin", "cornell", "cornell_legacy", "film", "chameleon", "squirrel", "cora",
    "citeseer", "pubmed", "minesweeper",
)  # fmt: skip
NUM_SPLITS = 10


def load(name: str) -> NodeDataset:
    """A data set with features as the benchmark has them."""
    return load_nodes(name, row_normalize=False if name in RAW_FEATURES else None)


HETEROPHILY = NodeBenchmark(MODELS, dict.fromkeys(SOURCES, NUM_SPLITS), load, settings, PUBLISHED)
