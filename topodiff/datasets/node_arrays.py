"""What every published form of a node classification data set is read into."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch

from topodiff.complexes.build import canonical_edges
from topodiff.datasets.download import REMEDY, DownloadError


class NodeArrays(NamedTuple):
    """A graph with features, classes and splits, as published.

    ``edges`` (2, E) int64 pairs in any order, also repeated, in both directions, with loops;
    ``x`` (n, features) float32; ``y`` (n,) int64, -1 for a vertex without a class;
    ``train``, ``val``, ``test`` (splits, n) bool.
    """

    edges: np.ndarray
    x: np.ndarray
    y: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray

    def without_fillers(self) -> NodeArrays:
        """No class, and no place in any split, for vertices that have no feature at all."""
        known = self.x.any(1)
        masks = (mask & known for mask in (self.train, self.val, self.test))
        return NodeArrays(self.edges, self.x, np.where(known, self.y, -1), *masks)

    def digest(self) -> str:
        """SHA-256 of undirected edges without loops, features, classes and splits."""
        edges, _ = canonical_edges(len(self.y), torch.from_numpy(self.edges), "drop")
        found = hashlib.sha256()
        for array in (edges.numpy(), *self[1:]):
            found.update(repr((array.dtype.str, array.shape)).encode())
            found.update(array.tobytes())
        return found.hexdigest()


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file, none of them pickled.

    Raises:
        DownloadError: where it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, OSError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DownloadError(f"{path} is no npz file, or damaged ({error}): {REMEDY}") from None


def from_mirror_form(arrays: Mapping[str, np.ndarray]) -> NodeArrays:
    """The form of mirror files: ``edge_index`` (2, E), ``y``, ``*_mask`` (splits, n), and features
    as ``x`` (n, features) or in CSR as ``x_indptr``, ``x_indices``, ``x_data``, ``x_shape``."""
    x = arrays["x"] if "x" in arrays else _dense(arrays)
    return NodeArrays(
        arrays["edge_index"].astype(np.int64),
        x.astype(np.float32),
        arrays["y"].astype(np.int64),
        *(arrays[f"{part}_mask"] for part in ("train", "val", "test")),
    )


def _dense(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    data = arrays["x_data"].astype(np.float32)
    csr = (data, arrays["x_indices"].astype(np.int32), arrays["x_indptr"])
    return sp.csr_matrix(csr, shape=tuple(arrays["x_shape"])).toarray()


def from_yandex_form(arrays: Mapping[str, np.ndarray]) -> NodeArrays:
    """The form of heterophilous-graphs (Platonov et al., ICLR 2023): ``node_features``,
    ``node_labels``, ``edges`` (E, 2), ``train_masks``, ``val_masks``, ``test_masks``."""
    return NodeArrays(
        np.ascontiguousarray(arrays["edges"].T.astype(np.int64)),
        arrays["node_features"].astype(np.float32),
        arrays["node_labels"].astype(np.int64),
        *(arrays[f"{part}_masks"].astype(bool) for part in ("train", "val", "test")),
    )
