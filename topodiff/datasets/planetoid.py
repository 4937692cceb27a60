"""The files ``ind.NAME.*`` of Planetoid (Yang et al., ICML 2016), which are pickles of Python 2.

A pickle may run any code. The reader here builds nothing but numpy arrays, scipy's CSR matrices,
defaultdicts and lists; anything else in a file is an error, and none of it is called.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

# The part of ind.NAME.* that is needed for splits other than Planetoid's own.
FILES = ("allx", "ally", "tx", "ty", "graph", "test.index")
ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("scipy.sparse.csr", "csr_matrix"): sp.csr_matrix,
    ("collections", "defaultdict"): defaultdict,
    ("__builtin__", "list"): list,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not admitted")
        return ADMITTED[module, name]


def read_pickle(path: str | Path) -> Any:
    """The array, sparse matrix or dict of lists in a file of Planetoid.

    Raises:
        ValueError: where there is anything else in it.
    """
    with Path(path).open("rb") as file:
        try:
            return _Unpickler(file, encoding="latin1").load()
        except Exception as error:  # a damaged pickle may raise anything
            raise ValueError(f"{path} is not a file of Planetoid: {error}") from None


def read_planetoid(
    files: Mapping[str, Path],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges (2, E), features (n, f) float32 and classes (n,) int64 from the files of ``FILES``.

    Rows of ``allx`` come first; those of ``tx`` belong to the vertices listed in ``test.index``.
    Where that list has gaps (15 in citeseer) the vertex has neither features nor a class (-1).
    """
    allx, tx = (sp.csr_matrix(read_pickle(files[name])).toarray() for name in ("allx", "tx"))
    ally, ty = (np.asarray(read_pickle(files[name])) for name in ("ally", "ty"))
    test = np.loadtxt(files["test.index"], np.int64)
    n = max(len(allx), int(test.max()) + 1)
    x = np.zeros((n, allx.shape[1]), np.float32)
    one_hot = np.zeros((n, ally.shape[1]))
    x[: len(allx)], one_hot[: len(allx)] = allx, ally
    x[test], one_hot[test] = tx, ty
    y = np.where(one_hot.any(1), one_hot.argmax(1), -1)
    return _pairs(read_pickle(files["graph"])), x, y.astype(np.int64)


def _pairs(graph: Mapping[int, list[int]]) -> np.ndarray:
    sources = np.repeat(list(graph), [len(targets) for targets in graph.values()])
    targets = np.concatenate([np.asarray(t, np.int64) for t in graph.values()])
    return np.stack([sources.astype(np.int64), targets])
