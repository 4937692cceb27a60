"""Benchmark data sets, from a mirror folder (``TOPODIFF_MIRROR``) or their public addresses."""

from topodiff.datasets.citations import load_citations
from topodiff.datasets.download import DownloadError, fetch
from topodiff.datasets.molecules import freesolv_demo, load, load_split, load_zinc, ring_complexes
from topodiff.datasets.nodes import NodeDataset, load_nodes

__all__ = [
    "DownloadError",
    "NodeDataset",
    "fetch",
    "freesolv_demo",
    "load",
    "load_citations",
    "load_nodes",
    "load_split",
    "load_zinc",
    "ring_complexes",
]
