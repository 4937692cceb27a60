"""The text files of Geom-GCN (Pei et al., ICLR 2020): features, classes, edges and splits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topodiff.datasets.node_arrays import NodeArrays, read_npz


def read_geom_gcn(
    nodes: Path, edges: Path, splits: Sequence[Path], num_features: int | None = None
) -> NodeArrays:
    """A data set from its files.

    Args:
        nodes: lines ``id <tab> features <tab> class`` after a header, ids 0..n-1 in any order. The
            features are zeros and ones, separated by commas; or, with ``num_features``, the numbers
            of the ones among so many.
        edges: lines ``source <tab> target`` after a header.
        splits: one file of masks per split.

    Raises:
        ValueError: naming file and line that do not look so.
    """
    x, y = _read_nodes(nodes, num_features)
    return NodeArrays(_read_edges(edges), x, y, *read_splits(splits))


def read_splits(paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """train, val, test (splits, n) bool from ``*_split_0.6_0.2_K.npz``."""
    masks = [read_npz(path) for path in paths]
    train, val, test = (
        np.stack([m[f"{part}_mask"].astype(bool) for m in masks])
        for part in ("train", "val", "test")
    )
    return train, val, test


def _read_nodes(path: Path, num_features: int | None) -> tuple[np.ndarray, np.ndarray]:
    lines = path.read_text().splitlines()[1:]
    x, y = None, np.full(len(lines), -1, np.int64)
    for number, line in enumerate(lines, 2):
        try:
            vertex, words, label = line.split("\t")
            row = _features(words, num_features)
            x = np.zeros((len(lines), len(row)), np.float32) if x is None else x
            x[int(vertex)], y[int(vertex)] = row, int(label)
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if x is None or (y < 0).any():
        raise ValueError(f"{path}: vertices are not numbered 0 to {len(lines) - 1}")
    return x, y


def _features(words: str, num_features: int | None) -> np.ndarray:
    values = np.array(words.split(","), np.float32)
    if num_features is None:
        return values
    row = np.zeros(num_features, np.float32)
    row[values.astype(np.int64)] = 1
    return row


def _read_edges(path: Path) -> np.ndarray:
    try:
        pairs = np.loadtxt(path, np.int64, skiprows=1, ndmin=2)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return np.ascontiguousarray(pairs.T)
