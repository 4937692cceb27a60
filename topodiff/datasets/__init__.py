"""Benchmark data sets, from a mirror folder (``TOPODIFF_MIRROR``) or their public addresses."""

from topodiff.datasets.download import DownloadError, fetch
from topodiff.datasets.molecules import freesolv_demo, load, load_split, load_zinc, ring_complexes

__all__ = [
    "DownloadError",
    "fetch",
    "freesolv_demo",
    "load",
    "load_split",
    "load_zinc",
    "ring_complexes",
]
