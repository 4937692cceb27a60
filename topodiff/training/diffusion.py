"""The diffusion benchmark: models in continuous time on citation graphs with few labels, and on
graphs of web pages, with the settings of :mod:`topodiff.training.diffusion_settings`.

On citation graphs with Planetoid's split, or the fixed one of GRAND's published code, runs differ
in their seed, with random splits in the split, on web pages in the ten splits of Geom-GCN. Epochs
are chosen on validation vertices, and so is where the diffusion of GRAND and BLEND ends in
evaluation, up to 3 T or 5 T, as in the published code; test vertices are looked at there alone.
GraphCON ends after its last step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from topodiff import nn as models
from topodiff.datasets import NodeDataset, load_citations, load_nodes
from topodiff.datasets.citations import NAMES
from topodiff.training.config import check_names
from topodiff.training.diffusion_settings import KINDS, PUBLISHED, settings
from topodiff.training.node_benchmark import Key, NodeBenchmark

MODELS: dict[str, Callable[..., nn.Module]] = {
    "grand-l": partial(models.GRAND, linear=True),
    "grand-nl": partial(models.GRAND, linear=False),
    "grand-nl-rw": partial(models.GRAND, linear=False),
    "blend": partial(models.BLEND, linear=True),
    "blend-knn": partial(models.BLEND, linear=True),
    "graphcon-gcn": partial(models.GraphCON, coupling="gcn"),
    "graphcon-gat": partial(models.GraphCON, coupling="gat"),
}
WEB_PAGES = ("texas", "wisconsin", "cornell_legacy")
SPLITS = (*KINDS, "geom")
NUM_RANDOM, NUM_GEOM = 100, 10
RUNS = {"planetoid": 5, "fixed": 5, "random": 10, "geom": NUM_GEOM}


def load(name: str) -> NodeDataset:
    """``cora_planetoid``, ``cora_fixed``, ``cora_random``, ...; or a data set of Geom-GCN under its
    own name, with features as they are: GraphCON's code does not divide them by their sums."""
    if not name.endswith(KINDS):
        return load_nodes(name, row_normalize=False)
    graph, kind = name.rsplit("_", 1)
    return load_citations(graph, kind, NUM_RANDOM)


DIFFUSION = NodeBenchmark(
    MODELS,
    {
        **{f"{name}_{kind}": 1 for name in NAMES for kind in ("planetoid", "fixed")},
        **{f"{name}_random": NUM_RANDOM for name in NAMES},
        **dict.fromkeys(WEB_PAGES, NUM_GEOM),
    },
    load,
    settings,
    PUBLISHED,
)


def plan(
    datasets: Sequence[str], names: Sequence[str], splits: Sequence[str], runs: int | None = None
) -> list[Key]:
    """All runs: of the web pages (geom) GraphCON alone.

    Args:
        datasets: names without the kind of split.
        names: of models.
        splits: kinds of splits; a data set has those that are defined on it.
        runs: of each model; by default 5 seeds for planetoid and fixed, 10 splits for the others.

    Raises:
        ValueError: for an unknown name, or more runs than there are splits.
    """
    check_names(datasets, [*NAMES, *WEB_PAGES], "data set")
    check_names(names, MODELS, "model")
    check_names(splits, SPLITS, "kind of splits")
    keys: list[Key] = []
    for kind in splits:
        number = RUNS[kind] if runs is None else runs
        for dataset in datasets:
            if (kind == "geom") != (dataset in WEB_PAGES):
                continue
            if kind in ("planetoid", "fixed"):
                keys += DIFFUSION.plan([f"{dataset}_{kind}"], names, [0], range(number))
            elif kind == "random":
                keys += DIFFUSION.plan([f"{dataset}_{kind}"], names, range(number), [0])
            else:
                chosen = [name for name in names if name.startswith("graphcon")]
                keys += DIFFUSION.plan([dataset], chosen, range(min(number, NUM_GEOM)), [0])
    if not keys:
        raise ValueError(
            f"nothing to run: {', '.join(NAMES)} have the splits {', '.join(KINDS)}, "
            f"{', '.join(WEB_PAGES)} geom, for graphcon-gcn and graphcon-gat"
        )
    return keys
